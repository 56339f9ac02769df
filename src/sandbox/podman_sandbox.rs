//! The sandbox on Podman: networks, proxy and agent containers of runs, images, and the sweep of
//! what an earlier process left. It knows no conversation.

mod agent_spec;
mod binary;
mod cut;
mod freeze;
mod guard;
mod image;
mod names;
mod network;
mod oom;
mod output;
mod passed;
mod recording;
mod refresh;
mod run;
mod seccomp;
mod sweep;
#[cfg(test)]
mod testing;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::types::Audit;
use crate::events::blobs::Blobs;
use crate::events::container::ReleaseCause;
use crate::events::id::RunId;
use crate::sandbox::github::GithubTokens;
use crate::sandbox::podman::{Podman, PodmanError, PodmanService};
use crate::sandbox::port::{ImageError, ImageRequest, RunEnd, RunFailure, RunRequest, Sandbox};
use crate::sandbox::proxy::wire::InternalRange;
use crate::sandbox::recorder::{PortFuture, Recorder};
use crate::tasks::TaskSet;

pub use freeze::{FROZEN_RUNS_MAX, FROZEN_TIME_MS_MAX};
pub use guard::{PROXY_MEMORY_BYTES_MAX, PROXY_PIDS_MAX};
use image::BuildLocks;
pub use image::proxy_tag_of;
pub use names::Names;
pub use refresh::repo_tag;

/// What the sandbox works by.
#[derive(Debug, Clone)]
pub struct SandboxSettings {
    /// What tells this installation's containers from those of others on the machine.
    pub instance: String,
    /// Where sockets and other files of runs lie; short, because socket paths are.
    pub runtime_dir: PathBuf,
    /// Where Claude Code's programs are kept, one directory for each version.
    pub binaries_dir: PathBuf,
    /// The static `airut-proxy`.
    pub proxy_binary: PathBuf,
    /// The resolver that proxies ask.
    pub upstream_dns: SocketAddr,
    /// Internal ranges that allowed hosts may resolve to.
    pub internal_ranges: Vec<InternalRange>,
    /// Further authorities for upstream hosts, PEM.
    pub upstream_ca: Option<String>,
    /// When a request may leave.
    pub audit: Audit,
    /// Podman's command.
    pub container_command: String,
}

/// Why the sandbox is not available.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SandboxError {
    /// Podman cannot be used: install or start it.
    #[error("{0}")]
    Podman(#[from] PodmanError),
    /// The host could not be made safe for runs, so there are none.
    #[error("{0}")]
    Host(String),
}

/// The sandbox on Podman.
#[derive(Debug)]
pub struct PodmanSandbox {
    settings: SandboxSettings,
    service: PodmanService,
    building: BuildLocks,
    /// What agents may ask of the kernel; nothing: what Podman itself allows.
    seccomp: Option<PathBuf>,
    /// Tag of the proxy's image, once it is known.
    proxy_image: OnceLock<String>,
    /// Runs of which something could not be removed; locked for a look only.
    left_over: std::sync::Mutex<BTreeSet<RunId>>,
    /// Frozen runs are let go one at a time, so that each is once.
    releasing: Mutex<()>,
    /// Addresses are chosen one run at a time.
    allocating: Mutex<u8>,
    /// Bodies that are too long for an event.
    blobs: Arc<Blobs>,
    /// Shared by all runs.
    github: Arc<GithubTokens>,
    tasks: TaskSet,
}

impl PodmanSandbox {
    /// Connects to Podman and closes the host's doors to sandboxes.
    ///
    /// # Errors
    /// [`SandboxError`] saying what is missing.
    pub async fn start(settings: SandboxSettings, blobs: Arc<Blobs>) -> Result<Self, SandboxError> {
        let failed = |error: std::io::Error| {
            SandboxError::Host(format!("{}: {error}", settings.runtime_dir.display()))
        };
        tokio::fs::create_dir_all(&settings.runtime_dir)
            .await
            .map_err(failed)?;
        let (command, runtime_dir) = (&settings.container_command, &settings.runtime_dir);
        // Always our own service: a socket that lies about may belong to another store or user.
        let service = PodmanService::start(command, runtime_dir).await?;
        network::close_host_doors()
            .await
            .map_err(SandboxError::Host)?;
        let seccomp = seccomp::write(&settings.runtime_dir);
        let seccomp =
            seccomp.map_err(|error| SandboxError::Host(format!("seccomp.json: {error}")))?;
        Self::on(service, settings, blobs, seccomp)
    }

    fn on(
        service: PodmanService,
        settings: SandboxSettings,
        blobs: Arc<Blobs>,
        seccomp: Option<PathBuf>,
    ) -> Result<Self, SandboxError> {
        let tasks = TaskSet::new();
        let github = GithubTokens::new(settings.upstream_ca.as_deref());
        let github = github.map_err(|error| SandboxError::Host(error.to_string()))?;
        Ok(Self {
            github: Arc::new(github),
            settings,
            service,
            building: BuildLocks::default(),
            seccomp,
            proxy_image: OnceLock::new(),
            left_over: std::sync::Mutex::default(),
            releasing: Mutex::default(),
            allocating: Mutex::default(),
            blobs,
            tasks,
        })
    }

    /// Ends everything of this process; runs must have ended before.
    pub async fn stop(self: Arc<Self>) {
        self.tasks.stop(std::time::Duration::from_secs(2)).await;
        if let Ok(sandbox) = Arc::try_unwrap(self) {
            sandbox.service.stop().await;
        }
    }

    /// Returns the process that serves Podman's API.
    pub async fn service_process(&self) -> Option<u32> {
        self.service.process_id().await
    }

    /// Returns Podman's API.
    pub fn podman(&self) -> &Podman {
        &self.service.podman
    }
}

impl Sandbox for PodmanSandbox {
    fn ensure_image(
        &self,
        request: ImageRequest,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<String, ImageError>> {
        Box::pin(self.make_image(request, recorder))
    }

    fn run(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) -> PortFuture<'_, Result<RunEnd, RunFailure>> {
        Box::pin(self.execute(request, recorder, stop))
    }

    fn remove_run(
        &self,
        run: RunId,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move { self.remove_all_of(run, recorder.as_ref()).await })
    }

    fn release_frozen(
        &self,
        run: RunId,
        cause: ReleaseCause,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move { self.release(run, cause, recorder.as_ref()).await })
    }

    fn sweep(&self, recorder: Arc<dyn Recorder>) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move { self.sweep_all(recorder.as_ref()).await })
    }

    fn agent_binary(&self, version: String) -> PortFuture<'_, Result<PathBuf, RunFailure>> {
        Box::pin(async move { binary::find(&self.settings.binaries_dir, &version) })
    }
}
