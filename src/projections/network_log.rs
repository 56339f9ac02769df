//! What each conversation's runs did on the network, as text in the line format of the original
//! (spec row NET-27). Names and paths come escaped from the proxy, so no line can be forged.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::events::event::{ConversationEvent, ProxyEvent, TaskEvent};
use crate::events::id::{AtMs, ConversationId, RequestId, RunId, TaskId};
use crate::events::proxy::{BlockCause, RequestAllowed, RequestBlocked, RequestLine};
use crate::events::{Event, Recorded};
use crate::projections::Projection;
use crate::projections::civil::iso_seconds;

/// Lines kept for each conversation; the oldest give way, the log keeps them all.
pub const LINES_MAX: usize = 10_000;

/// The lines of one conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// Oldest first.
    pub lines: VecDeque<String>,
    /// How many older ones gave way.
    pub dropped: u64,
}

/// Network lines by conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkLog {
    by_conversation: BTreeMap<ConversationId, Lines>,
    runs: BTreeMap<RunId, ConversationId>,
    /// Allowed requests that have no end yet.
    open: BTreeMap<RunId, BTreeMap<RequestId, RequestAllowed>>,
    /// What filters said of requests that have no line yet.
    tags: BTreeMap<RunId, BTreeMap<RequestId, Vec<String>>>,
}

impl NetworkLog {
    /// Returns the lines of a conversation.
    pub fn lines(&self, conversation: ConversationId) -> Option<&Lines> {
        self.by_conversation.get(&conversation)
    }

    /// Lists what a run does under a conversation, from its start on.
    pub fn begin(&mut self, run: RunId, conversation: ConversationId, at: AtMs) {
        self.runs.insert(run, conversation);
        self.push(run, format!("=== TASK START {}Z ===", iso_seconds(at)));
    }

    /// Takes the lines of a conversation, for a reader that keeps them itself.
    pub fn take_lines(&mut self, conversation: ConversationId) -> VecDeque<String> {
        let lines = self.by_conversation.remove(&conversation);
        lines.unwrap_or_default().lines
    }

    fn push(&mut self, run: RunId, line: String) {
        let Some(conversation) = self.runs.get(&run) else {
            return;
        };
        let log = self.by_conversation.entry(*conversation).or_default();
        log.lines.push_back(line);
        if log.lines.len() > LINES_MAX {
            log.lines.pop_front();
            log.dropped += 1;
        }
    }

    /// Forgets the runs of a task that is over: nothing of them comes any more.
    fn end(&mut self, task: TaskId) {
        self.runs.retain(|run, _| run.task != task);
        self.open.retain(|run, _| run.task != task);
        self.tags.retain(|run, _| run.task != task);
    }

    fn close(&mut self, run: RunId, request: RequestId) -> Option<RequestAllowed> {
        self.open.get_mut(&run)?.remove(&request)
    }

    fn take_tags(&mut self, run: RunId, request: RequestId) -> Vec<String> {
        let tags = self.tags.get_mut(&run);
        tags.and_then(|tags| tags.remove(&request))
            .unwrap_or_default()
    }

    /// Takes in what a proxy decided or saw.
    pub fn apply_proxy(&mut self, event: &ProxyEvent) {
        match event {
            ProxyEvent::DnsQueryAnswered(query) => {
                let (query_type, name, answer) = (&query.query_type, &query.name, &query.answer);
                self.push(query.run, format!("DNS {query_type} {name} -> {answer}"));
            }
            ProxyEvent::RequestAllowed(allowed) => {
                for header in &allowed.stripped {
                    let url = url(&allowed.line);
                    self.push(allowed.run, format!("STRIPPED {header} {url}"));
                }
                let open = self.open.entry(allowed.run).or_default();
                open.insert(allowed.request, allowed.clone());
            }
            ProxyEvent::RequestInspected(inspected) => {
                let tags = self.tags.entry(inspected.run).or_default();
                tags.insert(inspected.request, inspected.tags.clone());
            }
            ProxyEvent::RequestBlocked(blocked) => {
                let tags = self.take_tags(blocked.run, blocked.request);
                self.push(blocked.run, blocked_line(blocked, &tags));
            }
            ProxyEvent::ConnectionRefused(refused) => {
                let (name, port, reason) = (&refused.name, refused.port, &refused.reason);
                self.push(
                    refused.run,
                    format!("BLOCKED CONNECT {name}:{port} -> 403 ({reason})"),
                );
            }
            ProxyEvent::UpstreamFailed(failed) => {
                self.take_tags(failed.run, failed.request);
                if let Some(allowed) = self.close(failed.run, failed.request) {
                    let (method, url) = (&allowed.line.method, url(&allowed.line));
                    let line = format!("ERROR {method} {url} -> {}", failed.error);
                    self.push(failed.run, line);
                }
            }
            ProxyEvent::ResponseCompleted(completed) => {
                if let Some(allowed) = self.close(completed.run, completed.request) {
                    let tags = self.take_tags(completed.run, completed.request);
                    let line = allowed_line(&allowed, completed.status, &tags);
                    self.push(completed.run, line);
                }
            }
            ProxyEvent::DnsQueriesSuppressed(suppressed) => {
                let line = format!("=== {} DNS QUERIES NOT LISTED ===", suppressed.count);
                self.push(suppressed.run, line);
            }
            ProxyEvent::DecisionLimitReached(reached) => {
                let count = reached.decisions_max;
                let line = format!("=== {count} REQUESTS REACHED: ALL FURTHER ONES -> 429 ===");
                self.push(reached.run, line);
            }
            ProxyEvent::HoneySurrogateSeen(seen) => {
                let line = format!(
                    "=== HONEY SURROGATE IN {}: NOTHING MORE LEAVES ===",
                    seen.place
                );
                self.push(seen.run, line);
            }
            ProxyEvent::SignatureRefused(refused) => {
                let (name, status) = (&refused.credential, refused.status);
                let code = refused.code.as_deref().unwrap_or("no code");
                let skew = refused.skew.iter().map(|skew| format!(", {skew}"));
                let skew: String = skew.collect();
                let line = format!("=== SIGNATURE OF {name} REFUSED: {status} {code}{skew} ===");
                self.push(refused.run, line);
            }
            ProxyEvent::RelaxedAuditInForce(_) => {}
        }
    }
}

