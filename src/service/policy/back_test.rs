//! The back-test: the decisions of the past, made again by a proposed allowlist. It reads events and
//! changes nothing; bodies are in no event, so what filters would make of them it cannot tell.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::events::event::{ProxyEvent, TaskEvent};
use crate::events::id::{RepoId, TaskId};
use crate::events::proxy::{BlockCause, RequestLine};
use crate::events::{Event, Recorded};
use crate::sandbox::proxy::policy::{self, Asked, Rule, Verdict};
use crate::service::look::when::When;
use crate::service::policy::Policy;

/// Different requests that a report names of each kind; further ones are counted only.
pub const NAMED_MAX: usize = 1000;

/// What of the past is replayed.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Decisions of this moment and later; without it, all.
    pub since: Option<When>,
    /// Decisions on this repository's tasks; without it, on all.
    pub repo: Option<RepoId>,
}

/// Requests that are alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Request {
    /// Host.
    pub host: String,
    /// Path without query.
    pub path: String,
    /// Method.
    pub method: String,
}

/// Requests of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// How many decisions change so.
    pub decisions: u64,
    /// How often each request was made.
    pub requests: BTreeMap<Request, u64>,
}

impl Changed {
    fn add(&mut self, line: &RequestLine) {
        self.decisions += 1;
        let request = Request {
            host: line.host.clone(),
            path: line.path.clone(),
            method: line.method.clone(),
        };
        if self.requests.len() < NAMED_MAX || self.requests.contains_key(&request) {
            *self.requests.entry(request).or_default() += 1;
        }
    }
}

/// What a proposed allowlist would have changed.
#[derive(Debug)]
pub struct BackTest<'a> {
    policy: &'a Policy,
    scope: Scope,
    repos: BTreeMap<TaskId, RepoId>,
    used: BTreeSet<Rule>,
    /// Decisions that were made again.
    pub replayed: u64,
    /// Requests that were blocked and would be allowed.
    pub newly_allowed: Changed,
    /// Requests that were allowed and would be blocked.
    pub newly_blocked: Changed,
    /// Requests of which the log does not keep enough: the proposed rules look at their query,
    /// of which the log keeps a digest, or at a path that was cut.
    pub unclear: Changed,
}

impl<'a> BackTest<'a> {
    /// Returns a back-test that has seen nothing yet.
    pub fn new(policy: &'a Policy, scope: Scope) -> Self {
        Self {
            policy,
            scope,
            repos: BTreeMap::new(),
            used: BTreeSet::new(),
            replayed: 0,
            newly_allowed: Changed::default(),
            newly_blocked: Changed::default(),
            unclear: Changed::default(),
        }
    }

    /// Takes the next record in.
    pub fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Task(TaskEvent::Queued(queued)) if self.scope.repo.is_some() => {
                self.repos.insert(queued.task, queued.repo.clone());
            }
            Event::Proxy(ProxyEvent::RequestAllowed(allowed)) => {
                if self.concerns(recorded, allowed.run.task) {
                    self.replay(&allowed.line, true);
                }
            }
            Event::Proxy(ProxyEvent::RequestBlocked(blocked)) => {
                if by_rules(&blocked.cause) && self.concerns(recorded, blocked.run.task) {
                    self.replay(&blocked.line, false);
                }
            }
            Event::Proxy(_)
            | Event::Task(_)
            | Event::Service(_)
            | Event::Schedule(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Message(_)
            | Event::Conversation(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Delivery(_) => {}
        }
    }

    fn concerns(&self, recorded: &Recorded, task: TaskId) -> bool {
        let since = self.scope.since;
        let in_time = since.is_none_or(|since| match since {
            When::Position(position) => recorded.position >= position,
            When::Time(at) => recorded.at >= at,
        });
        let repo = self.scope.repo.as_ref();
        in_time && repo.is_none_or(|repo| self.repos.get(&task) == Some(repo))
    }

    fn replay(&mut self, line: &RequestLine, was_allowed: bool) {
        self.replayed += 1;
        match self.judge(line) {
            None => self.unclear.add(line),
            Some(Verdict::Allowed(rule)) => {
                self.used.insert(rule);
                if !was_allowed {
                    self.newly_allowed.add(line);
                }
            }
            Some(Verdict::Denied { .. }) if was_allowed => self.newly_blocked.add(line),
            Some(Verdict::Denied { .. }) => {}
        }
    }

