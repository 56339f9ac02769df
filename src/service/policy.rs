//! Questions about an allowlist file beside any run: what is odd about it, what it says of a request,
//! and what it would have made of the requests of the past. The judging is the proxy's own; this
//! only tells of it. It knows no terminal.

pub mod back_test;
mod remarks;

use crate::sandbox::allowlist_file::{self, ALLOWLIST_BYTES_MAX};
use crate::sandbox::proxy::allowlist::Allowlist;
use crate::sandbox::proxy::filter::Plan;
use crate::sandbox::proxy::policy::{self, Asked, Denial, Rule, Verdict};
use crate::sandbox::proxy::target::repeats_request;

pub use remarks::remarks;

/// A file that cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It does not read; the text names it.
    #[error("{path}: {error}")]
    Disk {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is no allowlist; the text says where and why.
    #[error("{path}: {error}")]
    Content {
        /// The file.
        path: String,
        /// Why.
        error: String,
    },
}

/// An allowlist that can be asked.
#[derive(Debug, Clone, Default)]
pub struct Policy(Allowlist);

/// What a policy says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The rule that allows it, for example `url_prefixes[3]`.
    pub rule: Option<String>,
    /// The rule that came closest, when none allows it.
    pub nearest: Option<String>,
    /// Why, in words.
    pub why: String,
}

impl Answer {
    /// Returns whether the request may leave.
    pub fn is_allowed(&self) -> bool {
        self.rule.is_some()
    }
}

