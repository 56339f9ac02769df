//! Tasks that are not over: who waits, who executes, and for which conversation. It decides
//! nothing; the order in which tasks start is decided in `handlers/tasks`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::event::{MessageEvent, TaskEvent};
use crate::events::id::{AtMs, ConversationId, InboundId, Position, RepoId, TaskId};
use crate::events::message::MessageParsed;
use crate::events::task::{TaskCoalesced, TaskQueued, TaskStarted};
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// It waits for its conversation and for a place.
    Waiting {
        /// It must not start before this time.
        not_before: AtMs,
    },
    /// A worker has begun it.
    Executing,
    /// It is answered together with another.
    Coalesced {
        /// The other.
        into: TaskId,
    },
}

/// A task that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveTask {
    /// Its queueing.
    pub queued: TaskQueued,
    /// Where that stands in the log; the order of arrival.
    pub position: Position,
    /// When it was queued.
    pub queued_at: AtMs,
    /// What its message says.
    pub message: MessageParsed,
    /// How far it is.
    pub state: TaskState,
    /// How often it was begun.
    pub attempts: u16,
    /// How often a restart found it executing.
    pub interruptions: u16,
    /// Tasks that are answered with it, oldest first.
    pub coalesced: Vec<TaskId>,
    /// Who asked for it to be stopped.
    pub stop_requested_by: Option<String>,
}

/// The tasks that are not over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkQueue {
    tasks: BTreeMap<TaskId, ActiveTask>,
    /// Messages that were read and become a task with the next event.
    parsed: BTreeMap<InboundId, MessageParsed>,
    /// When each conversation last began a task; for fairness.
    last_started: BTreeMap<ConversationId, Position>,
}

impl WorkQueue {
    /// Returns a task that is not over.
    pub fn get(&self, task: TaskId) -> Option<&ActiveTask> {
        self.tasks.get(&task)
    }

    /// Returns all tasks that are not over.
    pub fn tasks(&self) -> impl Iterator<Item = &ActiveTask> {
        self.tasks.values()
    }

    /// Returns the tasks that execute.
    pub fn executing(&self) -> impl Iterator<Item = &ActiveTask> {
        self.tasks
            .values()
            .filter(|task| task.state == TaskState::Executing)
    }

    /// Returns the tasks that wait, oldest first.
    pub fn waiting(&self) -> Vec<&ActiveTask> {
        let is_waiting = |task: &&ActiveTask| matches!(task.state, TaskState::Waiting { .. });
        let mut waiting: Vec<_> = self.tasks.values().filter(is_waiting).collect();
        waiting.sort_by_key(|task| task.position);
        waiting
    }

    /// Returns the task that executes for a conversation.
    pub fn executing_for(&self, conversation: ConversationId) -> Option<&ActiveTask> {
        self.executing()
            .find(|task| task.queued.conversation == conversation)
    }

    /// Returns where a conversation's last start stands in the log; 0 when it had none.
    pub fn last_started(&self, conversation: ConversationId) -> Position {
        self.last_started
            .get(&conversation)
            .copied()
            .unwrap_or_default()
    }

    fn queue(&mut self, recorded: &Recorded, queued: &TaskQueued) {
        let Some(message) = self.parsed.remove(&queued.inbound) else {
            return;
        };
        let task = ActiveTask {
            queued: queued.clone(),
            position: recorded.position,
            queued_at: recorded.at,
            message,
            state: TaskState::Waiting {
                not_before: AtMs(0),
            },
            attempts: 0,
            interruptions: 0,
            coalesced: Vec::new(),
            stop_requested_by: None,
        };
        self.tasks.insert(queued.task, task);
    }

    fn start(&mut self, recorded: &Recorded, started: &TaskStarted) {
        if let Some(task) = self.tasks.get_mut(&started.task) {
            task.state = TaskState::Executing;
            task.attempts = started.attempt;
            task.coalesced.clone_from(&started.coalesced);
            self.last_started
                .insert(task.queued.conversation, recorded.position);
        }
    }

    fn coalesce(&mut self, coalesced: &TaskCoalesced) {
        if let Some(task) = self.tasks.get_mut(&coalesced.task) {
            task.state = TaskState::Coalesced {
                into: coalesced.into,
            };
        }
    }

    /// Forgets a task and those that were answered with it.
    fn complete(&mut self, completed: TaskId) {
        let Some(task) = self.tasks.remove(&completed) else {
            return;
        };
        for coalesced in task.coalesced {
            self.tasks.remove(&coalesced);
        }
        let conversation = task.queued.conversation;
        if !self
            .tasks
            .values()
            .any(|task| task.queued.conversation == conversation)
        {
            self.last_started.remove(&conversation);
        }
    }

    fn apply_task(&mut self, recorded: &Recorded, event: &TaskEvent) {
        match event {
            TaskEvent::Queued(queued) => self.queue(recorded, queued),
            TaskEvent::Coalesced(coalesced) => self.coalesce(coalesced),
            TaskEvent::Started(started) => self.start(recorded, started),
            TaskEvent::StopRequested(stop) => {
                if let Some(task) = self.tasks.get_mut(&stop.task) {
                    task.stop_requested_by = Some(stop.by.clone());
                }
            }
            TaskEvent::Interrupted(interrupted) => {
                if let Some(task) = self.tasks.get_mut(&interrupted.task) {
                    task.interruptions += 1;
                }
            }
            TaskEvent::RetryScheduled(retry) => {
                if let Some(task) = self.tasks.get_mut(&retry.task) {
                    task.state = TaskState::Waiting {
                        not_before: retry.not_before,
                    };
                }
            }
            TaskEvent::Completed(completed) => self.complete(completed.task),
            TaskEvent::PhaseEntered(_) | TaskEvent::TodoListUpdated(_) => {}
        }
    }
}

impl Projection for WorkQueue {
    const NAME: &'static str = "work_queue";
    const CODE_VERSION: u32 = 1;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Message(MessageEvent::Parsed(parsed)) => {
                self.parsed.insert(parsed.inbound, parsed.clone());
            }
            Event::Task(event) => self.apply_task(recorded, event),
            Event::Message(_)
            | Event::Service(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Conversation(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Proxy(_)
            | Event::Delivery(_) => {}
        }
    }
}
