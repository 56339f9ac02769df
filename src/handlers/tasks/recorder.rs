//! Recording a run of a task: what the sandbox reports, and beside it the agent's plan whenever a
//! line changes it (spec row GW-16).

use std::sync::{Arc, Mutex, PoisonError};

use crate::events::Event;
use crate::events::event::RunEvent;
use crate::events::id::TaskId;
use crate::events::run::LineBody;
use crate::events::task::TodoListUpdated;
use crate::sandbox::agent::Transcript;
use crate::sandbox::recorder::{PortFuture, RecordError, Recorder};

/// A recorder that reads along.
pub struct PlanRecorder {
    inner: Arc<dyn Recorder>,
    task: TaskId,
    // Locked for the reading of lines only, never across a wait.
    transcript: Mutex<Transcript>,
}

impl PlanRecorder {
    /// Returns a recorder for one run of `task`.
    pub fn new(inner: Arc<dyn Recorder>, task: TaskId) -> Self {
        Self {
            inner,
            task,
            transcript: Mutex::default(),
        }
    }

    /// Returns the plan if one of the events changes it. Lines kept as blobs are passed over: they
    /// are long tool output.
    fn changed_plan(&self, events: &[Event]) -> Option<Event> {
        let mut transcript = self
            .transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for event in events {
            if let Event::Run(RunEvent::AgentEventObserved(observed)) = event
                && let LineBody::Inline(line) = &observed.line
            {
                changed |= transcript.observe(line).plan_changed;
            }
        }
        changed.then(|| {
            let updated = TodoListUpdated {
                task: self.task,
                items: transcript.todos(),
            };
            updated.into()
        })
    }
}

impl Recorder for PlanRecorder {
    fn record(&self, mut events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        events.extend(self.changed_plan(&events));
        self.inner.record(events)
    }
}