    /// Returns the verdict, unless it hangs on what the log does not keep.
    fn judge(&self, line: &RequestLine) -> Option<Verdict> {
        let judge = |path_and_query: &str| {
            let asked = Asked {
                host: &line.host,
                path_and_query,
                method: &line.method,
            };
            policy::judge(self.policy.allowlist(), asked)
        };
        let verdict = judge(&line.path);
        let by_host = matches!(verdict, Verdict::Allowed(Rule::Domain(_)));
        // Escaped bytes and a cut end stand for something else than they are.
        if !by_host && line.path.contains(['\\', '…']) {
            return None;
        }
        if line.query_sha256.is_none() || by_host {
            return Some(verdict);
        }
        let with_query = judge(&format!("{}?…", line.path));
        (with_query == verdict).then_some(verdict)
    }

    /// Returns the rules that allowed none of the requests, each in words.
    pub fn unused(&self) -> Vec<String> {
        let unused = self.policy.rules().filter(|rule| !self.used.contains(rule));
        unused.map(|rule| self.policy.describe(rule)).collect()
    }
}

/// Returns whether a request was blocked by what an allowlist says, and not for what it is.
fn by_rules(cause: &BlockCause) -> bool {
    match cause {
        BlockCause::Host | BlockCause::Path | BlockCause::Method => true,
        BlockCause::Traversal
        | BlockCause::HostMismatch
        | BlockCause::Connect
        | BlockCause::Malformed
        | BlockCause::Filter
        | BlockCause::Address
        | BlockCause::Credential
        | BlockCause::Honey => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::id::{ConversationId, InboundId, Position, RequestId, Sha256};
    use crate::events::proxy::{RequestAllowed, RequestBlocked};
    use crate::events::task::TaskQueued;
    use crate::projections::testing::recorded;

    fn line(host: &str, path: &str, has_query: bool) -> RequestLine {
        RequestLine {
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            host: host.to_owned(),
            port: 443,
            path: path.to_owned(),
            query_sha256: has_query.then_some(Sha256([0; 32])),
            http_version: "HTTP/2".to_owned(),
        }
    }

    fn allowed(task: TaskId, line: RequestLine) -> Event {
        RequestAllowed {
            run: task.run(1),
            request: RequestId(1),
            line,
            rule: "domains[0]".to_owned(),
            credentials: Vec::new(),
            stripped: Vec::new(),
        }
        .into()
    }

    fn blocked(task: TaskId, line: RequestLine, cause: BlockCause) -> Event {
        RequestBlocked {
            run: task.run(1),
            request: RequestId(2),
            line,
            cause,
            detail: String::new(),
            status: 403,
        }
        .into()
    }

    fn queued(repo: &str) -> (TaskId, Event) {
        let inbound = InboundId::from_dedupe_key(repo);
        let queued = TaskQueued {
            sender_name: String::new(),
            task: inbound.task(),
            inbound,
            repo: RepoId(repo.to_owned()),
            conversation: ConversationId(1),
            sender: String::new(),
            title: String::new(),
        };
        (inbound.task(), queued.into())
    }

    fn past() -> Vec<Recorded> {
        let (one, queued_one) = queued("one");
        let (two, queued_two) = queued("two");
        recorded(vec![
            queued_one,
            queued_two,
            allowed(one, line("old.test", "/", false)),
            allowed(one, line("kept.test", "/a", true)),
            blocked(one, line("new.test", "/", false), BlockCause::Host),
            blocked(two, line("new.test", "/", false), BlockCause::Host),
            blocked(two, line("new.test", "/", false), BlockCause::Address),
            allowed(two, line("query.test", "/exact", true)),
        ])
    }

    const FILE: &[u8] = b"domains: [new.test, unused.test]\nurl_prefixes:\n  - {host: kept.test, \
                          path: /a*}\n  - {host: query.test, path: /exact}\n";

    #[track_caller]
    fn check(scope: Scope, expected: [u64; 4]) {
        let policy = Policy::parse(FILE).unwrap();
        let mut test = BackTest::new(&policy, scope);
        past().iter().for_each(|recorded| test.apply(recorded));
        let told = [
            test.replayed,
            test.newly_allowed.decisions,
            test.newly_blocked.decisions,
            test.unclear.decisions,
        ];
        assert_eq!(told, expected);
        assert!(
            test.unused()
                .iter()
                .any(|rule| rule == "domains[1] (unused.test)")
        );
    }

    #[test]
    fn the_past_is_decided_again_within_a_scope() {
        check(Scope::default(), [5, 2, 1, 1]);
        let repo = Some(RepoId("one".to_owned()));
        check(Scope { since: None, repo }, [3, 1, 1, 0]);
        let since = Some(When::Position(Position(5)));
        check(Scope { since, repo: None }, [3, 2, 0, 1]);
    }
}