/// Returns the URL of a request as it is told: without a port that goes without saying, and with no
/// word of its query but that there is one.
pub fn url(line: &RequestLine) -> String {
    let RequestLine {
        scheme,
        host,
        port,
        path,
        query_sha256,
        ..
    } = line;
    let standard = matches!((scheme.as_str(), port), ("http", 80) | ("https", 443));
    let port = if standard {
        String::new()
    } else {
        format!(":{port}")
    };
    let query = if query_sha256.is_some() { "?…" } else { "" };
    format!("{scheme}://{host}{port}{path}{query}")
}

fn allowed_line(allowed: &RequestAllowed, status: u16, tags: &[String]) -> String {
    let masked: u32 = allowed.credentials.iter().map(|used| used.count).sum();
    let mut line = format!(
        "ALLOWED {} {} -> {status}",
        allowed.line.method,
        url(&allowed.line)
    );
    line.push_str(&bracketed(tags));
    if masked > 0 {
        line.push_str(&tag("masked", masked as usize));
    }
    if !allowed.stripped.is_empty() {
        line.push_str(&tag("dropped", allowed.stripped.len()));
    }
    line
}

/// Returns what filters said, before all other tags of a line.
fn bracketed(tags: &[String]) -> String {
    tags.iter().map(|tag| format!(" [{tag}]")).collect()
}

fn tag(name: &str, count: usize) -> String {
    format!(" [{name}: {count}]")
}

fn blocked_line(blocked: &RequestBlocked, tags: &[String]) -> String {
    let (method, status) = (&blocked.line.method, blocked.status);
    match blocked.cause {
        BlockCause::Connect => {
            let (host, port, detail) = (&blocked.line.host, blocked.line.port, &blocked.detail);
            format!("BLOCKED CONNECT {host}:{port} -> {status} ({detail})")
        }
        BlockCause::Host
        | BlockCause::Path
        | BlockCause::Method
        | BlockCause::Traversal
        | BlockCause::HostMismatch
        | BlockCause::Malformed
        | BlockCause::Filter
        | BlockCause::Address
        | BlockCause::Credential
        | BlockCause::Honey => {
            let (url, tags) = (url(&blocked.line), bracketed(tags));
            format!("BLOCKED {method} {url} -> {status}{tags}")
        }
    }
}

impl Projection for NetworkLog {
    const NAME: &'static str = "network_log";
    const CODE_VERSION: u32 = 3;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Conversation(ConversationEvent::PromptComposed(prompt)) => {
                self.begin(prompt.run, prompt.conversation, recorded.at);
            }
            Event::Proxy(event) => self.apply_proxy(event),
            Event::Task(TaskEvent::Completed(completed)) => self.end(completed.task),
            Event::Conversation(_)
            | Event::Service(_)
            | Event::Schedule(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Message(_)
            | Event::Task(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Delivery(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_filters_said_stands_first_on_a_line() {
        let line = RequestLine {
            method: "POST".to_owned(),
            scheme: "https".to_owned(),
            host: "a.test".to_owned(),
            port: 443,
            path: "/graphql".to_owned(),
            query_sha256: None,
            http_version: "HTTP/2".to_owned(),
        };
        let allowed = RequestAllowed {
            run: TaskId(1).run(1),
            request: RequestId(1),
            line,
            rule: "url_prefixes[0]".to_owned(),
            credentials: Vec::new(),
            stripped: vec!["x-api-key".to_owned()],
        };
        let tags = [
            "graphql-op: query/viewer".to_owned(),
            "tool-domains: x".to_owned(),
        ];
        assert_eq!(
            allowed_line(&allowed, 200, &tags),
            "ALLOWED POST https://a.test/graphql -> 200 [graphql-op: query/viewer] \
             [tool-domains: x] [dropped: 1]"
        );
    }
}
