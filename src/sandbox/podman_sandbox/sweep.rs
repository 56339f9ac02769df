//! Removing what no run of this process owns: after a crash, containers and networks of runs that
//! were cut off still exist.

use serde_json::Value;

use crate::events::Event;
use crate::events::container::{
    ContainerRemoved, ContainerRole, NetworkRemoved, OrphanKind, OrphanRemovalFailed, OrphanRemoved,
};
use crate::events::id::RunId;
use crate::sandbox::podman::PodmanError;
use crate::sandbox::podman_sandbox::PodmanSandbox;
use crate::sandbox::podman_sandbox::names::{LABEL_INSTANCE, LABEL_RUN, Names};
use crate::sandbox::port::RunFailure;
use crate::sandbox::recorder::Recorder;

impl PodmanSandbox {
    /// Removes everything a run has, in the order of need, and records what was there.
    pub(super) async fn remove_all_of(
        &self,
        run: RunId,
        recorder: &dyn Recorder,
    ) -> Result<(), RunFailure> {
        let names = Names::of(&self.settings.instance, run);
        let mut removed: Vec<Event> = Vec::new();
        for (role, name) in [
            (ContainerRole::Agent, &names.agent),
            (ContainerRole::Proxy, &names.proxy),
        ] {
            if self.podman().remove_container(name).await? {
                removed.push(ContainerRemoved { run, role }.into());
            }
        }
        if self.podman().remove_network(&names.network).await? {
            removed.push(
                NetworkRemoved {
                    run,
                    name: names.network.clone(),
                }
                .into(),
            );
        }
        // A directory that is not there is what is wanted.
        let _not_there = tokio::fs::remove_dir_all(self.run_directory(&names)).await;
        if !removed.is_empty() {
            recorder.record(removed).await?;
        }
        Ok(())
    }

    pub(super) fn run_directory(&self, names: &Names) -> std::path::PathBuf {
        self.settings
            .runtime_dir
            .join("runs")
            .join(&names.directory)
    }

    /// Removes whatever carries this installation's label; called before any run begins.
    pub(super) async fn sweep_all(&self, recorder: &dyn Recorder) -> Result<(), RunFailure> {
        let label = format!("{LABEL_INSTANCE}={}", self.settings.instance);
        for (name, labels) in self.podman().containers(&label).await? {
            let removed = self.podman().remove_container(&name).await;
            record_orphan(OrphanKind::Container, name, &labels, removed, recorder).await?;
        }
        for (name, labels) in self.podman().networks(&label).await? {
            let removed = self.podman().remove_network(&name).await;
            record_orphan(OrphanKind::Network, name, &labels, removed, recorder).await?;
        }
        let _not_there = tokio::fs::remove_dir_all(self.settings.runtime_dir.join("runs")).await;
        Ok(())
    }
}

async fn record_orphan(
    kind: OrphanKind,
    name: String,
    labels: &Value,
    removed: Result<bool, PodmanError>,
    recorder: &dyn Recorder,
) -> Result<(), RunFailure> {
    let run = labels[LABEL_RUN].as_str().and_then(|run| run.parse().ok());
    let event = match removed {
        Ok(_) => OrphanRemoved { kind, name, run }.into(),
        Err(error) => OrphanRemovalFailed {
            kind,
            name,
            error: error.to_string(),
        }
        .into(),
    };
    Ok(recorder.record(vec![event]).await?)
}
