//! Removing what no run of this process owns: after a crash, containers and networks of runs that
//! were cut off still exist.

use std::sync::PoisonError;

use serde_json::Value;

use crate::events::Event;
use crate::events::container::{
    ContainerRemoved, ContainerRole, NetworkRemoved, OrphanKind, OrphanRemovalFailed, OrphanRemoved,
};
use crate::events::id::RunId;
use crate::sandbox::cut::{ERROR_CHARS_MAX, first_chars};
use crate::sandbox::podman::PodmanError;
use crate::sandbox::podman_sandbox::PodmanSandbox;
use crate::sandbox::podman_sandbox::names::{LABEL_INSTANCE, LABEL_RUN, Names};
use crate::sandbox::port::RunFailure;
use crate::sandbox::recorder::Recorder;

/// Runs whose left-overs are remembered; those beyond are for the next start's sweep.
const LEFT_OVERS_MAX: usize = 1000;

/// Runs whose left-overs are removed before another run begins; the rest waits for the next one.
const LEFT_OVERS_REMOVED_MAX: usize = 4;

impl PodmanSandbox {
    /// Removes everything a run has, in the order of need, and records what was there. A part that
    /// stays keeps no other one: it is recorded, remembered and tried again.
    pub(super) async fn remove_all_of(
        &self,
        run: RunId,
        recorder: &dyn Recorder,
    ) -> Result<(), RunFailure> {
        if self.is_frozen(run) {
            return Ok(());
        }
        let names = Names::of(&self.settings.instance, run);
        let mut events: Vec<Event> = Vec::new();
        let mut failure = None;
        for (part, removed) in self.remove_parts(&names).await {
            match removed {
                Ok(true) => events.push(part.removed(run)),
                Ok(false) => {}
                Err(error) => {
                    events.push(part.stayed(&error));
                    failure.get_or_insert(error);
                }
            }
        }
        if failure.is_some() {
            self.note_left_over(run);
        }
        if !events.is_empty() {
            recorder.record(events).await?;
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Tries again what earlier runs left behind.
    pub(super) async fn remove_left_overs(&self, recorder: &dyn Recorder) {
        let runs: Vec<RunId> = {
            let left_over = self.left_over.lock();
            let mut left_over = left_over.unwrap_or_else(PoisonError::into_inner);
            let runs = left_over.iter().take(LEFT_OVERS_REMOVED_MAX);
            let runs: Vec<RunId> = runs.copied().collect();
            left_over.retain(|run| !runs.contains(run));
            runs
        };
        for run in runs {
            let names = Names::of(&self.settings.instance, run);
            let mut events: Vec<Event> = Vec::new();
            for (part, removed) in self.remove_parts(&names).await {
                match removed {
                    Ok(true) => events.push(part.orphan_removed(run)),
                    Ok(false) => {}
                    Err(error) => {
                        events.push(part.stayed(&error));
                        self.note_left_over(run);
                    }
                }
            }
            if !events.is_empty()
                && let Err(error) = recorder.record(events).await
            {
                tracing::warn!(%run, %error, "a removal was not recorded");
            }
        }
    }

    pub(super) fn note_left_over(&self, run: RunId) {
        let left_over = self.left_over.lock();
        let mut left_over = left_over.unwrap_or_else(PoisonError::into_inner);
        if left_over.len() < LEFT_OVERS_MAX {
            left_over.insert(run);
        }
    }

    /// Removes what a run may have, every part whatever became of the others.
    async fn remove_parts(&self, names: &Names) -> Vec<(Part, Result<bool, PodmanError>)> {
        // Without the service each part says so itself.
        let _is_said_below = self.service.ensure().await;
        let mut parts = Vec::new();
        for (role, name) in [
            (ContainerRole::Agent, &names.agent),
            (ContainerRole::Proxy, &names.proxy),
        ] {
            let removed = self.podman().remove_container(name).await;
            parts.push((Part::Container(role, name.clone()), removed));
        }
        let removed = self.podman().remove_network(&names.network).await;
        parts.push((Part::Network(names.network.clone()), removed));
        // A directory that is not there is what is wanted.
        let _not_there = tokio::fs::remove_dir_all(self.run_directory(names)).await;
        parts
    }

    pub(super) fn run_directory(&self, names: &Names) -> std::path::PathBuf {
        self.settings
            .runtime_dir
            .join("runs")
            .join(&names.directory)
    }

    /// Removes whatever carries this installation's label, but what is frozen and not due; called
    /// before any run begins. What cannot be listed keeps nothing else from being removed.
    pub(super) async fn sweep_all(&self, recorder: &dyn Recorder) -> Result<(), RunFailure> {
        self.service.ensure().await?;
        self.release_due(recorder).await;
        let swept = self.sweep_instance(&self.settings.instance, recorder).await;
        // A frozen run's container keeps what it has of it.
        let _not_there = tokio::fs::remove_dir_all(self.settings.runtime_dir.join("runs")).await;
        swept
    }

    /// Removes whatever carries the label of an installation that is no more.
    ///
    /// # Errors
    /// [`RunFailure`] when something cannot be listed or recorded; what can be removed is.
    pub async fn sweep_instance(
        &self,
        instance: &str,
        recorder: &dyn Recorder,
    ) -> Result<(), RunFailure> {
        self.service.ensure().await?;
        let label = format!("{LABEL_INSTANCE}={instance}");
        let containers = self.podman().containers(&label).await;
        for (name, labels) in containers.iter().flatten() {
            if self.keeps(labels) {
                continue;
            }
            let removed = self.podman().remove_container(name).await;
            record_orphan(OrphanKind::Container, name, labels, removed, recorder).await?;
        }
        let networks = self.podman().networks(&label).await;
        for (name, labels) in networks.iter().flatten() {
            if self.keeps(labels) {
                continue;
            }
            let removed = self.podman().remove_network(name).await;
            record_orphan(OrphanKind::Network, name, labels, removed, recorder).await?;
        }
        containers?;
        networks?;
        Ok(())
    }

    fn keeps(&self, labels: &Value) -> bool {
        run_of(labels).is_some_and(|run| self.is_frozen(run))
    }
}

/// A part of a run.
enum Part {
    Container(ContainerRole, String),
    Network(String),
}

impl Part {
    fn removed(self, run: RunId) -> Event {
        match self {
            Self::Container(role, _) => ContainerRemoved { run, role }.into(),
            Self::Network(name) => NetworkRemoved { run, name }.into(),
        }
    }

    fn orphan_removed(self, run: RunId) -> Event {
        let (kind, name) = self.into_orphan();
        let run = Some(run);
        OrphanRemoved { kind, name, run }.into()
    }

    fn stayed(self, error: &PodmanError) -> Event {
        let (kind, name) = self.into_orphan();
        stayed(kind, name, error)
    }

    fn into_orphan(self) -> (OrphanKind, String) {
        match self {
            Self::Container(_, name) => (OrphanKind::Container, name),
            Self::Network(name) => (OrphanKind::Network, name),
        }
    }
}

fn stayed(kind: OrphanKind, name: String, error: &PodmanError) -> Event {
    let error = first_chars(&error.to_string(), ERROR_CHARS_MAX).to_owned();
    OrphanRemovalFailed { kind, name, error }.into()
}

fn run_of(labels: &Value) -> Option<RunId> {
    labels[LABEL_RUN].as_str().and_then(|run| run.parse().ok())
}

async fn record_orphan(
    kind: OrphanKind,
    name: &str,
    labels: &Value,
    removed: Result<bool, PodmanError>,
    recorder: &dyn Recorder,
) -> Result<(), RunFailure> {
    let run = run_of(labels);
    let name = name.to_owned();
    let event = match removed {
        Ok(_) => OrphanRemoved { kind, name, run }.into(),
        Err(error) => stayed(kind, name, &error),
    };
    Ok(recorder.record(vec![event]).await?)
}

#[cfg(test)]
mod tests;
