//! Recording a run of a task: what the sandbox reports, and beside it the agent's plan whenever a
//! line changes it (spec row GW-16).

use std::sync::{Arc, Mutex, PoisonError};

use crate::events::Event;
use crate::events::event::RunEvent;
use crate::events::id::TaskId;
use crate::events::log::APPEND_EVENTS_MAX;
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
        let Some(plan) = self.changed_plan(&events) else {
            return self.inner.record(events);
        };
        if events.len() < APPEND_EVENTS_MAX {
            events.push(plan);
            return self.inner.record(events);
        }
        // One append has no room for it; a plan that is lost in between is only a display.
        Box::pin(async move {
            self.inner.record(events).await?;
            self.inner.record(vec![plan]).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::run::AgentEventObserved;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Vec<Event>>>);

    impl Recorder for Kept {
        fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
            assert!(events.len() <= APPEND_EVENTS_MAX, "the log would refuse");
            self.0.lock().unwrap().push(events);
            Box::pin(std::future::ready(Ok(())))
        }
    }

    fn observed(index: u32) -> Event {
        let plan = r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"TodoWrite","input":{"todos":[{"content":"A"}]}}]}}"#;
        AgentEventObserved {
            run: TaskId(1).run(1),
            index,
            event_type: "assistant".to_owned(),
            subtype: String::new(),
            session: None,
            line: LineBody::Inline(plan.to_owned()),
        }
        .into()
    }

    #[tokio::test]
    async fn a_plan_beside_a_full_append_is_recorded_by_itself() {
        for (count, expected) in [
            (APPEND_EVENTS_MAX - 1, vec![APPEND_EVENTS_MAX]),
            (APPEND_EVENTS_MAX, vec![APPEND_EVENTS_MAX, 1]),
        ] {
            let kept = Arc::new(Kept::default());
            let recorder = PlanRecorder::new(Arc::<Kept>::clone(&kept), TaskId(1));
            let events = vec![observed(1); count];
            recorder.record(events).await.unwrap();
            let appends = kept.0.lock().unwrap();
            let lengths: Vec<usize> = appends.iter().map(Vec::len).collect();
            assert_eq!(lengths, expected);
            let last = appends.last().and_then(|append| append.last()).unwrap();
            assert_eq!(last.name(), "TodoListUpdated");
        }
    }
}
