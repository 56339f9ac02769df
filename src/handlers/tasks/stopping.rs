//! Who stopped a task that runs, as its stream tells: what was assigned is older than the stop.

use crate::events::Event;
use crate::events::event::TaskEvent;
use crate::events::id::{StreamId, StreamVersion, TaskId};
use crate::handlers::ports::{EffectError, Ports};
use crate::handlers::tasks::answer::{Obstacle, Stop, StoppedWhen};
use crate::handlers::tasks::prepare::Halt;

/// Events of a task among which its stop is looked for; what was recorded of it since is little. If
/// it is not there, the answer does not say who asked.
const STOP_READ_MAX: u64 = 256;

/// Returns why work on a running task ends that is to stop: the service ends, or somebody asked.
pub(super) fn halt_of_stop(ports: &Ports, task: TaskId) -> Halt {
    if ports.cut_off.is_cancelled() {
        return EffectError::Ending.into();
    }
    stop_of_running(ports, task).map_or_else(Halt::from, Halt::from)
}

/// Returns the stop of a running task with who asked for it, which is among the last things that were
/// recorded of it.
///
/// # Errors
/// [`EffectError`] when the log does not read.
pub(super) fn stop_of_running(ports: &Ports, task: TaskId) -> Result<Obstacle, EffectError> {
    let (log, stream) = (&ports.log, StreamId::task(task));
    let version = log.stream_version(&stream)?;
    let before = StreamVersion(version.0.saturating_sub(STOP_READ_MAX));
    let recorded = log.read_stream(&stream, before, STOP_READ_MAX as usize)?;
    let by = recorded
        .into_iter()
        .rev()
        .find_map(|recorded| match recorded.event {
            Event::Task(TaskEvent::StopRequested(stop)) => Some(stop.by),
            _ => None,
        });
    Ok(Obstacle::Stopped(Stop {
        by: by.unwrap_or_default(),
        when: StoppedWhen::Running,
    }))
}
