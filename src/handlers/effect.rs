//! What there is to do, as data. An effect says everything its performer must know, so that
//! performing it reads no projection.

use crate::events::id::{ConversationId, DeliveryId, InboundId, RunId, TaskId};
use crate::events::message::{MessageReceived, ReplyAddress};
use crate::projections::conversations::{Conversation, Forgetting};
use crate::projections::frozen_runs::FrozenRun;
use crate::projections::inbox::WaitingMessage;
use crate::projections::outbox::Outgoing;
use crate::projections::work_queue::QueuedTask;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Judge a message.
    Triage(Box<WaitingMessage>),
    /// Begin a task, together with the later ones of its conversation that wait too.
    Begin(Box<Beginning>),
    /// Tell a sender that their task waits for a place.
    Hold(Box<Holding>),
    /// Execute a task that was begun.
    Execute(Box<Assignment>),
    /// Say what becomes of a task that a restart found executing.
    Interrupt(Box<QueuedTask>),
    /// Attempt a delivery.
    Deliver(Box<Outgoing>),
    /// Record that nobody knows how the newest attempt of a delivery ended.
    ForgetAttempt(Box<Outgoing>),
    /// Find out how the newest attempt of a delivery ended.
    Reconcile(Box<Outgoing>),
    /// Record that a message cannot be taken in, and tell its sender if that is known.
    Reject(Box<Rejection>),
    /// Record that a task whose execution failed is tried again later.
    Retry(Box<QueuedTask>, Cause),
    /// End a task with the words that Airut itself failed.
    GiveUp(Box<Assignment>, Cause),
    /// Record that a delivery cannot be made, or not with its files.
    Abandon(Box<Outgoing>, Cause),
    /// Destroy what a conversation said.
    Forget(Box<Forgetting>),
    /// Let a frozen run go.
    Release(Box<FrozenRun>),
}

/// Why something is given up or put off, in words.
pub type Cause = String;

/// A message that cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The message.
    pub received: MessageReceived,
    /// Why.
    pub cause: Cause,
    /// How its sender is told; nothing when the sender is not known to be permitted.
    pub reply: Option<RejectionReply>,
}

/// How the sender of a message that cannot be taken in is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionReply {
    /// The conversation it continues, or would have begun.
    pub conversation: ConversationId,
    /// Where the reply goes.
    pub reply_to: ReplyAddress,
    /// The message's subject.
    pub subject: String,
}

/// A task and its conversation at the moment of its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// The task.
    pub task: QueuedTask,
    /// The waiting tasks that are answered with it, oldest first.
    pub coalesced: Vec<QueuedTask>,
    /// The conversation.
    pub conversation: Conversation,
}

impl Beginning {
    /// Returns all its tasks, the first first.
    pub fn tasks(&self) -> impl Iterator<Item = &QueuedTask> {
        std::iter::once(&self.task).chain(&self.coalesced)
    }
}

/// A task that waits for a place, at the moment its sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The task.
    pub task: QueuedTask,
    /// What it waits for, by name.
    pub reasons: Vec<String>,
    /// Tasks that run or have waited for longer.
    pub others: u32,
}

/// What an execution begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It runs the agent.
    Run,
    /// The agent of the newest run ended; its recorded output is used.
    Conclude,
    /// It was cut off too often: the sender is told.
    GiveUp,
    /// It was stopped before it could run again: the sender is told.
    Stopped,
}

/// A task to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The task.
    pub task: QueuedTask,
    /// The conversation.
    pub conversation: Conversation,
    /// Where to begin.
    pub start: Start,
    /// The forgotten conversation that one of its messages wanted to continue.
    pub forgotten: Option<ConversationId>,
    /// The conversation of others that one of its messages wanted to continue.
    pub foreign: Option<ConversationId>,
}

/// What an effect is about; there is at most one effect at a time for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A message.
    Message(InboundId),
    /// A task.
    Task(TaskId),
    /// What the sender of a task is told before the answer.
    Notice(TaskId),
    /// A delivery.
    Delivery(DeliveryId),
    /// A conversation as a whole.
    Conversation(ConversationId),
    /// A frozen run.
    Frozen(RunId),
}

impl Effect {
    /// Returns what it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Triage(message) => Subject::Message(message.received.inbound),
            Self::Reject(rejection) => Subject::Message(rejection.received.inbound),
            Self::Hold(holding) => Subject::Notice(holding.task.task),
            Self::Begin(beginning) => Subject::Task(beginning.task.task),
            Self::Execute(assignment) | Self::GiveUp(assignment, _) => {
                Subject::Task(assignment.task.task)
            }
            Self::Interrupt(task) | Self::Retry(task, _) => Subject::Task(task.task),
            Self::Deliver(outgoing)
            | Self::ForgetAttempt(outgoing)
            | Self::Reconcile(outgoing)
            | Self::Abandon(outgoing, _) => Subject::Delivery(outgoing.request.delivery),
            Self::Forget(forgetting) => Subject::Conversation(forgetting.id),
            Self::Release(frozen) => Subject::Frozen(frozen.run),
        }
    }
}
