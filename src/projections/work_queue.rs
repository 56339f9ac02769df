//! Tasks that have no answer yet: what they answer, whether they wait or run, and what their runs have
//! left so far. An answered task leaves it. It does not choose what runs next: `handlers/react` does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::container::ContainerRole;
use crate::events::event::{
    ContainerEvent, ConversationEvent, MessageEvent, ProxyEvent, RunEvent, ScheduleEvent,
    ServiceEvent, TaskEvent,
};
use crate::events::id::{AtMs, ConversationId, InboundId, TaskId};
use crate::events::message::MessageParsed;
use crate::events::schedule::ScheduleFired;
use crate::events::task::{InterruptionDecision, TaskQueued, TaskStarted};
use crate::events::{Event, Recorded};
use crate::projections::Projection;
use crate::projections::usage::Spent;

mod task;
mod turns;

pub use task::{QueuedMessage, QueuedTask, Revision, ScheduledTask, TaskState};
pub use turns::Turns;

/// The backlog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkQueue {
    /// Tasks without an answer.
    pub tasks: BTreeMap<TaskId, QueuedTask>,
    /// When whose turn was last.
    pub turns: Turns,
    /// Messages that were read and become a task with one of the next events.
    parsed: BTreeMap<InboundId, MessageParsed>,
    /// Schedules that fired and become a task with one of the next events.
    fired: BTreeMap<TaskId, ScheduleFired>,
    /// Messages without a verdict, each with what it says since it was received.
    unjudged: BTreeMap<InboundId, Option<Revision>>,
}

impl WorkQueue {
    /// Returns the task that a conversation is busy with.
    pub fn active(&self, conversation: ConversationId) -> Option<&QueuedTask> {
        let mut tasks = self.tasks.values();
        tasks.find(|task| task.conversation == conversation && !task.is_waiting())
    }

    /// Returns how many tasks are executing.
    pub fn executing(&self) -> usize {
        self.tasks
            .values()
            .filter(|task| !task.is_waiting())
            .count()
    }

    /// Returns how many tasks wait.
    pub fn waiting(&self) -> usize {
        self.tasks.len() - self.executing()
    }

    /// Returns how many tasks of a sender wait.
    pub fn waiting_of(&self, sender: &str) -> usize {
        let tasks = self.tasks.values();
        tasks
            .filter(|task| task.is_waiting() && task.sender == sender)
            .count()
    }

    fn queue(&mut self, queued: &TaskQueued, recorded: &Recorded) {
        let Some(parsed) = self.parsed.remove(&queued.inbound) else {
            return;
        };
        let message = QueuedMessage {
            inbound: queued.inbound,
            task: queued.task,
            sender: queued.sender.clone(),
            received_at: recorded.at,
            parsed,
            sender_name: queued.sender_name.clone(),
        };
        let fired = self.fired.remove(&queued.task);
        let task = QueuedTask::waiting(queued, message, fired, recorded);
        self.turns.join(&task.sender, &task.repo, recorded.position);
        self.tasks.insert(queued.task, task);
        if let Some(Some(revision)) = self.unjudged.remove(&queued.inbound) {
            self.change(queued.task, |task| task.revise(revision));
        }
    }

    fn start(&mut self, started: &TaskStarted, recorded: &Recorded) {
        let mut joined: Vec<QueuedMessage> = vec![];
        for task in &started.coalesced {
            let other = self.tasks.get_mut(task);
            joined.extend(
                other
                    .into_iter()
                    .flat_map(|t| std::mem::take(&mut t.messages)),
            );
        }
        if let Some(task) = self.tasks.get(&started.task) {
            self.turns
                .serve(&task.sender, &task.repo, recorded.position);
        }
        self.change(started.task, |task| {
            task.state = TaskState::Running { cut_off: false };
            task.parked = None;
            task.attempt = task.attempt.max(started.attempt);
            task.started = started.attempt;
            task.retry_at = AtMs(0);
            task.revision = None;
            task.messages.extend(joined);
        });
    }

    /// Whoever has nothing left in the queue joins anew with the next message.
    fn remove(&mut self, task: TaskId) {
        let Some(QueuedTask { sender, repo, .. }) = self.tasks.remove(&task) else {
            return;
        };
        let mut left = self.tasks.values();
        if !left.any(|task| task.sender == sender && task.repo == repo) {
            self.turns.leave(&sender, &repo);
        }
    }

    fn cut_off(&mut self) {
        for task in self.tasks.values_mut() {
            if matches!(task.state, TaskState::Running { .. }) {
                task.state = TaskState::Running { cut_off: true };
            }
        }
    }

    fn change(&mut self, task: TaskId, change: impl FnOnce(&mut QueuedTask)) {
        if let Some(task) = self.tasks.get_mut(&task) {
            change(task);
        }
    }

