//! What holds: the program, its configuration, and for every run that is not over what it may reach
//! and use. It judges no request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::event::{RunEvent, ServiceEvent, TaskEvent};
use crate::events::id::{AtMs, Position, RepoId, RunId};
use crate::events::run::PolicyInForce;
use crate::events::service::{ConfigLoaded, ServiceStarted};
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// Something that holds, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since<T> {
    /// The event that says so.
    pub position: Position,
    /// When it was recorded.
    pub at: AtMs,
    /// What holds.
    pub value: T,
}

impl<T: Clone> Since<T> {
    fn new(recorded: &Recorded, value: &T) -> Self {
        Self {
            position: recorded.position,
            at: recorded.at,
            value: value.clone(),
        }
    }
}

/// What is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigInForce {
    /// The process; nothing when it ended in good order.
    pub service: Option<Since<ServiceStarted>>,
    /// The configuration that was accepted last.
    pub config: Option<Since<ConfigLoaded>>,
    /// The newest policy of each repository.
    pub repos: BTreeMap<RepoId, Since<PolicyInForce>>,
    /// The policy of each run whose task is not over.
    pub runs: BTreeMap<RunId, Since<PolicyInForce>>,
}

impl Projection for ConfigInForce {
    const NAME: &'static str = "config_in_force";
    const CODE_VERSION: u32 = 1;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Service(ServiceEvent::Started(started)) => {
                self.service = Some(Since::new(recorded, started));
            }
            Event::Service(ServiceEvent::ConfigLoaded(loaded)) => {
                self.config = Some(Since::new(recorded, loaded));
            }
            Event::Service(ServiceEvent::Stopped(_)) => self.service = None,
            Event::Run(RunEvent::PolicyInForce(policy)) => {
                let policy = Since::new(recorded, policy);
                let (repo, run) = (policy.value.repo.clone(), policy.value.run);
                self.repos.insert(repo, policy.clone());
                self.runs.insert(run, policy);
            }
            Event::Task(TaskEvent::Completed(completed)) => {
                self.runs.retain(|run, _| run.task != completed.task);
            }
            Event::Service(_)
            | Event::Schedule(_)
            | Event::Run(_)
            | Event::Task(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Message(_)
            | Event::Conversation(_)
            | Event::Container(_)
            | Event::Proxy(_)
            | Event::Delivery(_) => {}
        }
    }
}
