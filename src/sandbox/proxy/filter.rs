//! Filters that read a request's body before it may leave (spec rows NET-20 to NET-25): which of
//! them a request meets, in which order, and what they make of it. Pure; it knows no connection,
//! and nothing of credentials, which are put in only after all of this.

pub mod graphql;
mod json;
pub mod tools;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::sandbox::proxy::allowlist::{Allowlist, Operations};
use crate::sandbox::proxy::escape::escape;
use crate::sandbox::proxy::limits::{
    FILTER_TAG_CHARS_MAX, GRAPHQL_BODY_BYTES_MAX, TOOLS_BODY_BYTES_MAX,
};
use crate::sandbox::proxy::policy::{self, Asked, Rule};

/// What one filter makes of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It may go as it is.
    Pass {
        /// What the log says of it.
        tag: Option<String>,
    },
    /// It may go, but changed.
    Rewrite {
        /// The body to send instead.
        body: Vec<u8>,
        /// What the log says of it.
        tag: String,
    },
    /// It may not go.
    Block(Blocked),
}

/// Why a filter refuses a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The code the agent reads, for example `graphql_operation_blocked`.
    pub error: &'static str,
    /// The sentence the agent reads.
    pub message: String,
    /// What of the request it is about, for example a field's name.
    pub detail: String,
    /// What the log says of it.
    pub tag: Option<String>,
}

impl Blocked {
    /// Returns the refusal of a request whose body cannot be inspected at all.
    pub fn uninspectable(filter: &str, why: &str) -> Self {
        Self {
            error: "filter_error",
            message: "The network sandbox must inspect the body of this request and could not, so \
                      it is refused."
                .to_owned(),
            detail: format!("<{filter}: {why}>"),
            tag: Some(format!("<error: {why}>")),
        }
    }

    /// Returns the 403's body.
    pub fn body(&self) -> serde_json::Value {
        serde_json::json!({
            "error": self.error,
            "message": self.message,
            "detail": self.detail,
        })
    }
}

/// What is known of a request besides its body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// What it asks for.
    pub asked: Asked<'a>,
    /// Its headers as sent.
    pub headers: &'a HeaderMap,
}

/// The filters that a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan<'a> {
    operations: Option<&'a Operations>,
    /// The allowlist, if the request may configure server-side tools.
    tools: Option<&'a Allowlist>,
}

/// What became of a request that met its filters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filtered {
    /// The body to send, if it is another than the one that came.
    pub rewritten: Option<Vec<u8>>,
    /// What the filters said, in their order, for example `graphql-op: query/viewer`.
    pub tags: Vec<String>,
    /// Why it may not go.
    pub blocked: Option<Blocked>,
}

impl<'a> Plan<'a> {
    /// Returns the filters that an allowed request meets; nothing when its body is not read.
    pub fn of(allowlist: &'a Allowlist, rule: Rule, asked: Asked<'_>) -> Option<Self> {
        let entry = match rule {
            Rule::Domain(_) => None,
            Rule::UrlPrefix(index) => allowlist.url_prefixes.get(index),
        };
        let decoded = policy::decoded(asked.path_and_query);
        let plan = Self {
            operations: entry.and_then(|entry| entry.graphql.as_ref()),
            tools: tools::concerns(asked.host, &decoded).then_some(allowlist),
        };
        (plan.operations.is_some() || plan.tools.is_some()).then_some(plan)
    }

    /// Returns the length in bytes from which a body is refused without being read further.
    pub fn bytes_max(&self) -> usize {
        if self.operations.is_some() {
            GRAPHQL_BODY_BYTES_MAX
        } else {
            TOOLS_BODY_BYTES_MAX
        }
    }

    /// Returns what becomes of a request whose body is longer than [`Self::bytes_max`].
    pub fn too_large(&self) -> Filtered {
        if self.operations.is_some() {
            self.refuse(graphql::too_large())
        } else {
            self.refuse(tools::too_large())
        }
    }

    /// Returns what becomes of a request whose body could not be read.
    pub fn unreadable(&self, why: &str) -> Filtered {
        self.refuse(Blocked::uninspectable(self.first(), why))
    }

    fn first(&self) -> &'static str {
        if self.operations.is_some() {
            graphql::NAME
        } else {
            tools::NAME
        }
    }

    fn refuse(&self, blocked: Blocked) -> Filtered {
        let mut filtered = Filtered::default();
        filtered.take(self.first(), Finding::Block(blocked));
        filtered
    }

    /// Runs the filters over a body, each over what the one before it left.
    pub fn apply(&self, head: Head<'_>, body: &[u8]) -> Filtered {
        let mut filtered = Filtered::default();
        if let Some(operations) = self.operations {
            filtered.take(graphql::NAME, graphql::check(operations, head, body));
        }
        if let (Some(allowlist), None) = (self.tools, &filtered.blocked) {
            let opens = |host: &str| allowlist.opens(host);
            filtered.take(tools::NAME, tools::check(&opens, head, body));
        }
        filtered
    }
}

impl Filtered {
    fn take(&mut self, filter: &str, finding: Finding) {
        let tag = match finding {
            Finding::Pass { tag } => tag,
            Finding::Rewrite { body, tag } => {
                self.rewritten = Some(body);
                Some(tag)
            }
            Finding::Block(blocked) => {
                let tag = blocked.tag.clone();
                self.blocked = Some(blocked);
                tag
            }
        };
        self.tags.extend(tag.map(|tag| short(filter, &tag)));
    }
}

/// Returns a tag as the log has it: on one line, and no longer than the agent may make it.
fn short(filter: &str, tag: &str) -> String {
    let escaped = escape(tag.as_bytes());
    if escaped.len() <= FILTER_TAG_CHARS_MAX {
        return format!("{filter}: {escaped}");
    }
    let cut: String = escaped.chars().take(FILTER_TAG_CHARS_MAX).collect();
    format!("{filter}: {cut}… (truncated)")
}

/// Returns whether a body is said to be encoded: it would have to be decoded to be read.
fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Returns the media type, lower case and without parameters, if there is one; an error when it is
/// told twice or in another charset than UTF-8, since servers would then read something else.
fn media_type(headers: &HeaderMap) -> Result<Option<String>, ()> {
    let mut told = headers.get_all(CONTENT_TYPE).iter();
    let Some(first) = told.next() else {
        return Ok(None);
    };
    if told.next().is_some() {
        return Err(());
    }
    let text = first.to_str().map_err(|_| ())?.to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_owned();
    let utf8 = |part: &str| match part.split_once('=') {
        Some((name, value)) if name.trim() == "charset" => {
            matches!(value.trim().trim_matches('"'), "utf-8" | "utf8")
        }
        _ => true,
    };
    parts.all(utf8).then_some(Some(media)).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_filter_says_is_cut_at_its_limit() {
        for chars in [FILTER_TAG_CHARS_MAX - 1, FILTER_TAG_CHARS_MAX] {
            let tag = "a".repeat(chars);
            assert_eq!(short("name", &tag), format!("name: {tag}"));
        }
        let cut = format!("name: {}… (truncated)", "a".repeat(FILTER_TAG_CHARS_MAX));
        let beyond = "a".repeat(FILTER_TAG_CHARS_MAX + 1);
        assert_eq!(short("name", &beyond), cut);
        // What is escaped counts as it is written.
        let line_ends = "\n".repeat(FILTER_TAG_CHARS_MAX / 4 + 1);
        assert!(short("name", &line_ends).ends_with("… (truncated)"));
    }
}
