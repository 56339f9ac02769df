//! What becomes of a task that a restart found executing. Pure.

use crate::events::id::{AtMs, StreamId};
use crate::events::log::{Append, Expected};
use crate::events::task::{InterruptionDecision, TaskInterrupted};
use crate::handlers::tasks::begin::context_of;
use crate::projections::work_queue::QueuedTask;

/// How often a task may be found cut off; after that its sender is told, since it may be the task
/// itself that ends the service.
pub const INTERRUPTIONS_MAX: u32 = 3;

/// Decides what becomes of a task whose execution ended without a word.
pub fn decide_interruption(task: &QueuedTask) -> InterruptionDecision {
    if task.has_ended() {
        InterruptionDecision::Conclude
    } else if task.interruptions >= INTERRUPTIONS_MAX {
        InterruptionDecision::Abandon
    } else {
        InterruptionDecision::Requeue
    }
}

/// Records that decision, unless something happened to the task in the meantime.
pub fn interruption(task: &QueuedTask, now: AtMs) -> Append {
    let interrupted = TaskInterrupted {
        task: task.task,
        run: task.run.unwrap_or_else(|| task.task.run(task.started)),
        decision: decide_interruption(task),
    };
    let stream = StreamId::task(task.task);
    Append::to(&stream, vec![interrupted.into()], context_of(task, now))
        .expecting(stream, Expected::Version(task.version))
}