    fn note_honey(&mut self, task: TaskId, place: &str) {
        self.change(task, |task| task.honey_seen = Some(place.to_owned()));
    }

    fn apply_message(&mut self, event: &MessageEvent, recorded: &Recorded) {
        match event {
            MessageEvent::Received(received) => {
                self.unjudged.insert(received.inbound, None);
            }
            MessageEvent::Rejected(rejected) => {
                self.unjudged.remove(&rejected.inbound);
            }
            MessageEvent::Parsed(parsed) => {
                self.parsed.insert(parsed.inbound, parsed.clone());
            }
            MessageEvent::Revised(revised) => {
                let revision = Revision {
                    position: recorded.position,
                    raw: revised.raw.clone(),
                };
                match self.unjudged.get_mut(&revised.inbound) {
                    Some(newest) => *newest = Some(revision),
                    None => self.change(revised.inbound.task(), |task| task.revise(revision)),
                }
            }
            MessageEvent::DuplicateIgnored(_)
            | MessageEvent::SourceAcknowledged(_)
            | MessageEvent::SenderAuthorized(_)
            | MessageEvent::Routed(_)
            | MessageEvent::JoinRefused(_) => {}
        }
    }

    fn apply_task(&mut self, event: &TaskEvent, recorded: &Recorded) {
        match event {
            TaskEvent::Queued(queued) => self.queue(queued, recorded),
            TaskEvent::Coalesced(coalesced) => self.remove(coalesced.task),
            TaskEvent::Started(started) => self.start(started, recorded),
            TaskEvent::StopRequested(stop) => self.change(stop.task, |task| {
                task.stop_requested_by = Some(stop.by.clone());
            }),
            TaskEvent::Interrupted(interrupted) => self.change(interrupted.task, |task| {
                task.interruptions += 1;
                task.attempt = task.attempt.max(interrupted.run.attempt);
                task.state = state_after(&interrupted.decision);
            }),
            TaskEvent::RetryScheduled(retry) => self.change(retry.task, |task| {
                task.retries += 1;
                task.retry_at = retry.not_before;
                task.state = state_after_failure(task, retry.not_before);
            }),
            TaskEvent::Completed(completed) => self.remove(completed.task),
            TaskEvent::Revised(revised) => {
                self.change(revised.task, |task| task.go_by(revised));
            }
            TaskEvent::Held(held) => self.change(held.task, |task| task.was_told = true),
            TaskEvent::Parked(parked) => self.change(parked.task, |task| {
                task.parks += 1;
                task.parked = Some(parked.cause.clone());
                task.retry_at = parked.until;
                task.state = TaskState::Waiting {
                    not_before: parked.until,
                };
            }),
            TaskEvent::TurnedAway(_)
            | TaskEvent::PhaseEntered(_)
            | TaskEvent::TodoListUpdated(_)
            | TaskEvent::CommandGiven(_) => {}
        }
        self.note_version(event, recorded);
    }

    fn note_version(&mut self, event: &TaskEvent, recorded: &Recorded) {
        let task = match event {
            TaskEvent::Queued(e) => e.task,
            TaskEvent::Coalesced(e) => e.task,
            TaskEvent::Started(e) => e.task,
            TaskEvent::PhaseEntered(e) => e.task,
            TaskEvent::TodoListUpdated(e) => e.task,
            TaskEvent::StopRequested(e) => e.task,
            TaskEvent::Interrupted(e) => e.task,
            TaskEvent::RetryScheduled(e) => e.task,
            TaskEvent::Completed(e) => e.task,
            TaskEvent::CommandGiven(e) => e.task,
            TaskEvent::Revised(e) => e.task,
            TaskEvent::Held(e) => e.task,
            TaskEvent::TurnedAway(e) => e.task,
            TaskEvent::Parked(e) => e.task,
        };
        self.change(task, |task| task.version = recorded.stream_version);
    }

    fn apply_conversation(&mut self, event: &ConversationEvent) {
        match event {
            ConversationEvent::PromptComposed(composed) => {
                self.change(composed.run.task, |task| {
                    task.attempt = task.attempt.max(composed.run.attempt);
                    task.run = Some(composed.run);
                    task.prompted = true;
                    task.result_seen = false;
                    // A conclusion that found its session unusable runs the agent after all.
                    if task.state == TaskState::Concluding {
                        task.state = TaskState::Running { cut_off: false };
                        task.started = composed.run.attempt;
                    }
                });
            }
            ConversationEvent::SessionAbandoned(abandoned) => {
                let tasks = self.tasks.values_mut();
                for task in tasks.filter(|task| task.session.as_ref() == Some(&abandoned.session)) {
                    task.session = None;
                }
            }
            ConversationEvent::Created(_)
            | ConversationEvent::ModelChosen(_)
            | ConversationEvent::ParticipantJoined(_)
            | ConversationEvent::ParticipantInvited(_)
            | ConversationEvent::ThreadLinked(_)
            | ConversationEvent::WorkspaceCloned(_)
            | ConversationEvent::WorkspaceCloneFailed(_)
            | ConversationEvent::ReplyRecorded(_)
            | ConversationEvent::ForgetRequested(_)
            | ConversationEvent::Forgotten(_) => {}
        }
    }

