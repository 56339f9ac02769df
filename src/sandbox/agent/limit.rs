//! A usage limit: the API takes no more work of this account until a time. Pure.
//!
//! Claude Code says so with a `rate_limit_event` whose `rate_limit_info` has the status `rejected` and
//! the time in `resetsAt`, in seconds; versions before 2.1.45 say it in the result's own text alone.

use serde_json::Value;

use crate::events::id::AtMs;
use crate::sandbox::agent::ResultLine;

/// Characters kept of a limit's name.
const NAME_CHARS_MAX: usize = 32;

/// How the result of older versions begins; a bar and the time in seconds follow.
const TEXT_WITH_TIME: &str = "Claude AI usage limit reached";

/// How it begins in versions that say the time for people only.
const TEXTS: [&str; 3] = [
    "You've hit your",
    "Claude usage limit reached",
    "You're out of extra usage",
];

/// A usage limit that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageLimit {
    /// Its name, for example `five_hour`; empty when the agent did not say.
    pub name: String,
    /// When the API takes work again; nothing when the agent did not say.
    pub resets_at: Option<AtMs>,
}

/// What a line says about limits.
pub(super) enum Said {
    /// Requests are allowed.
    Allowed,
    /// A limit was met.
    Met(UsageLimit),
    /// Nothing.
    Nothing,
}

/// Reads a `rate_limit_event`.
pub(super) fn event(event: &Value) -> Said {
    let info = &event["rate_limit_info"];
    match info["status"].as_str() {
        Some("rejected") => Said::Met(UsageLimit {
            name: name(info["rateLimitType"].as_str().unwrap_or_default()),
            resets_at: info["resetsAt"].as_u64().map(seconds),
        }),
        Some(_) => Said::Allowed,
        None => Said::Nothing,
    }
}

/// Returns the limit that a failed run's own words name.
pub(super) fn in_words(result: &ResultLine) -> Option<UsageLimit> {
    let text = result.text.as_deref()?.trim();
    let limit = |resets_at| UsageLimit {
        name: String::new(),
        resets_at,
    };
    if let Some(rest) = text.strip_prefix(TEXT_WITH_TIME) {
        let time = rest
            .strip_prefix('|')
            .and_then(|time| time.trim().parse().ok());
        return Some(limit(time.map(seconds)));
    }
    TEXTS
        .iter()
        .any(|start| text.starts_with(start))
        .then(|| limit(None))
}

fn seconds(seconds: u64) -> AtMs {
    AtMs(seconds.saturating_mul(1000))
}

/// It stands in an event, so it is short and a word.
fn name(word: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    word.chars().filter(is_plain).take(NAME_CHARS_MAX).collect()
}
