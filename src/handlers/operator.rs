//! What an operator may ask the running worker for. The worker answers between two events, so that
//! an answer is never about a state in between.

use tokio::sync::{mpsc, oneshot};

use crate::events::id::{AtMs, ConversationId, Position, StreamId, TaskId};
use crate::events::log::Append;
use crate::events::task::TaskStopRequested;
use crate::handlers::forgetting::decide::ForgetRefusal;
use crate::handlers::tasks::begin::context_of;
use crate::projections::state::State;
use crate::projections::work_queue::QueuedTask;

/// Questions that wait at once; who asks then waits too.
pub const QUESTIONS_WAITING_MAX: usize = 64;

/// What is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopTarget {
    /// A task.
    Task(TaskId),
    /// Everything a conversation is busy with or waits for.
    Conversation(ConversationId),
}

/// Why nothing was stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopRefusal {
    /// The task is over, or never was.
    #[error("task {0} is neither running nor waiting")]
    NoSuchTask(TaskId),
    /// The conversation has nothing to do.
    #[error("conversation {0} has no running or waiting task")]
    Idle(ConversationId),
    /// It could not be recorded.
    #[error("the stop request cannot be recorded: {0}")]
    Unrecorded(String),
    /// The worker has ended.
    #[error("the service ends")]
    Ending,
}

/// How the work stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Standing {
    /// The last event taken into account.
    pub position: Position,
    /// Messages without a verdict.
    pub untriaged: usize,
    /// Tasks executing.
    pub executing: Vec<TaskId>,
    /// Tasks waiting.
    pub waiting: usize,
    /// Deliveries without an end.
    pub deliveries: usize,
}

/// A question to the worker.
#[derive(Debug)]
pub enum Question {
    /// Stop something.
    Stop {
        /// What.
        target: StopTarget,
        /// Who asks.
        by: String,
        /// Takes the stopped tasks, or the refusal.
        answer: oneshot::Sender<Result<Vec<TaskId>, StopRefusal>>,
    },
    /// Forget a conversation.
    Forget {
        /// Which.
        conversation: ConversationId,
        /// Who asks.
        by: String,
        /// Takes that it is asked for durably, or the refusal.
        answer: oneshot::Sender<Result<(), ForgetRefusal>>,
    },
    /// Say how the work stands.
    Standing(oneshot::Sender<Standing>),
}

/// A handle to the worker; clones share it.
#[derive(Debug, Clone)]
pub struct Operator {
    questions: mpsc::Sender<Question>,
}

impl Operator {
    /// Returns a handle and the worker's end of it.
    pub fn new() -> (Self, mpsc::Receiver<Question>) {
        let (questions, asked) = mpsc::channel(QUESTIONS_WAITING_MAX);
        (Self { questions }, asked)
    }

    /// Asks for something to be stopped; on return the request is durable.
    ///
    /// # Errors
    /// [`StopRefusal`] when there is nothing to stop, or the request could not be recorded.
    pub async fn stop(&self, target: StopTarget, by: String) -> Result<Vec<TaskId>, StopRefusal> {
        let (answer, answered) = oneshot::channel();
        let question = Question::Stop { target, by, answer };
        let sent = self.questions.send(question).await;
        sent.map_err(|_| StopRefusal::Ending)?;
        answered.await.map_err(|_| StopRefusal::Ending)?
    }

    /// Asks for a conversation to be forgotten; on return the request is durable, and its tombstone
    /// will follow.
    ///
    /// # Errors
    /// [`ForgetRefusal`] when it is active, unknown, or the request could not be recorded.
    pub async fn forget(
        &self,
        conversation: ConversationId,
        by: String,
    ) -> Result<(), ForgetRefusal> {
        let (answer, answered) = oneshot::channel();
        let question = Question::Forget {
            conversation,
            by,
            answer,
        };
        let sent = self.questions.send(question).await;
        sent.map_err(|_| ForgetRefusal::Ending)?;
        answered.await.map_err(|_| ForgetRefusal::Ending)?
    }

    /// Returns how the work stands; nothing once the worker has ended.
    pub async fn standing(&self) -> Option<Standing> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question::Standing(answer)).await.ok()?;
        answered.await.ok()
    }
}

/// Returns how the work stands.
pub fn standing(state: &State, position: Position) -> Standing {
    let executing = state.queue.tasks.values().filter(|task| !task.is_waiting());
    Standing {
        position,
        untriaged: state.inbox.waiting().len(),
        executing: executing.map(|task| task.task).collect(),
        waiting: state.queue.waiting(),
        deliveries: state.outbox.open().len(),
    }
}

/// Decides what a stop request means.
///
/// # Errors
/// [`StopRefusal`] when there is nothing to stop.
pub fn decide_stop(
    state: &State,
    target: StopTarget,
    by: &str,
    now: AtMs,
) -> Result<(Vec<TaskId>, Append), StopRefusal> {
    let tasks = state.queue.tasks.values();
    let targets: Vec<&QueuedTask> = tasks.filter(|task| is_target(task, target)).collect();
    let Some(first) = targets.first() else {
        return Err(match target {
            StopTarget::Task(task) => StopRefusal::NoSuchTask(task),
            StopTarget::Conversation(conversation) => StopRefusal::Idle(conversation),
        });
    };
    let request = |task: &&QueuedTask| {
        let requested = TaskStopRequested {
            task: task.task,
            by: by.to_owned(),
        };
        (StreamId::task(task.task), requested.into())
    };
    let append = Append {
        expected: vec![],
        events: targets.iter().map(request).collect(),
        key: None,
        context: context_of(first, now),
    };
    Ok((targets.iter().map(|task| task.task).collect(), append))
}

fn is_target(task: &QueuedTask, target: StopTarget) -> bool {
    match target {
        StopTarget::Task(wanted) => task.task == wanted,
        StopTarget::Conversation(conversation) => task.conversation == conversation,
    }
}
