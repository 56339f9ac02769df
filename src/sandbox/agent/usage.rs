//! The fields of a `result` line. Numbers that are missing count as zero.

use serde_json::Value;

use crate::events::conversation::TokenUsage;
use crate::sandbox::agent::{REPLY_BYTES_MAX, ResultLine, SUBTYPE_CHARS_MAX};
use crate::sandbox::cut::{ERROR_CHARS_MAX, first_bytes, first_chars};

/// Errors of a result that are kept, in the order in which the agent names them.
const ERRORS_MAX: usize = 8;

/// Reads a `result` line.
pub(super) fn result_line(event: &Value) -> ResultLine {
    let word = |key: &str| {
        let word = event[key].as_str();
        word.map(|word| first_chars(word, SUBTYPE_CHARS_MAX).to_owned())
    };
    let text = event["result"].as_str();
    let errors = event["errors"].as_array().into_iter().flatten();
    ResultLine {
        text: text.map(|text| first_bytes(text, REPLY_BYTES_MAX).to_owned()),
        is_error: event["is_error"].as_bool().unwrap_or(false),
        api_error_status: event["api_error_status"].as_u64(),
        terminal_reason: word("terminal_reason"),
        subtype: word("subtype").unwrap_or_default(),
        errors: errors
            .filter_map(|error| Some(first_chars(error.as_str()?, ERROR_CHARS_MAX).to_owned()))
            .take(ERRORS_MAX)
            .collect(),
        turns: u32::try_from(number(&event["num_turns"])).unwrap_or(u32::MAX),
        duration_ms: number(&event["duration_ms"]),
        cost_microusd: microusd(event["total_cost_usd"].as_f64().unwrap_or_default()),
        usage: token_usage(&event["usage"]),
    }
}

/// Reads the numbers of tokens.
pub(super) fn token_usage(usage: &Value) -> TokenUsage {
    let server = &usage["server_tool_use"];
    TokenUsage {
        input: number(&usage["input_tokens"]),
        output: number(&usage["output_tokens"]),
        cache_creation: number(&usage["cache_creation_input_tokens"]),
        cache_read: number(&usage["cache_read_input_tokens"]),
        web_searches: number(&server["web_search_requests"]),
        web_fetches: number(&server["web_fetch_requests"]),
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Returns dollars in millionths, rounded; nonsense counts as nothing.
fn microusd(dollars: f64) -> u64 {
    let millionths = (dollars * 1e6).round();
    if millionths.is_finite() && (0.0..1e15).contains(&millionths) {
        millionths as u64
    } else {
        0
    }
}
