//! The fields of a `result` line. Numbers that are missing count as zero.

use serde_json::Value;

use crate::events::conversation::TokenUsage;
use crate::sandbox::agent::ResultLine;

/// Reads a `result` line.
pub(super) fn result_line(event: &Value) -> ResultLine {
    let text = |key: &str| event[key].as_str().map(str::to_owned);
    let errors = event["errors"].as_array().into_iter().flatten();
    ResultLine {
        text: text("result"),
        is_error: event["is_error"].as_bool().unwrap_or(false),
        api_error_status: event["api_error_status"].as_u64(),
        terminal_reason: text("terminal_reason"),
        subtype: text("subtype").unwrap_or_default(),
        errors: errors
            .filter_map(|error| error.as_str().map(str::to_owned))
            .collect(),
        turns: u32::try_from(number(&event["num_turns"])).unwrap_or(u32::MAX),
        duration_ms: number(&event["duration_ms"]),
        cost_microusd: microusd(event["total_cost_usd"].as_f64().unwrap_or_default()),
        usage: token_usage(&event["usage"]),
    }
}

fn token_usage(usage: &Value) -> TokenUsage {
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
