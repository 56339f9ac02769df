//! What an operator may ask the running worker for. The worker answers between two events, so that
//! an answer is never about a state in between.

use tokio::sync::{mpsc, oneshot};

use crate::events::Event;
use crate::events::container::FrozenRunReleaseRequested;
use crate::events::id::{AtMs, ConversationId, Position, RunId, StreamId, TaskId};
use crate::events::log::{Append, Context};
use crate::events::task::TaskStopRequested;
use crate::handlers::forgetting::decide::ForgetRefusal;
use crate::handlers::standing::TaskStanding;
use crate::handlers::tasks::begin::context_of;
use crate::projections::conversations::Conversation;
use crate::projections::frozen_runs::FrozenRun;
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

/// What is being stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stopped {
    /// Tasks that ran or waited.
    pub tasks: Vec<TaskId>,
    /// Frozen runs that are let go.
    #[serde(default)]
    pub released: Vec<RunId>,
}

/// Why nothing was stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopRefusal {
    /// The task is over, or never was, and no run of it is frozen.
    #[error("task {0} is neither running nor waiting, and no run of it is frozen")]
    NoSuchTask(TaskId),
    /// The conversation has nothing to do.
    #[error("conversation {0} has no running or waiting task, and no frozen run")]
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
    /// Runs that are frozen.
    pub frozen: Vec<RunId>,
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
        /// Takes what is stopped, or the refusal.
        answer: oneshot::Sender<Result<Stopped, StopRefusal>>,
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
    /// Say how each task stands.
    Tasks(oneshot::Sender<Vec<TaskStanding>>),
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
    pub async fn stop(&self, target: StopTarget, by: String) -> Result<Stopped, StopRefusal> {
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

    /// Returns how each task stands that has no answer yet, the oldest first; nothing once the worker has
    /// ended.
    pub async fn tasks(&self) -> Option<Vec<TaskStanding>> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question::Tasks(answer)).await.ok()?;
        answered.await.ok()
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
        frozen: state.frozen.all().map(|frozen| frozen.run).collect(),
    }
}

/// Decides what a stop request means: what runs or waits is stopped, and what is frozen is let go.
///
/// # Errors
/// [`StopRefusal`] when there is nothing of either.
pub fn decide_stop(
    state: &State,
    target: StopTarget,
    by: &str,
    now: AtMs,
) -> Result<(Stopped, Append), StopRefusal> {
    let tasks = state.queue.tasks.values();
    let tasks: Vec<&QueuedTask> = tasks.filter(|task| is_target(task, target)).collect();
    let frozen = frozen_targets(state, target);
    if tasks.is_empty() && frozen.is_empty() {
        return Err(match target {
            StopTarget::Task(task) => StopRefusal::NoSuchTask(task),
            StopTarget::Conversation(conversation) => StopRefusal::Idle(conversation),
        });
    }
    let stop = |task: &&QueuedTask| -> (StreamId, Event) {
        let requested = TaskStopRequested {
            task: task.task,
            by: by.to_owned(),
        };
        (StreamId::task(task.task), requested.into())
    };
    let release = |run: &RunId| -> (StreamId, Event) {
        let requested = FrozenRunReleaseRequested {
            run: *run,
            by: by.to_owned(),
        };
        (StreamId::run(*run), requested.into())
    };
    let append = Append {
        expected: vec![],
        events: tasks
            .iter()
            .map(stop)
            .chain(frozen.iter().map(release))
            .collect(),
        key: None,
        context: tasks.first().map_or_else(
            || context_of_frozen(state, &frozen, now),
            |first| context_of(first, now),
        ),
    };
    let stopped = Stopped {
        tasks: tasks.iter().map(|task| task.task).collect(),
        released: frozen,
    };
    Ok((stopped, append))
}

fn context_of_frozen(state: &State, frozen: &[RunId], now: AtMs) -> Context {
    let is_of = |conversation: &&Conversation| {
        let mut runs = frozen.iter();
        runs.any(|run| conversation.tasks.contains(&run.task))
    };
    let conversation = state.conversations.iter().find(is_of);
    Context {
        correlation: conversation.map_or_else(String::new, |found| found.id.to_string()),
        ..Context::system(now)
    }
}

/// Returns the frozen runs of a target that nobody has asked for yet.
fn frozen_targets(state: &State, target: StopTarget) -> Vec<RunId> {
    let is_target = |frozen: &&FrozenRun| match target {
        StopTarget::Task(task) => frozen.run.task == task,
        StopTarget::Conversation(conversation) => state
            .conversations
            .get(conversation)
            .is_some_and(|conversation| conversation.tasks.contains(&frozen.run.task)),
    };
    let frozen = state.frozen.all().filter(is_target);
    let unasked = frozen.filter(|frozen| frozen.release_requested_by.is_none());
    unasked.map(|frozen| frozen.run).collect()
}

fn is_target(task: &QueuedTask, target: StopTarget) -> bool {
    match target {
        StopTarget::Task(wanted) => task.task == wanted,
        StopTarget::Conversation(conversation) => task.conversation == conversation,
    }
}