impl Policy {
    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`], which names the file and, for its content, line and column.
    pub fn read(path: &str) -> Result<Self, FileError> {
        let too_long = |length: u64| length > ALLOWLIST_BYTES_MAX as u64;
        let failed = |error| FileError::Disk {
            path: path.to_owned(),
            error,
        };
        let length = std::fs::metadata(path).map_err(failed)?.len();
        if too_long(length) {
            let error = format!("{length} bytes are beyond the limit of {ALLOWLIST_BYTES_MAX}");
            let path = path.to_owned();
            return Err(FileError::Content { path, error });
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        Self::parse(&bytes).map_err(|error| FileError::Content {
            path: path.to_owned(),
            error,
        })
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// When it is no allowlist; the text says where and why.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let read = allowlist_file::parse(bytes);
        read.map(Self).map_err(|error| error.reason().to_owned())
    }

    /// Reads an allowlist that is told as JSON.
    ///
    /// # Errors
    /// When it is none; the text says why.
    pub fn from_json(value: serde_json::Value) -> Result<Self, String> {
        let read = serde_json::from_value(value);
        read.map(Self).map_err(|error| error.to_string())
    }

    /// Returns the allowlist.
    pub fn allowlist(&self) -> &Allowlist {
        &self.0
    }

    /// Returns every rule in the order in which they are asked.
    pub fn rules(&self) -> impl Iterator<Item = Rule> + use<> {
        let domains = (0..self.0.domains.len()).map(Rule::Domain);
        domains.chain((0..self.0.url_prefixes.len()).map(Rule::UrlPrefix))
    }

    /// Returns a rule in words, for example `url_prefixes[3] (api.test /v1/* POST)`.
    pub fn describe(&self, rule: Rule) -> String {
        let text = match rule {
            Rule::Domain(index) => self.0.domains.get(index).cloned().unwrap_or_default(),
            Rule::UrlPrefix(index) => {
                let entry = self.0.url_prefixes.get(index).cloned().unwrap_or_default();
                let mut parts = vec![entry.host];
                parts.extend((!entry.path.is_empty()).then_some(entry.path));
                parts.extend((!entry.methods.is_empty()).then(|| entry.methods.join(",")));
                parts.extend(entry.graphql.is_some().then(|| "graphql".to_owned()));
                parts.join(" ")
            }
        };
        format!("{rule} ({text})")
    }

    /// Returns the rule that allows a request, or in a word why none does: `host`, `path`, `method`
    /// or `traversal`. For questions in great number; an empty method stands for any.
    pub fn brief(
        &self,
        host: &str,
        path_and_query: &str,
        method: &str,
    ) -> Result<Rule, &'static str> {
        let asked = Asked {
            host,
            path_and_query,
            method,
        };
        if repeats_request(method) {
            return Err("method");
        }
        match policy::judge(&self.0, asked) {
            Verdict::Allowed(rule) => Ok(rule),
            Verdict::Denied { denial, .. } => Err(match denial {
                Denial::Traversal => "traversal",
                Denial::Host => "host",
                Denial::Path => "path",
                Denial::Method => "method",
            }),
        }
    }

    /// Says what becomes of a request; an empty method stands for any.
    pub fn explain(&self, host: &str, path_and_query: &str, method: &str) -> Answer {
        let asked = Asked {
            host,
            path_and_query,
            method,
        };
        if repeats_request(method) {
            let why = format!("{method} is never allowed, since its answer repeats the request");
            return denied(None, why);
        }
        match policy::judge(&self.0, asked) {
            Verdict::Allowed(rule) => self.explain_allowed(rule, asked),
            Verdict::Denied { denial, nearest } => self.explain_denied(denial, nearest, asked),
        }
    }

    fn explain_allowed(&self, rule: Rule, asked: Asked<'_>) -> Answer {
        let further = match Plan::of(&self.0, rule, asked) {
            Some(_) => "; its body is judged too, before it leaves",
            None => "",
        };
        Answer {
            rule: Some(rule.to_string()),
            nearest: None,
            why: format!("{} allows it{further}", self.describe(rule)),
        }
    }

    fn explain_denied(&self, denial: Denial, nearest: Option<Rule>, asked: Asked<'_>) -> Answer {
        let nearest = match denial {
            Denial::Host => self.similar_host(asked.host),
            Denial::Traversal | Denial::Path | Denial::Method => nearest,
        };
        let beside = nearest.map(|rule| self.describe(rule)).unwrap_or_default();
        let why = match denial {
            Denial::Traversal => "its path tries to leave its place, or servers differ in what it \
                                  means, which no rule allows"
                .to_owned(),
            Denial::Host if beside.is_empty() => format!("no rule names {}", asked.host),
            Denial::Host => format!("no rule names {}; the nearest is {beside}", asked.host),
            Denial::Path => format!("{beside} names its host, but not its path"),
            Denial::Method => {
                let method = asked.method;
                format!("{beside} names its host and path, but not {method}")
            }
        };
        denied(nearest.map(|rule| rule.to_string()), why)
    }

    /// Returns the rule whose host looks most like this one.
    fn similar_host(&self, host: &str) -> Option<Rule> {
        let pattern = |rule: &Rule| match *rule {
            Rule::Domain(index) => &self.0.domains[index],
            Rule::UrlPrefix(index) => &self.0.url_prefixes[index].host,
        };
        let likeness = |rule: &Rule| strsim::jaro_winkler(pattern(rule), host);
        let mut best: Option<(f64, Rule)> = None;
        for rule in self.rules() {
            let alike = likeness(&rule);
            if best.is_none_or(|(most, _)| alike > most) {
                best = Some((alike, rule));
            }
        }
        best.map(|(_, rule)| rule)
    }
}

fn denied(nearest: Option<String>, why: String) -> Answer {
    Answer {
        rule: None,
        nearest,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "domains: [static.test]\nurl_prefixes:\n  - {host: api.test, path: /v1/*, \
                        methods: [POST]}\n  - {host: graph.test, path: /graphql, graphql: \
                        {queries: ['*']}}\n";

    #[track_caller]
    fn check(method: &str, host: &str, path: &str, rule: Option<&str>, words: &str) {
        let policy = Policy::parse(FILE.as_bytes()).unwrap();
        let answer = policy.explain(host, path, method);
        assert_eq!(answer.rule.as_deref(), rule);
        let brief = policy.brief(host, path, method).ok();
        assert_eq!(brief.map(|rule| rule.to_string()).as_deref(), rule);
        assert!(answer.why.contains(words), "{}", answer.why);
    }

    #[test]
    fn an_answer_names_the_rule_or_the_nearest_and_why_not() {
        check("GET", "static.test", "/", Some("domains[0]"), "allows it");
        check(
            "GET",
            "statik.test",
            "/",
            None,
            "the nearest is domains[0] (static.test)",
        );
        check(
            "GET",
            "api.test",
            "/v1/a",
            None,
            "(api.test /v1/* POST) names its host and path",
        );
        check("POST", "api.test", "/v2", None, "but not its path");
        check(
            "",
            "api.test",
            "/v1/a",
            Some("url_prefixes[0]"),
            "allows it",
        );
        check("GET", "static.test", "/a/../b", None, "leave its place");
        check("TRACE", "static.test", "/", None, "repeats the request");
        check(
            "POST",
            "graph.test",
            "/graphql",
            Some("url_prefixes[1]"),
            "body is judged too",
        );
    }

    #[test]
    fn a_file_that_names_a_wrong_key_is_refused_with_its_place() {
        let error = Policy::parse(b"url_prefixes:\n  - hots: a\n").unwrap_err();
        assert!(
            error.contains("line 2") && error.contains("host"),
            "{error}"
        );
    }
}
