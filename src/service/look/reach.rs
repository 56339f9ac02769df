//! The three questions about a task: what could it reach, who allowed it, what did it send. Answered
//! from its record alone.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::events::id::{AtMs, Position, RunId, TaskId};
use crate::events::message::SenderAuthorized;
use crate::events::run::PolicyInForce;
use crate::events::task::TaskQueued;
use crate::projections::audit::{Audit, End, Entry, Moment};
use crate::service::look::text::policy;
use crate::service::look::transcript::{Read, entry_lines};
use crate::service::look::when::time;

/// Requests and bytes, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Requests that might leave.
    pub allowed: u64,
    /// Requests and connections that might not.
    pub refused: u64,
    /// Body bytes sent upstream, as far as requests have ended.
    pub bytes_up: u64,
    /// Body bytes that came back.
    pub bytes_down: u64,
    /// Names that were asked for.
    pub names: u64,
}

/// One run: what it might do and what it did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReach {
    /// The run.
    pub run: RunId,
    /// Where its policy stands in the log.
    pub position: Position,
    /// Since when it holds.
    pub at: AtMs,
    /// The policy.
    pub policy: PolicyInForce,
    /// The allowlist's text.
    pub allowlist: Option<String>,
    /// Everything that was decided about what it asked for.
    pub decisions: Vec<Entry>,
    /// Added up.
    pub sum: Sum,
}

/// The answer for a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reach {
    /// Who asked for it, and what it is called.
    pub queued: Option<TaskQueued>,
    /// Why they were let in.
    pub authorized: Option<SenderAuthorized>,
    /// The task that was worked on in its place, when the two are answered together.
    pub answered_with: Option<TaskId>,
    /// Its runs, oldest first.
    pub runs: Vec<RunReach>,
    /// How many older entries are left out; they are in the log.
    pub dropped: u64,
}

impl Reach {
    /// Returns the answer that a task's record gives.
    pub fn of(audit: &Audit, read: Read<'_>) -> Self {
        let mut reach = Self {
            dropped: audit.dropped(),
            ..Self::default()
        };
        let mut runs: BTreeMap<RunId, RunReach> = BTreeMap::new();
        for entry in audit.entries() {
            match &entry.moment {
                Moment::Queued(queued) => reach.queued = Some(queued.clone()),
                Moment::Authorized(authorized) => reach.authorized = Some(authorized.clone()),
                Moment::Coalesced(coalesced) => reach.answered_with = Some(coalesced.into),
                Moment::Policy(policy) => {
                    runs.insert(policy.run, run_reach(entry, policy, read));
                }
                moment => {
                    let run = run_of(moment).and_then(|run| runs.get_mut(&run));
                    if let Some(run) = run {
                        run.sum.add(moment);
                        run.decisions.push(entry.clone());
                    }
                }
            }
        }
        reach.runs = runs.into_values().collect();
        reach
    }

    /// Returns it as text.
    pub fn lines(&self, read: Read<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(queued) = &self.queued {
            let (title, sender, repo) = (&queued.title, &queued.sender, &queued.repo);
            lines.push(format!("{title:?} on {repo}, asked for by {sender}"));
        }
        if let Some(authorized) = &self.authorized {
            let (rule, method) = (&authorized.rule, &authorized.method);
            let evidence = &authorized.evidence;
            lines.push(format!(
                "let in by rule {rule:?}, proven by {method:?} ({evidence})"
            ));
        }
        if self.dropped > 0 {
            lines.push(format!(
                "({} older entries are only in the log)",
                self.dropped
            ));
        }
        match self.answered_with {
            Some(into) => lines.push(format!(
                "it is answered with task {into}, which had the runs: airut replay --task {into}"
            )),
            None if self.runs.is_empty() => {
                lines.push("no run was planned yet: it could reach nothing".to_owned());
            }
            None => {}
        }
        lines.extend(self.runs.iter().flat_map(|run| run.lines(read)));
        lines
    }
}

