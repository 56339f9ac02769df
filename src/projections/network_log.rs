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
    }

    fn close(&mut self, run: RunId, request: RequestId) -> Option<RequestAllowed> {
        self.open.get_mut(&run)?.remove(&request)
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
            ProxyEvent::RequestBlocked(blocked) => self.push(blocked.run, blocked_line(blocked)),
            ProxyEvent::ConnectionRefused(refused) => {
                let (name, port, reason) = (&refused.name, refused.port, &refused.reason);
                self.push(
                    refused.run,
                    format!("BLOCKED CONNECT {name}:{port} -> 403 ({reason})"),
                );
            }
            ProxyEvent::UpstreamFailed(failed) => {
                if let Some(allowed) = self.close(failed.run, failed.request) {
                    let (method, url) = (&allowed.line.method, url(&allowed.line));
                    let line = format!("ERROR {method} {url} -> {}", failed.error);
                    self.push(failed.run, line);
                }
            }
            ProxyEvent::ResponseCompleted(completed) => {
                if let Some(allowed) = self.close(completed.run, completed.request) {
                    let line = allowed_line(&allowed, completed.status);
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

fn allowed_line(allowed: &RequestAllowed, status: u16) -> String {
    let masked: u32 = allowed.credentials.iter().map(|used| used.count).sum();
    let mut line = format!(
        "ALLOWED {} {} -> {status}",
        allowed.line.method,
        url(&allowed.line)
    );
    if masked > 0 {
        line.push_str(&tag("masked", masked as usize));
    }
    if !allowed.stripped.is_empty() {
        line.push_str(&tag("dropped", allowed.stripped.len()));
    }
    line
}

fn tag(name: &str, count: usize) -> String {
    format!(" [{name}: {count}]")
}

fn blocked_line(blocked: &RequestBlocked) -> String {
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
        | BlockCause::Credential => {
            format!("BLOCKED {method} {} -> {status}", url(&blocked.line))
        }
    }
}

impl Projection for NetworkLog {
    const NAME: &'static str = "network_log";
    const CODE_VERSION: u32 = 2;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Conversation(ConversationEvent::PromptComposed(prompt)) => {
                self.begin(prompt.run, prompt.conversation, recorded.at);
            }
            Event::Proxy(event) => self.apply_proxy(event),
            Event::Task(TaskEvent::Completed(completed)) => self.end(completed.task),
            Event::Conversation(_)
            | Event::Service(_)
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
