//! The honey surrogate: a value that stands for no credential at all. Whoever sends it anywhere has
//! taken it from the agent's environment, so that its appearance is proof of a theft and no guess.
//! Pure; it knows no connection and not what follows from a finding.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use http::HeaderMap;
use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};

use crate::sandbox::proxy::glob;
use crate::sandbox::proxy::scrub::forms;
use crate::sandbox::proxy::wire::Secret;

/// What the proxy of a run watches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Honey {
    /// The value that the agent has.
    pub value: Secret,
    /// Requests whose bodies are the agent's own talk with its model: they hold what it has read,
    /// its environment too, and are no theft.
    pub model_calls: Vec<ModelCall>,
}

/// A kind of request to a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCall {
    /// Pattern of the host.
    pub host: String,
    /// Pattern of the path, without query.
    pub path: String,
}

impl Honey {
    /// Returns whether a body of this request is the agent's talk with its model.
    pub fn is_model_call(&self, method: &str, host: &str, path_and_query: &str) -> bool {
        let path = path_and_query.split('?').next().unwrap_or_default();
        let matching = |call: &ModelCall| {
            glob::matches_ignoring_case(&call.host, host) && glob::matches(&call.path, path)
        };
        method == "POST" && self.model_calls.iter().any(matching)
    }
}

/// What finds the value in everything that could go out.
#[derive(Debug)]
pub struct Trap {
    honey: Honey,
    /// Its forms, as they are.
    bytes: AhoCorasick,
    /// What of it fits into a name, in any case.
    names: AhoCorasick,
    longest: usize,
}

impl Trap {
    /// Returns the trap; nothing for a value that is too short to be told from innocent text.
    pub fn new(honey: Honey) -> Option<Self> {
        let value = honey.value.expose();
        let reversed: String = value.chars().rev().collect();
        let mut found: Vec<Vec<u8>> = forms::of(value, value)
            .into_iter()
            .map(|form| form.real)
            .collect();
        let longest = found.iter().map(Vec::len).max()?;
        found.push(reversed.clone().into_bytes());
        let bytes = AhoCorasick::new(&found).ok()?;
        let in_names = [value.to_owned(), reversed, hex::encode(value)];
        let names = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(in_names)
            .ok()?;
        Some(Self {
            honey,
            bytes,
            names,
            longest,
        })
    }

    /// Returns whose trap it is.
    pub fn honey(&self) -> &Honey {
        &self.honey
    }

    /// Returns whether a name holds it, however it is cut into labels.
    pub fn in_name(&self, name: &[u8]) -> bool {
        let joined: Vec<u8> = name.iter().copied().filter(|byte| *byte != b'.').collect();
        self.names.is_match(&joined)
    }

    /// Returns whether bytes hold it in any of its forms.
    pub fn in_bytes(&self, bytes: &[u8]) -> bool {
        self.bytes.is_match(bytes)
    }

    /// Returns whether a part of a URL holds it: as sent, or percent-decoded once or twice.
    pub fn in_url(&self, part: &str) -> bool {
        let once: Vec<u8> = percent_decode(part.as_bytes()).collect();
        let twice: Vec<u8> = percent_decode(&once).collect();
        [part.as_bytes(), &once, &twice]
            .into_iter()
            .any(|bytes| self.in_bytes(bytes) || self.in_name(bytes))
    }

    /// Returns the first header that holds it, in its name or its value; the name is told only where
    /// it is not what was found.
    pub fn in_headers(&self, headers: &HeaderMap) -> Option<String> {
        headers.iter().find_map(|(name, value)| {
            if self.in_name(name.as_str().as_bytes()) {
                return Some("the name of a header".to_owned());
            }
            let decoded: Vec<u8> = percent_decode(value.as_bytes()).collect();
            let held = self.in_bytes(value.as_bytes()) || self.in_bytes(&decoded);
            held.then(|| format!("the header {}", beginning(name.as_str())))
        })
    }
}

/// Longest header name that is told, in bytes; of a longer one only the beginning is.
const NAME_BYTES_MAX: usize = 64;

fn beginning(name: &str) -> &str {
    // Header names are ASCII.
    &name[..name.len().min(NAME_BYTES_MAX)]
}

/// One stream of bytes that is looked through.
#[derive(Debug)]
pub struct Looking {
    trap: Arc<Trap>,
    /// The end of what has passed; shorter than the longest form.
    tail: Vec<u8>,
}

impl Looking {
    /// Begins a stream.
    pub fn new(trap: Arc<Trap>) -> Self {
        let tail = Vec::new();
        Self { trap, tail }
    }

    /// Takes the next piece and returns whether the value is complete with it: this piece must not
    /// go on then. A beginning of the value may have gone in earlier ones.
    pub fn push(&mut self, piece: &[u8]) -> bool {
        let overlap = self.trap.longest - 1;
        let mut joined = std::mem::take(&mut self.tail);
        joined.extend_from_slice(&piece[..piece.len().min(overlap)]);
        if self.trap.in_bytes(&joined) || self.trap.in_bytes(piece) {
            return true;
        }
        let rest = if piece.len() >= overlap {
            &piece[piece.len() - overlap..]
        } else {
            &joined[joined.len().saturating_sub(overlap)..]
        };
        self.tail = rest.to_vec();
        false
    }
}

#[cfg(test)]
mod tests;
