//! What the backlog keeps of a task: the messages it answers, and how far it is. It applies nothing.

use serde::{Deserialize, Serialize};

use crate::events::Recorded;
use crate::events::id::{
    AtMs, BlobRef, ConversationId, InboundId, Position, RepoId, RunId, SessionId, StoredFile,
    StreamVersion, TaskId,
};
use crate::events::message::{MessageParsed, ReplyAddress};
use crate::events::schedule::{ScheduleCommandEnded, ScheduleFired, ScheduledWork};
use crate::events::task::{TaskQueued, TaskRevised};
use crate::projections::usage::Spent;

/// A message that a task answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMessage {
    /// The message.
    pub inbound: InboundId,
    /// The task it became.
    pub task: TaskId,
    /// Its verified sender.
    pub sender: String,
    /// When its sender was recognised.
    pub received_at: AtMs,
    /// What it says.
    pub parsed: MessageParsed,
    /// What its sender is called; not verified.
    pub sender_name: String,
}

/// What a task in the queue is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// It waits for its turn, and at least until then.
    Waiting {
        /// Not before this time.
        not_before: AtMs,
    },
    /// It executes, or did when the process ended.
    Running {
        /// Whether the service was started since: whatever executed it is gone.
        cut_off: bool,
    },
    /// Its agent ended before a restart; its recorded output is to be used.
    Concluding,
    /// It was cut off too often; its sender is to be told.
    Abandoning,
}

/// The schedule a task is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledTask {
    /// When it was due, and what is done.
    pub fired: ScheduleFired,
    /// How its command ended; nothing while it has not, or when there is none.
    pub ended: Option<ScheduleCommandEnded>,
}

impl ScheduledTask {
    /// Returns whether its command is still to be run.
    pub fn has_command_to_run(&self) -> bool {
        match self.fired.work {
            ScheduledWork::Command { .. } => self.ended.is_none(),
            ScheduledWork::Prompt => false,
        }
    }
}

/// A task that has no answer yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedTask {
    /// The task.
    pub task: TaskId,
    /// The repository it works on.
    pub repo: RepoId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Who asked for it: the place it takes counts as theirs.
    pub sender: String,
    /// When it was queued.
    pub queued_at: AtMs,
    /// Subject or first words.
    pub title: String,
    /// The event that queued it: the order of waiting.
    pub position: Position,
    /// Number of events in its stream.
    pub version: StreamVersion,
    /// What it is doing.
    pub state: TaskState,
    /// The messages it answers, oldest first.
    pub messages: Vec<QueuedMessage>,
    /// Number of the newest run that was begun or planned; 0 before the first.
    pub attempt: u16,
    /// The number its newest execution began with; 0 before the first.
    pub started: u16,
    /// The newest run that was planned.
    pub run: Option<RunId>,
    /// Whether an agent was given a prompt for it.
    pub prompted: bool,
    /// Whether that run's stream holds a result line.
    pub result_seen: bool,
    /// Where its honey surrogate was met on its way out, in words: whatever else happens, no agent is
    /// run for this task again.
    pub honey_seen: Option<String>,
    /// The newest session an agent of this task named.
    pub session: Option<SessionId>,
    /// How often a restart found it executing.
    pub interruptions: u32,
    /// How often an execution of it failed and was put off.
    pub retries: u32,
    /// Not before this time is it tried again, whatever its state is.
    pub retry_at: AtMs,
    /// Who asked for it to be stopped.
    pub stop_requested_by: Option<String>,
    /// Whether its sender was told that it waits.
    pub was_told: bool,
    /// Why it waits for the model's API, if it does.
    pub parked: Option<String>,
    /// How often it had to.
    pub parks: u32,
    /// What its finished runs took.
    pub spent: Spent,
    /// The schedule it is of; nothing for a task that somebody wrote for.
    pub schedule: Option<ScheduledTask>,
    /// What its message says since it was received: it does not begin before it goes by that.
    pub revision: Option<Revision>,
}

/// What became of a message where it was written, after it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Where that stands in the log.
    pub position: Position,
    /// The message as it is now; nothing: it was taken back.
    pub raw: Option<BlobRef>,
}

impl QueuedTask {
    /// Returns a task as it is queued: it waits, and nothing was done for it yet.
    pub(super) fn waiting(
        queued: &TaskQueued,
        message: QueuedMessage,
        fired: Option<ScheduleFired>,
        recorded: &Recorded,
    ) -> Self {
        Self {
            task: queued.task,
            repo: queued.repo.clone(),
            conversation: queued.conversation,
            sender: queued.sender.clone(),
            queued_at: recorded.at,
            title: queued.title.clone(),
            position: recorded.position,
            version: recorded.stream_version,
            state: TaskState::Waiting {
                not_before: AtMs(0),
            },
            messages: vec![message],
            attempt: 0,
            started: 0,
            run: None,
            prompted: false,
            result_seen: false,
            honey_seen: None,
            session: None,
            interruptions: 0,
            retries: 0,
            retry_at: AtMs(0),
            stop_requested_by: None,
            was_told: false,
            parked: None,
            parks: 0,
            spent: Spent::default(),
            schedule: fired.map(|fired| ScheduledTask { fired, ended: None }),
            revision: None,
        }
    }

    /// Returns whether it waits for its turn.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, TaskState::Waiting { .. })
    }

    /// Returns whether what is recorded of its newest run is all there will be: the agent has given
    /// its result, or must not go on.
    pub fn has_ended(&self) -> bool {
        self.result_seen || self.honey_seen.is_some()
    }

    /// Its message was changed or taken back: of use as long as no agent has read it.
    pub(super) fn revise(&mut self, revision: Revision) {
        if !self.is_waiting() || self.started > 0 {
            return;
        }
        if revision.raw.is_none() {
            let author = self.newest_message().map(|message| message.sender.clone());
            let author = author.unwrap_or_default();
            self.stop_requested_by = Some(format!("{author}, who deleted the message"));
        }
        self.revision = Some(revision).filter(|revision| revision.raw.is_some());
    }

    /// It goes by a revision from now on; a newer one may be waiting already.
    pub(super) fn go_by(&mut self, revised: &TaskRevised) {
        self.title.clone_from(&revised.title);
        let mut messages = self.messages.iter_mut();
        if let Some(message) = messages.find(|message| message.inbound == revised.inbound) {
            message.parsed.body = revised.body.clone();
            message.parsed.attachments.clone_from(&revised.attachments);
        }
        self.revision
            .take_if(|revision| revision.position <= revised.revision);
    }

    /// Returns the newest message, whose sender gets the answer.
    pub fn newest_message(&self) -> Option<&QueuedMessage> {
        self.messages.last()
    }

    /// Returns where the answer goes.
    pub fn reply_to(&self) -> Option<&ReplyAddress> {
        self.newest_message()
            .map(|message| &message.parsed.reply_to)
    }

    /// Returns every attachment of its messages, oldest first.
    pub fn attachments(&self) -> impl Iterator<Item = &StoredFile> {
        self.messages
            .iter()
            .flat_map(|message| &message.parsed.attachments)
    }

    /// Returns the texts of its messages, oldest first.
    pub fn bodies(&self) -> impl Iterator<Item = &BlobRef> {
        self.messages.iter().map(|message| &message.parsed.body)
    }
}