impl RunReach {
    fn lines(&self, read: Read<'_>) -> Vec<String> {
        let (run, position, at) = (self.run, self.position, time(self.at));
        let mut lines = vec![format!("Run {run}, planned {at} [{position}]")];
        lines.extend(policy(&self.policy, "  "));
        if let Some(text) = &self.allowlist {
            lines.push("  it might reach:".to_owned());
            lines.extend(text.lines().map(|line| format!("    {line}")));
        }
        lines.push("  it asked for:".to_owned());
        let decisions = self.decisions.iter();
        let decided = decisions.flat_map(|entry| entry_lines(entry, read));
        lines.extend(decided.map(|line| format!("    {line}")));
        let Sum {
            allowed,
            refused,
            bytes_up,
            bytes_down,
            names,
        } = self.sum;
        lines.push(format!(
            "  in all: {allowed} allowed ({bytes_up} bytes up, {bytes_down} bytes down), \
             {refused} refused, {names} names"
        ));
        lines
    }
}

impl Sum {
    fn add(&mut self, moment: &Moment) {
        match moment {
            Moment::Allowed { end, .. } => {
                self.allowed += 1;
                if let Some(End::Completed(end)) = end {
                    self.bytes_up = self.bytes_up.saturating_add(end.bytes_up);
                    self.bytes_down = self.bytes_down.saturating_add(end.bytes_down);
                }
            }
            Moment::Blocked(_) | Moment::Refused(_) => self.refused += 1,
            Moment::Name(_) => self.names += 1,
            Moment::NamesNotListed(names) => self.names = self.names.saturating_add(names.count),
            _ => {}
        }
    }
}

fn run_reach(entry: &Entry, policy: &PolicyInForce, read: Read<'_>) -> RunReach {
    RunReach {
        run: policy.run,
        position: entry.position,
        at: entry.at,
        policy: policy.clone(),
        allowlist: policy.allowlist.as_ref().map(read),
        decisions: vec![],
        sum: Sum::default(),
    }
}

/// The run that a decision of the proxy is about.
fn run_of(moment: &Moment) -> Option<RunId> {
    match moment {
        Moment::Allowed { allowed, .. } => Some(allowed.run),
        Moment::Blocked(blocked) => Some(blocked.run),
        Moment::Refused(refused) => Some(refused.run),
        Moment::Name(name) => Some(name.run),
        Moment::NamesNotListed(names) => Some(names.run),
        Moment::DecisionLimit(limit) => Some(limit.run),
        Moment::Honey(seen) => Some(seen.run),
        Moment::SignatureRefused(refused) => Some(refused.run),
        Moment::RelaxedAudit(relaxed) => Some(relaxed.run),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::id::{ConversationId, InboundId, RepoId};
    use crate::events::task::TaskCoalesced;
    use crate::projections::Projection as _;
    use crate::projections::audit::Subject;
    use crate::projections::testing::recorded;

    #[test]
    fn a_task_that_is_answered_with_another_leads_to_the_runs() {
        let inbound = InboundId::from_dedupe_key("a");
        let (task, into) = (inbound.task(), TaskId(7));
        let queued = TaskQueued {
            sender_name: String::new(),
            task,
            inbound,
            repo: RepoId("r".to_owned()),
            conversation: ConversationId(1),
            sender: "alice".to_owned(),
            title: "a".to_owned(),
        };
        let read = |_: &_| String::new();
        let told = |events| {
            let mut audit = Audit::of(Subject::Task(task));
            recorded(events)
                .iter()
                .for_each(|recorded| audit.apply(recorded));
            Reach::of(&audit, &read).lines(&read).pop().unwrap()
        };
        let waiting = told(vec![queued.clone().into()]);
        assert!(waiting.contains("no run was planned yet"), "{waiting}");
        let events = vec![queued.into(), TaskCoalesced { task, into }.into()];
        let led = told(events);
        assert!(led.contains("airut replay --task 000000000007"), "{led}");
    }
}
