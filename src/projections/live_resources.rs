//! Containers and networks that were made and have no end: after a crash these are the orphans.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::container::ContainerRole;
use crate::events::event::{ContainerEvent, RunEvent, TaskEvent};
use crate::events::id::RunId;
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// What exists of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRun {
    /// Name of its network.
    pub network: Option<String>,
    /// Name of its proxy container.
    pub proxy: Option<String>,
    /// Name of its agent container.
    pub agent: Option<String>,
}

impl LiveRun {
    fn container(&mut self, role: ContainerRole) -> &mut Option<String> {
        match role {
            ContainerRole::Proxy => &mut self.proxy,
            ContainerRole::Agent => &mut self.agent,
        }
    }

    fn is_gone(&self) -> bool {
        *self == Self::default()
    }
}

/// What exists of all runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveResources {
    /// Runs that were announced and not judged yet, and runs of which something exists.
    runs: BTreeMap<RunId, LiveRun>,
}

impl LiveResources {
    /// Returns the runs of which something exists or may come to exist.
    pub fn runs(&self) -> impl Iterator<Item = (RunId, &LiveRun)> {
        self.runs.iter().map(|(run, live)| (*run, live))
    }

    fn change(&mut self, run: RunId, change: impl FnOnce(&mut LiveRun)) {
        let live = self.runs.entry(run).or_default();
        change(live);
        if live.is_gone() {
            self.runs.remove(&run);
        }
    }

    fn apply_container(&mut self, event: &ContainerEvent) {
        match event {
            ContainerEvent::NetworkCreated(created) => {
                self.change(created.run, |live| {
                    live.network = Some(created.name.clone());
                });
            }
            ContainerEvent::NetworkRemoved(removed) => {
                self.change(removed.run, |live| live.network = None);
            }
            ContainerEvent::Created(created) => self.change(created.run, |live| {
                *live.container(created.role) = Some(created.name.clone());
            }),
            ContainerEvent::Removed(removed) => {
                self.change(removed.run, |live| *live.container(removed.role) = None);
            }
            ContainerEvent::OrphanRemoved(orphan) => {
                if let Some(run) = orphan.run {
                    self.change(run, |live| {
                        for name in [&mut live.network, &mut live.proxy, &mut live.agent] {
                            name.take_if(|name| *name == orphan.name);
                        }
                    });
                }
            }
            ContainerEvent::Started(_)
            | ContainerEvent::ProxyReady(_)
            | ContainerEvent::ProxyFailed(_)
            | ContainerEvent::PromptWritten(_)
            | ContainerEvent::StopSignalSent(_)
            | ContainerEvent::Exited(_)
            | ContainerEvent::OrphanRemovalFailed(_)
            | ContainerEvent::RunFrozen(_)
            | ContainerEvent::FrozenRunReleased(_)
            | ContainerEvent::FrozenRunReleaseRequested(_) => {}
        }
    }
}

impl Projection for LiveResources {
    const NAME: &'static str = "live_resources";
    const CODE_VERSION: u32 = 2;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Container(event) => self.apply_container(event),
            Event::Run(RunEvent::Planned(planned)) => {
                self.runs.entry(planned.run).or_default();
            }
            Event::Run(RunEvent::OutcomeClassified(classified)) => {
                self.change(classified.run, |_| {});
            }
            // What was announced for it and never made is not made any more.
            Event::Task(TaskEvent::Completed(completed)) => {
                let ended = completed.task;
                self.runs
                    .retain(|run, live| run.task != ended || !live.is_gone());
            }
            Event::Run(_)
            | Event::Service(_)
            | Event::Schedule(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Message(_)
            | Event::Task(_)
            | Event::Conversation(_)
            | Event::Proxy(_)
            | Event::Delivery(_) => {}
        }
    }
}
