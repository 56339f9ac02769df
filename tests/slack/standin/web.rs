//! The Web API's front: faults, token, scope, limit, then the method, then the record of the call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, merge};
use super::args::Args;
use super::faults::{self, FaultKind};
use super::methods::{self, Method};
use super::server::{self, Reply};
use super::shared::Shared;
use super::world::{APP_TOKEN, BOT_TOKEN, World};

/// Answers a call, unless a fault wants none.
pub(crate) async fn call(shared: &Arc<Shared>, name: &str, head: &Parts, body: &[u8]) -> Reply {
    let fault = shared.with(|world| faults::strike(&mut world.faults, name));
    match &fault {
        Some(FaultKind::LoseRequest) => return None,
        Some(FaultKind::Status { status }) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            return Some(server::text(status, "upstream connect error"));
        }
        Some(FaultKind::Delay { delay_ms }) => {
            tokio::time::sleep(Duration::from_millis(*delay_ms)).await;
        }
        _ => {}
    }
    let method = methods::find(name);
    let takes_json = method.is_none_or(|method| method.takes_json);
    let args = server::arguments(head, body, takes_json);
    let response = shared.with(|world| answer(world, name, method, head, args, fault.as_ref()));
    match fault {
        Some(FaultKind::LoseAnswer) => None,
        _ => Some(response),
    }
}

fn answer(
    world: &mut World,
    name: &str,
    method: Option<&Method>,
    head: &Parts,
    args: Option<Args>,
    fault: Option<&FaultKind>,
) -> Response<Full<Bytes>> {
    let Some(mut args) = args else {
        return respond(world, method, Err(Refusal::new("invalid_json")));
    };
    let token = token(head, &mut args);
    let shown = args.to_json();
    let mut retry_after = None;
    let answer = match fault {
        Some(FaultKind::Error { error }) => Err(Refusal::new(error)),
        Some(FaultKind::RateLimited { retry_after: after }) => {
            retry_after = Some(*after);
            Err(Refusal::new("ratelimited"))
        }
        _ => admitted(
            world,
            name,
            method,
            token.as_deref(),
            &args,
            &mut retry_after,
        )
        .and_then(|method| match token.as_deref() {
            Some(APP_TOKEN) if name == "auth.test" => methods::app_test(),
            _ => (method.run)(world, &args),
        }),
    };
    let outcome = answer
        .as_ref()
        .map_or_else(|refusal| refusal.clone().into_json(), |_| json!({}));
    let outcome = outcome["error"].as_str().unwrap_or("ok").to_owned();
    world.remember(name, shown, outcome);
    let answer = answer.map(|answer| warned(answer, head));
    let mut response = respond(world, method, answer);
    if let Some(seconds) = retry_after {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        server::set(&mut response, header::RETRY_AFTER, &seconds.to_string());
    }
    response
}

/// Decides whether the call may be made at all.
fn admitted<'method>(
    world: &mut World,
    name: &str,
    method: Option<&'method Method>,
    token: Option<&str>,
    args: &Args,
    retry_after: &mut Option<u64>,
) -> Result<&'method Method, Refusal> {
    let Some(method) = method else {
        return Err(Refusal::with(
            "unknown_method",
            json!({ "req_method": name }),
        ));
    };
    match token {
        None => return Err(Refusal::new("not_authed")),
        Some(BOT_TOKEN) if method.is_for_app => {
            return Err(Refusal::new("not_allowed_token_type"));
        }
        Some(APP_TOKEN) if !method.is_for_app && name != "auth.test" => {
            return Err(Refusal::new("not_allowed_token_type"));
        }
        Some(BOT_TOKEN | APP_TOKEN) => {}
        Some(_) => return Err(Refusal::new("invalid_auth")),
    }
    let channel = args.text("channel");
    let now = World::now_ms();
    let counted = world
        .limits
        .count(&world.options, name, method.tier, channel.as_deref(), now);
    if let Err(seconds) = counted {
        *retry_after = Some(seconds);
        return Err(Refusal::new("ratelimited"));
    }
    if !method.scopes.is_empty()
        && !method
            .scopes
            .iter()
            .any(|scope| world.scopes.contains(*scope))
    {
        return Err(missing_scope(world, method.scopes[0]));
    }
    Ok(method)
}

/// The refusal that names the scope that would do.
pub(crate) fn missing_scope(world: &World, needed: &str) -> Refusal {
    let provided: Vec<&str> = world.scopes.iter().map(String::as_str).collect();
    Refusal::with(
        "missing_scope",
        json!({ "needed": needed, "provided": provided.join(",") }),
    )
}

/// The token: of the header, or of a form.
fn token(head: &Parts, args: &mut Args) -> Option<String> {
    let in_form = args
        .take("token")
        .and_then(|token| token.as_str().map(str::to_owned));
    let header = server::header_text(&head.headers, header::AUTHORIZATION);
    let in_header = header.strip_prefix("Bearer ").map(str::to_owned);
    in_header.or(in_form).filter(|token| !token.is_empty())
}

/// JSON that does not say its charset is answered with a warning.
fn warned(mut answer: Value, head: &Parts) -> Value {
    let media_type = server::header_text(&head.headers, header::CONTENT_TYPE);
    if media_type.starts_with("application/json") && !media_type.contains("charset") {
        answer["warning"] = "missing_charset".into();
        let mut metadata = answer["response_metadata"].take();
        if metadata.is_null() {
            metadata = json!({});
        }
        metadata["warnings"] = json!(["missing_charset"]);
        answer["response_metadata"] = metadata;
    }
    answer
}

fn respond(world: &World, method: Option<&Method>, answer: Answer) -> Response<Full<Bytes>> {
    let envelope = match answer {
        Ok(answer) => {
            let mut envelope = json!({ "ok": true });
            merge(&mut envelope, answer);
            envelope
        }
        Err(refusal) => refusal.into_json(),
    };
    let mut response = server::json(StatusCode::OK, &envelope);
    let provided: Vec<&str> = world.scopes.iter().map(String::as_str).collect();
    let accepted = method
        .map(|method| method.scopes.join(","))
        .unwrap_or_default();
    let name = header::HeaderName::from_static;
    server::set(&mut response, name("x-oauth-scopes"), &provided.join(","));
    server::set(&mut response, name("x-accepted-oauth-scopes"), &accepted);
    response
}
