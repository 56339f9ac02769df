//! Pages of a list: `limit` and `cursor` in, `next_cursor` out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::args::Args;

/// Items of a page, whatever is asked for.
const LIMIT_MAX: u64 = 1_000;

/// Returns the page that is asked for, and the cursor of the next; empty at the end.
pub(crate) fn page<T>(
    items: Vec<T>,
    args: &Args,
    limit_default: u64,
) -> Result<(Vec<T>, String), Refusal> {
    let limit = args.number("limit").unwrap_or(limit_default);
    if limit == 0 || limit > LIMIT_MAX {
        return Err(Refusal::new("invalid_limit"));
    }
    let start = match args.text("cursor") {
        Some(cursor) => position(&cursor).ok_or_else(|| Refusal::new("invalid_cursor"))?,
        None => 0,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = items.len() > start.saturating_add(limit);
    let cursor = if has_more {
        STANDARD.encode(format!("next:{}", start + limit))
    } else {
        String::new()
    };
    Ok((items.into_iter().skip(start).take(limit).collect(), cursor))
}

/// The metadata that carries a cursor.
pub(crate) fn metadata(cursor: &str) -> Value {
    json!({ "next_cursor": cursor })
}

fn position(cursor: &str) -> Option<usize> {
    let decoded = STANDARD.decode(cursor).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    decoded.strip_prefix("next:")?.parse().ok()
}
