//! The record of one conversation or one task, as an auditor reads it: who asked and why they were let
//! in, what each run might reach, what it said, each decision about its requests in place and with
//! the bytes that went each way, and what was answered. It judges nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::events::event::{ConversationEvent, DeliveryEvent, MessageEvent, ProxyEvent, RunEvent};
use crate::events::id::{
    Actor, AtMs, ConversationId, DeliveryId, InboundId, Position, RequestId, RunId, TaskId,
};
use crate::events::proxy::RequestAllowed;
use crate::events::{Event, Recorded};
use crate::projections::Projection;

mod moment;
mod task;

pub use moment::{End, Moment};

/// Lines of agents kept; the oldest give way and are counted, the log keeps them all.
pub const LINES_MAX: usize = 20_000;

/// Entries of every other sort kept; the oldest give way and are counted, the log keeps them all.
pub const ENTRIES_MAX: usize = 100_000;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A conversation with all its tasks.
    Conversation(ConversationId),
    /// A task alone.
    Task(TaskId),
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the log.
    pub position: Position,
    /// When it was recorded.
    pub at: AtMs,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    pub moment: Moment,
}

/// The record of one subject; of none, it stays empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    subject: Option<Subject>,
    /// Whether the log has named the subject.
    known: bool,
    tasks: BTreeSet<TaskId>,
    entries: BTreeMap<Position, Entry>,
    /// Which of them are lines of agents: they give way first.
    lines: VecDeque<Position>,
    dropped: u64,
    /// What is known of messages that belong to nothing yet.
    arriving: BTreeMap<InboundId, Vec<Entry>>,
    /// Allowed requests that have no end yet, and where they stand.
    open: BTreeMap<RunId, BTreeMap<RequestId, Position>>,
    deliveries: BTreeSet<DeliveryId>,
}

impl Audit {
    /// Returns the record of a subject before the first event.
    pub fn of(subject: Subject) -> Self {
        Self {
            subject: Some(subject),
            ..Self::default()
        }
    }

