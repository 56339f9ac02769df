//! What happened to one task: the work that answers one message. Stream `task:<id>`.
//! It knows nothing of containers; those are runs.

use crate::events::id::{AtMs, ConversationId, InboundId, RepoId, RunId, TaskId};
use crate::events::macros::data;

data! {
    /// A task waits for its turn.
    pub struct TaskQueued {
        /// The task.
        pub task: TaskId,
        /// The message it answers.
        pub inbound: InboundId,
        /// The repository it works on.
        pub repo: RepoId,
        /// The conversation it belongs to.
        pub conversation: ConversationId,
        /// The verified sender.
        pub sender: String,
        /// Subject or first words.
        pub title: String,
        /// What the sender is called, as the channel has it; not verified, and empty where it knows no
        /// name.
        pub sender_name: String,
    }

    /// A task is answered together with an earlier one that had not begun either.
    pub struct TaskCoalesced {
        /// The task that ends here.
        pub task: TaskId,
        /// The task whose answer covers it.
        pub into: TaskId,
    }

    /// A worker begins, or begins again, to work on a task.
    pub struct TaskStarted {
        /// The task.
        pub task: TaskId,
        /// Which execution this is, from 1.
        pub attempt: u16,
        /// The tasks of the same conversation whose messages are answered with it, oldest first.
        pub coalesced: Vec<TaskId>,
    }

    /// How far a running task is.
    pub enum TaskPhase {
        /// Mirror, workspace, image and network are made ready.
        Preparing,
        /// The agent works.
        Running,
    }

    /// A task enters a phase.
    pub struct TaskPhaseEntered {
        /// The task.
        pub task: TaskId,
        /// The phase.
        pub phase: TaskPhase,
    }

    /// The state of one item of the agent's plan.
    pub enum TodoStatus {
        /// Not begun.
        Pending,
        /// Being worked on.
        InProgress,
        /// Done.
        Completed,
    }

    /// One item of the agent's plan.
    pub struct TodoItem {
        /// What is to be done.
        pub content: String,
        /// The same while it is being done; empty when not given.
        pub active_form: String,
        /// How far it is.
        pub status: TodoStatus,
    }

    /// The agent wrote down its plan anew.
    pub struct TodoListUpdated {
        /// The task.
        pub task: TaskId,
        /// The whole plan.
        pub items: Vec<TodoItem>,
    }

    /// Somebody asked for a task to be stopped.
    pub struct TaskStopRequested {
        /// The task.
        pub task: TaskId,
        /// Who asked.
        pub by: String,
    }

    /// What becomes of a task that a restart found unfinished.
    pub enum InterruptionDecision {
        /// It is run again.
        Requeue,
        /// Its recorded output is complete and is used.
        Conclude,
        /// It was interrupted too often; the sender is told.
        Abandon,
    }

    /// A start of the service found this task executing in a process that is gone.
    pub struct TaskInterrupted {
        /// The task.
        pub task: TaskId,
        /// The run that was cut off.
        pub run: RunId,
        /// What is done about it.
        pub decision: InterruptionDecision,
    }

    /// A task will be run again.
    pub struct TaskRetryScheduled {
        /// The task.
        pub task: TaskId,
        /// Why.
        pub cause: String,
        /// Not before this time.
        pub not_before: AtMs,
    }

    /// How a task ended (spec row GW-05, and two ends that the original did not tell apart).
    pub enum CompletionReason {
        /// The agent answered.
        Success,
        /// The agent or its sandbox failed; the sender is told.
        ExecutionFailed,
        /// The time limit was reached.
        Timeout,
        /// A permitted person stopped it.
        Stopped,
        /// Airut itself failed; the sender is told.
        InternalError,
    }

    /// A task is over; its answer is recorded in the same append.
    pub struct TaskCompleted {
        /// The task.
        pub task: TaskId,
        /// How it ended.
        pub reason: CompletionReason,
        /// In words, for the operator; empty for a success.
        pub detail: String,
        /// From its queueing to its end.
        pub duration_ms: u64,
    }

    /// The first line of a task's message is a command to Airut itself.
    pub struct TaskCommandGiven {
        /// The task.
        pub task: TaskId,
        /// The command, for example `/model opus`.
        pub command: String,
        /// The verified sender.
        pub by: String,
    }

    /// A task cannot begin yet, and its sender is told so.
    pub struct TaskHeld {
        /// The task.
        pub task: TaskId,
        /// What it waits for, each by its name: `workers`, `repository`, `sender`.
        pub reasons: Vec<String>,
        /// Tasks that run or have waited for longer, in the whole service.
        pub others: u32,
    }

    /// As many tasks waited as may: this one ends unbegun in the same append, and its sender is told.
    pub struct TaskTurnedAway {
        /// The task.
        pub task: TaskId,
        /// Whose limit was reached: `service` or `sender`.
        pub limit: String,
        /// Tasks that waited then, of the service or the sender.
        pub waiting: u32,
    }

    /// The model's API takes no more work until a time: the task waits until then and goes on by
    /// itself, and its senders are told.
    pub struct TaskParked {
        /// The task.
        pub task: TaskId,
        /// The run that met the limit.
        pub run: RunId,
        /// Which limit, in the API's words or by its name.
        pub cause: String,
        /// Not before this time.
        pub until: AtMs,
    }
}
