//! The Messages API as far as Claude Code uses it, answering what the scenario says.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::scenario::{Step, Turn};
use crate::site::{Asked, Body, Site, json_body, text};
use crate::stream::{self, Piece};

/// How often a held answer looks whether it may go on.
const HOLD_POLL: Duration = Duration::from_millis(20);

/// Answers a request to the API's host.
pub(crate) async fn answer(site: &Site, asked: &Asked) -> Response<Body> {
    let path = asked.head.uri.path();
    match (&asked.head.method, path) {
        (&Method::HEAD | &Method::GET, "/" | "/api/hello") => text(StatusCode::OK, ""),
        (&Method::POST, "/v1/messages") if !has_key(site, asked) => error(
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            "invalid x-api-key",
        ),
        (&Method::POST, "/v1/messages") => message(site, asked).await,
        (&Method::POST, "/v1/messages/count_tokens") => {
            json_body(StatusCode::OK, &json!({ "input_tokens": 10 }))
        }
        _ => error(
            StatusCode::NOT_FOUND,
            "not_found_error",
            "there is nothing under this path",
        ),
    }
}

fn has_key(site: &Site, asked: &Asked) -> bool {
    let Some(key) = &site.options.api_key else {
        return true;
    };
    let given: Vec<_> = asked.head.headers.get_all("x-api-key").iter().collect();
    matches!(given.as_slice(), [only] if only.as_bytes() == key.as_bytes())
}

async fn message(site: &Site, asked: &Asked) -> Response<Body> {
    let Ok(request) = serde_json::from_slice::<Value>(&asked.body) else {
        return error(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "the body is not JSON",
        );
    };
    let turn = Turn::of(&request);
    // The client also asks for titles and summaries on the side: those offer no tools.
    let is_side_question = request["tools"].as_array().is_none_or(Vec::is_empty);
    let steps = if is_side_question {
        vec![Step::Say("A test.".to_owned())]
    } else {
        turn.steps(&phrases(site.options.scenarios.as_deref()))
    };
    site.journal.turn(json!({
        "number": asked.number,
        "messages": turn.messages,
        "turn": turn.done,
        "prompt": turn.prompt,
        "side_question": is_side_question,
        "steps": format!("{steps:?}"),
    }));
    for step in &steps {
        match step {
            Step::Wait(wait_ms) => tokio::time::sleep(Duration::from_millis(*wait_ms)).await,
            Step::Hold(name) => held(&site.options.work.join("release").join(name)).await,
            Step::Fail(what) => return failure(what),
            Step::Bash(_) | Step::Say(_) | Step::Stream(_) => {}
        }
    }
    speak(asked.number, &request, &steps)
}

fn phrases(file: Option<&Path>) -> BTreeMap<String, String> {
    let text = file
        .and_then(|file| std::fs::read(file).ok())
        .unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

async fn held(file: &Path) {
    while !file.exists() {
        tokio::time::sleep(HOLD_POLL).await;
    }
}

fn failure(what: &str) -> Response<Body> {
    let bad = StatusCode::BAD_REQUEST;
    match what {
        "too-long" => {
            let message = "prompt is too long: 250000 tokens > 200000 maximum";
            error(bad, "invalid_request_error", message)
        }
        "credit" => {
            let message = "Your credit balance is too low to access the Anthropic API.";
            error(bad, "invalid_request_error", message)
        }
        "429" => error(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_error",
            "rate limit exceeded",
        ),
        "529" => error(
            StatusCode::from_u16(529).unwrap_or(bad),
            "overloaded_error",
            "Overloaded",
        ),
        _ => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "api_error",
            "Internal server error",
        ),
    }
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let error = json!({ "type": kind, "message": message });
    json_body(
        status,
        &json!({ "type": "error", "error": error, "request_id": "req_test" }),
    )
}

/// Sends the turn, as a stream of events or at once.
fn speak(number: u64, request: &Value, steps: &[Step]) -> Response<Body> {
    let model = request["model"].as_str().unwrap_or("claude-test");
    let blocks: Vec<Value> = steps
        .iter()
        .enumerate()
        .filter_map(|(index, step)| block(number, index, step))
        .collect();
    let uses_tool = blocks.iter().any(|block| block["type"] == "tool_use");
    let stop_reason = if uses_tool { "tool_use" } else { "end_turn" };
    let mut message = json!({
        "id": format!("msg_{number:024}"), "type": "message", "role": "assistant", "model": model,
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": { "input_tokens": 10, "cache_creation_input_tokens": 5,
                   "cache_read_input_tokens": 7, "output_tokens": 1 },
    });
    if request["stream"] == true {
        let end = json!({ "stop_reason": stop_reason, "stop_sequence": null });
        return stream::respond("text/event-stream", events(&message, &blocks, &end));
    }
    message["content"] = Value::Array(blocks);
    message["stop_reason"] = stop_reason.into();
    json_body(StatusCode::OK, &message)
}

fn block(number: u64, index: usize, step: &Step) -> Option<Value> {
    let words = |count| {
        (1..=count)
            .map(|word| format!("word{word} "))
            .collect::<String>()
    };
    match step {
        Step::Bash(command) => Some(json!({
            "type": "tool_use", "id": format!("toolu_{number:020}{index:04}"), "name": "Bash",
            "input": { "command": command, "description": "As the scenario says" },
        })),
        Step::Say(words) => Some(json!({ "type": "text", "text": words })),
        Step::Stream(count) => Some(json!({ "type": "text", "text": words(*count) })),
        Step::Wait(_) | Step::Hold(_) | Step::Fail(_) => None,
    }
}

fn events(message: &Value, blocks: &[Value], end: &Value) -> Vec<Piece> {
    let mut events = vec![event(
        0,
        &json!({ "type": "message_start", "message": message }),
    )];
    for (index, block) in blocks.iter().enumerate() {
        let (empty, deltas, pace_ms) = pieces(block);
        let start =
            json!({ "type": "content_block_start", "index": index, "content_block": empty });
        events.push(event(0, &start));
        for delta in deltas {
            let delta = json!({ "type": "content_block_delta", "index": index, "delta": delta });
            events.push(event(pace_ms, &delta));
        }
        events.push(event(
            0,
            &json!({ "type": "content_block_stop", "index": index }),
        ));
    }
    let usage = json!({ "output_tokens": 20 });
    events.push(event(
        0,
        &json!({ "type": "message_delta", "delta": end, "usage": usage }),
    ));
    events.push(event(0, &json!({ "type": "message_stop" })));
    events
}

/// A block as it starts, and the deltas that fill it.
fn pieces(block: &Value) -> (Value, Vec<Value>, u64) {
    let mut empty = block.clone();
    if block["type"] == "tool_use" {
        empty["input"] = json!({});
        let input = block["input"].to_string();
        return (
            empty,
            vec![json!({ "type": "input_json_delta", "partial_json": input })],
            0,
        );
    }
    empty["text"] = "".into();
    let text = block["text"].as_str().unwrap_or_default();
    let words = text
        .split_inclusive(' ')
        .map(|word| json!({ "type": "text_delta", "text": word }));
    // A long text is paced, so that there is time to watch it come.
    let pace_ms = if text.starts_with("word1 ") { 20 } else { 0 };
    (empty, words.collect(), pace_ms)
}

fn event(after_ms: u64, data: &Value) -> Piece {
    let name = data["type"].as_str().unwrap_or_default();
    let bytes = format!("event: {name}\ndata: {data}\n\n").into();
    Piece {
        after: Duration::from_millis(after_ms),
        bytes,
    }
}