    /// Returns whether the log has named the subject.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Returns what happened, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Returns how many older entries gave way.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn has(&self, task: TaskId) -> bool {
        self.tasks.contains(&task)
    }

    fn keep(&mut self, entry: Entry) {
        if entry.moment.is_line() {
            self.lines.push_back(entry.position);
        }
        self.entries.insert(entry.position, entry);
        let gives_way = if self.lines.len() > LINES_MAX {
            self.lines.pop_front()
        } else if self.entries.len() - self.lines.len() > ENTRIES_MAX {
            self.entries.keys().next().copied()
        } else {
            None
        };
        if let Some(position) = gives_way {
            self.entries.remove(&position);
            // Both are in order: an entry that is the oldest is the oldest line or none.
            self.lines.pop_front_if(|line| *line == position);
            self.dropped += 1;
        }
    }

    /// Keeps what happened to one of the subject's tasks; of others nothing is even copied.
    fn keep_of(&mut self, task: TaskId, recorded: &Recorded, moment: impl FnOnce() -> Moment) {
        if self.has(task) {
            self.keep(entry(recorded, moment()));
        }
    }

    fn arrive(&mut self, inbound: InboundId, recorded: &Recorded, moment: Moment) {
        if self.subject.is_none() {
            return;
        }
        let arriving = self.arriving.entry(inbound).or_default();
        arriving.push(entry(recorded, moment));
    }

    /// A task is the subject's when it is the subject or its conversation is; what its message said
    /// before then belongs to it.
    fn admit(&mut self, inbound: InboundId, task: TaskId, conversation: ConversationId) {
        let wanted = match self.subject {
            Some(Subject::Conversation(id)) => id == conversation,
            Some(Subject::Task(id)) => id == task,
            None => false,
        };
        let arrived = self.arriving.remove(&inbound).unwrap_or_default();
        if wanted {
            self.known = true;
            self.tasks.insert(task);
            arrived.into_iter().for_each(|entry| self.keep(entry));
        }
    }

    fn apply_message(&mut self, recorded: &Recorded, event: &MessageEvent) {
        match event {
            MessageEvent::Received(it) => {
                self.arrive(it.inbound, recorded, Moment::Received(it.clone()));
            }
            MessageEvent::SenderAuthorized(it) => {
                self.arrive(it.inbound, recorded, Moment::Authorized(it.clone()));
            }
            MessageEvent::Parsed(parsed) => {
                self.arrive(parsed.inbound, recorded, Moment::Asked(parsed.clone()));
            }
            MessageEvent::Rejected(rejected) => {
                self.arriving.remove(&rejected.inbound);
            }
            MessageEvent::Routed(routed) => {
                self.admit(routed.inbound, routed.task, routed.conversation);
            }
            MessageEvent::DuplicateIgnored(_)
            | MessageEvent::SourceAcknowledged(_)
            | MessageEvent::JoinRefused(_) => {}
        }
    }

    fn apply_run(&mut self, recorded: &Recorded, event: &RunEvent) {
        match event {
            RunEvent::Planned(planned) => {
                self.keep_of(planned.run.task, recorded, || {
                    Moment::Planned(planned.clone())
                });
            }
            RunEvent::PolicyInForce(policy) => {
                self.keep_of(policy.run.task, recorded, || Moment::Policy(policy.clone()));
            }
            RunEvent::AgentEventObserved(line) => {
                self.keep_of(line.run.task, recorded, || Moment::AgentSaid(line.clone()));
            }
            RunEvent::AgentErrorOutput(text) => {
                self.keep_of(text.run.task, recorded, || {
                    Moment::AgentComplained(text.clone())
                });
            }
            RunEvent::CutOff(cut_off) => {
                self.keep_of(cut_off.run.task, recorded, || {
                    Moment::CutOff(cut_off.clone())
                });
            }
            RunEvent::OutcomeClassified(judged) => {
                self.keep_of(judged.run.task, recorded, || Moment::Judged(judged.clone()));
            }
            RunEvent::ImageBuildStarted(_)
            | RunEvent::ImageBuilt(_)
            | RunEvent::ImageBuildFailed(_) => {}
        }
    }

    fn apply_proxy(&mut self, recorded: &Recorded, event: &ProxyEvent) {
        match event {
            ProxyEvent::RequestAllowed(allowed) => self.allow(recorded, allowed),
            ProxyEvent::ResponseCompleted(completed) => {
                let (run, request) = (completed.run, completed.request);
                self.end(run, request, || End::Completed(completed.clone()));
            }
            ProxyEvent::UpstreamFailed(failed) => {
                self.end(failed.run, failed.request, || End::Failed(failed.clone()));
            }
            ProxyEvent::DnsQueryAnswered(query) => {
                self.keep_of(query.run.task, recorded, || Moment::Name(query.clone()));
            }
            ProxyEvent::RequestBlocked(blocked) => {
                let moment = || Moment::Blocked(blocked.clone());
                self.keep_of(blocked.run.task, recorded, moment);
            }
            ProxyEvent::ConnectionRefused(refused) => {
                let moment = || Moment::Refused(refused.clone());
                self.keep_of(refused.run.task, recorded, moment);
            }
            ProxyEvent::RequestInspected(inspected) => {
                let moment = || Moment::Inspected(inspected.clone());
                self.keep_of(inspected.run.task, recorded, moment);
            }
            ProxyEvent::DnsQueriesSuppressed(names) => {
                let moment = || Moment::NamesNotListed(names.clone());
                self.keep_of(names.run.task, recorded, moment);
            }
            ProxyEvent::DecisionLimitReached(limit) => {
                let moment = || Moment::DecisionLimit(limit.clone());
                self.keep_of(limit.run.task, recorded, moment);
            }
            ProxyEvent::SignatureRefused(refused) => {
                let moment = || Moment::SignatureRefused(refused.clone());
                self.keep_of(refused.run.task, recorded, moment);
            }
            ProxyEvent::HoneySurrogateSeen(seen) => {
                self.keep_of(seen.run.task, recorded, || Moment::Honey(seen.clone()));
            }
            ProxyEvent::RelaxedAuditInForce(relaxed) => {
                let moment = || Moment::RelaxedAudit(relaxed.clone());
                self.keep_of(relaxed.run.task, recorded, moment);
            }
        }
    }

    fn allow(&mut self, recorded: &Recorded, allowed: &RequestAllowed) {
        if !self.has(allowed.run.task) {
            return;
        }
        let open = self.open.entry(allowed.run).or_default();
        open.insert(allowed.request, recorded.position);
        let allowed = allowed.clone();
        let moment = Moment::Allowed { allowed, end: None };
        self.keep(entry(recorded, moment));
    }

    /// Writes a request's end beside the decision that let it leave.
    fn end(&mut self, run: RunId, request: RequestId, ended: impl FnOnce() -> End) {
        let open = self.open.get_mut(&run);
        let Some(position) = open.and_then(|open| open.remove(&request)) else {
            return;
        };
        let entry = self.entries.get_mut(&position);
        if let Some(Moment::Allowed { end, .. }) = entry.map(|entry| &mut entry.moment) {
            *end = Some(ended());
        }
    }

    fn apply_conversation(&mut self, recorded: &Recorded, event: &ConversationEvent) {
        match event {
            ConversationEvent::Created(created) => {
                let wanted = Subject::Conversation(created.conversation);
                if self.subject == Some(wanted) {
                    self.known = true;
                    self.keep(entry(recorded, Moment::Begun(created.clone())));
                }
            }
            ConversationEvent::PromptComposed(prompt) => {
                self.keep_of(prompt.run.task, recorded, || {
                    Moment::Prompted(prompt.clone())
                });
            }
            ConversationEvent::ReplyRecorded(reply) => {
                self.keep_of(reply.task, recorded, || Moment::Answered(reply.clone()));
            }
            ConversationEvent::ForgetRequested(asked) => {
                if self.subject == Some(Subject::Conversation(asked.conversation)) {
                    self.keep(entry(recorded, Moment::ToForget(asked.clone())));
                }
            }
            ConversationEvent::Forgotten(forgotten) => {
                if self.subject == Some(Subject::Conversation(forgotten.conversation)) {
                    self.keep(entry(recorded, Moment::Forgotten(forgotten.clone())));
                }
            }
            ConversationEvent::ParticipantJoined(_)
            | ConversationEvent::ParticipantInvited(_)
            | ConversationEvent::ModelChosen(_)
            | ConversationEvent::ThreadLinked(_)
            | ConversationEvent::WorkspaceCloned(_)
            | ConversationEvent::WorkspaceCloneFailed(_)
            | ConversationEvent::SessionAbandoned(_) => {}
        }
    }

    fn apply_delivery(&mut self, recorded: &Recorded, event: &DeliveryEvent) {
        let (delivery, moment) = match event {
            DeliveryEvent::Requested(request) => {
                if self.has(request.task) {
                    self.deliveries.insert(request.delivery);
                    self.keep(entry(recorded, Moment::ToSend(request.clone())));
                }
                return;
            }
            DeliveryEvent::Succeeded(sent) => (sent.delivery, Moment::Sent(sent.clone())),
            DeliveryEvent::Failed(failed) => (failed.delivery, Moment::SendFailed(failed.clone())),
            DeliveryEvent::OutcomeUnknown(unknown) => {
                (unknown.delivery, Moment::SentOrNot(unknown.clone()))
            }
            DeliveryEvent::Abandoned(given_up) => {
                (given_up.delivery, Moment::GivenUp(given_up.clone()))
            }
            DeliveryEvent::Attempted(_)
            | DeliveryEvent::NotFound(_)
            | DeliveryEvent::CheckpointSent(_) => return,
        };
        if self.deliveries.contains(&delivery) {
            self.keep(entry(recorded, moment));
        }
    }
}

fn entry(recorded: &Recorded, moment: Moment) -> Entry {
    Entry {
        position: recorded.position,
        at: recorded.at,
        actor: recorded.actor.clone(),
        moment,
    }
}

impl Projection for Audit {
    const NAME: &'static str = "audit";
    const CODE_VERSION: u32 = 1;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Message(event) => self.apply_message(recorded, event),
            Event::Task(event) => self.apply_task(recorded, event),
            Event::Conversation(event) => self.apply_conversation(recorded, event),
            Event::Run(event) => self.apply_run(recorded, event),
            Event::Proxy(event) => self.apply_proxy(recorded, event),
            Event::Delivery(event) => self.apply_delivery(recorded, event),
            Event::Service(_)
            | Event::Schedule(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Container(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
