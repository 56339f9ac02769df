//! What the backlog keeps of a task: the messages it answers, and how far it is. It applies nothing.

use serde::{Deserialize, Serialize};

use crate::events::id::{
    AtMs, BlobRef, ConversationId, InboundId, Position, RepoId, RunId, SessionId, StoredFile,
    StreamVersion, TaskId,
};
use crate::events::message::{MessageParsed, ReplyAddress};
use crate::events::schedule::{ScheduleCommandEnded, ScheduleFired, ScheduledWork};
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
}

impl QueuedTask {
    /// Returns whether it waits for its turn.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, TaskState::Waiting { .. })
    }

    /// Returns whether what is recorded of its newest run is all there will be: the agent has given
    /// its result, or must not go on.
    pub fn has_ended(&self) -> bool {
        self.result_seen || self.honey_seen.is_some()
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
