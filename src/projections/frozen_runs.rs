//! Runs that are frozen, until they are let go. It knows no container engine and no time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::container::RunFrozen;
use crate::events::event::ContainerEvent;
use crate::events::id::{AtMs, RunId, TaskId};
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// A run that is kept for somebody to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenRun {
    /// The run.
    pub run: RunId,
    /// Name of its agent's container.
    pub container: String,
    /// Until when it is kept.
    pub kept_until: AtMs,
    /// Who asked for it to be let go; nothing while nobody did.
    pub release_requested_by: Option<String>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenRuns {
    runs: BTreeMap<RunId, FrozenRun>,
}

impl FrozenRuns {
    /// Returns all of them, by run.
    pub fn all(&self) -> impl Iterator<Item = &FrozenRun> {
        self.runs.values()
    }

    /// Returns the frozen runs of a task.
    pub fn of_task(&self, task: TaskId) -> impl Iterator<Item = &FrozenRun> {
        self.all().filter(move |frozen| frozen.run.task == task)
    }

    /// Returns whether an event changes which runs are frozen, or for how long.
    pub fn is_concerned(event: &ContainerEvent) -> bool {
        matches!(
            event,
            ContainerEvent::RunFrozen(_)
                | ContainerEvent::FrozenRunReleaseRequested(_)
                | ContainerEvent::FrozenRunReleased(_)
        )
    }
}

impl Projection for FrozenRuns {
    const NAME: &'static str = "frozen_runs";
    const CODE_VERSION: u32 = 1;

    fn apply(&mut self, recorded: &Recorded) {
        let Event::Container(event) = &recorded.event else {
            return;
        };
        if let ContainerEvent::RunFrozen(frozen) = event {
            let RunFrozen {
                run,
                container,
                kept_until,
                ..
            } = frozen.clone();
            let frozen = FrozenRun {
                run,
                container,
                kept_until,
                release_requested_by: None,
            };
            self.runs.insert(run, frozen);
        }
        if let ContainerEvent::FrozenRunReleaseRequested(requested) = event
            && let Some(frozen) = self.runs.get_mut(&requested.run)
        {
            frozen.release_requested_by = Some(requested.by.clone());
        }
        if let ContainerEvent::FrozenRunReleased(released) = event {
            self.runs.remove(&released.run);
        }
    }
}