    fn apply_run(&mut self, event: &RunEvent) {
        match event {
            RunEvent::AgentEventObserved(line) => self.change(line.run.task, |task| {
                task.result_seen |= line.event_type == "result";
                if line.session.is_some() {
                    task.session.clone_from(&line.session);
                }
            }),
            RunEvent::OutcomeClassified(outcome) => self.change(outcome.run.task, |task| {
                task.result_seen = false;
                task.spent.add_run(outcome);
            }),
            RunEvent::CutOff(cut_off) => self.change(cut_off.run.task, |task| {
                task.spent.add(Spent::from(cut_off));
            }),
            RunEvent::Planned(planned) => self.change(planned.run.task, |task| {
                task.attempt = task.attempt.max(planned.run.attempt);
                task.run = Some(planned.run);
            }),
            RunEvent::ImageBuildStarted(_)
            | RunEvent::ImageBuilt(_)
            | RunEvent::ImageBuildFailed(_)
            | RunEvent::AgentErrorOutput(_)
            | RunEvent::PolicyInForce(_) => {}
        }
    }

    fn apply_schedule(&mut self, event: &ScheduleEvent) {
        match event {
            ScheduleEvent::Fired(fired) => {
                self.fired.insert(fired.task, fired.clone());
            }
            ScheduleEvent::CommandEnded(ended) => self.change(ended.task, |task| {
                if let Some(schedule) = &mut task.schedule {
                    schedule.ended = Some(ended.clone());
                }
            }),
            ScheduleEvent::InForce(_)
            | ScheduleEvent::Withdrawn(_)
            | ScheduleEvent::SlotsMissed(_)
            | ScheduleEvent::CameToNothing(_) => {}
        }
    }

    fn apply_container(&mut self, event: &ContainerEvent) {
        match event {
            ContainerEvent::Exited(exited) => {
                let by_agent = exited.role == ContainerRole::Agent;
                self.change(exited.run.task, |task| {
                    task.spent.duration_ms += if by_agent { exited.duration_ms } else { 0 };
                });
            }
            ContainerEvent::RunFrozen(frozen) => self.note_honey(frozen.run.task, &frozen.why),
            ContainerEvent::NetworkCreated(_)
            | ContainerEvent::NetworkRemoved(_)
            | ContainerEvent::Created(_)
            | ContainerEvent::Started(_)
            | ContainerEvent::ProxyReady(_)
            | ContainerEvent::ProxyFailed(_)
            | ContainerEvent::PromptWritten(_)
            | ContainerEvent::StopSignalSent(_)
            | ContainerEvent::Removed(_)
            | ContainerEvent::OrphanRemoved(_)
            | ContainerEvent::OrphanRemovalFailed(_)
            | ContainerEvent::FrozenRunReleased(_)
            | ContainerEvent::FrozenRunReleaseRequested(_) => {}
        }
    }
}

fn state_after(decision: &InterruptionDecision) -> TaskState {
    match decision {
        InterruptionDecision::Requeue => TaskState::Waiting {
            not_before: AtMs(0),
        },
        InterruptionDecision::Conclude => TaskState::Concluding,
        InterruptionDecision::Abandon => TaskState::Abandoning,
    }
}

/// What the agent has answered already is not asked for again.
fn state_after_failure(task: &QueuedTask, not_before: AtMs) -> TaskState {
    match task.state {
        TaskState::Abandoning => TaskState::Abandoning,
        TaskState::Concluding if task.has_ended() => TaskState::Concluding,
        TaskState::Concluding => TaskState::Waiting { not_before },
        TaskState::Running { .. } if task.has_ended() => TaskState::Concluding,
        TaskState::Running { .. } | TaskState::Waiting { .. } => TaskState::Waiting { not_before },
    }
}

impl Projection for WorkQueue {
    const NAME: &'static str = "work_queue";
    const CODE_VERSION: u32 = 4;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Message(event) => self.apply_message(event, recorded),
            Event::Task(event) => self.apply_task(event, recorded),
            Event::Conversation(event) => self.apply_conversation(event),
            Event::Run(event) => self.apply_run(event),
            Event::Schedule(event) => self.apply_schedule(event),
            Event::Container(event) => self.apply_container(event),
            Event::Service(ServiceEvent::Started(_)) => self.cut_off(),
            Event::Proxy(ProxyEvent::HoneySurrogateSeen(seen)) => {
                self.note_honey(seen.run.task, &seen.place);
            }
            Event::Service(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Proxy(_)
            | Event::Delivery(_) => {}
        }
    }
}
