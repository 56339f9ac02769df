//! What becomes of a task that a restart found executing. Pure.

use crate::events::id::{AtMs, RunId, StreamId};
use crate::events::log::{Append, Expected};
use crate::events::run::RunCutOff;
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

/// Returns the run whose cost is to be counted because nothing more comes of it: one that is concluded
/// will be judged.
pub fn run_to_count(task: &QueuedTask) -> Option<RunId> {
    let is_concluded = decide_interruption(task) == InterruptionDecision::Conclude;
    task.run.filter(|_| !is_concluded)
}

/// Records that decision, with what the run had used (gap 19), unless something happened to the task in
/// the meantime.
pub fn interruption(task: &QueuedTask, cut_off: Option<RunCutOff>, now: AtMs) -> Append {
    let interrupted = TaskInterrupted {
        task: task.task,
        run: task.run.unwrap_or_else(|| task.task.run(task.started)),
        decision: decide_interruption(task),
    };
    let stream = StreamId::task(task.task);
    let cut_off = cut_off.map(|cut_off| (StreamId::run(cut_off.run), cut_off.into()));
    let mut append = Append::to(&stream, vec![interrupted.into()], context_of(task, now))
        .expecting(stream, Expected::Version(task.version));
    append.events.extend(cut_off);
    append
}
