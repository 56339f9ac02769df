//! One command in the sandbox, without a daemon and without its log (spec rows SCLI-01 to SCLI-09):
//! the same images, networks, proxy and credentials as a task's run. Its network log is its journal:
//! a decision is on the disk there before a byte leaves.

pub mod context;
pub mod images;
mod journal;
mod owner;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::types::{Audit, GithubAppSecret, Limits, MaskedSecret, SigningSecret};
use crate::events::blobs::{BlobError, Blobs};
use crate::events::id::{CredentialName, RunId, TaskId};
use crate::events::run::RunLimits;
use crate::sandbox::credentials;
use crate::sandbox::podman_sandbox::{PodmanSandbox, SandboxError, SandboxSettings};
use crate::sandbox::port::{
    AppKeys, Entrypoint, ImageError, ImageRequest, NetworkRequest, OutputKind, ProxyPolicy,
    RunFailure, RunRequest, Sandbox as _,
};
use crate::sandbox::proxy::wire::InternalRange;
use crate::sandbox::recorder::Recorder;

pub use crate::events::run::Mount;
pub use crate::sandbox::allowlist_file::{self, ALLOWLIST_PATH};
pub use crate::sandbox::podman::OutputChunk;
pub use crate::sandbox::port::{RunEnd, Streams};
pub use crate::sandbox::proxy::allowlist::Allowlist;
pub use crate::sandbox::recorder::PortFuture;
use context::Context;
use journal::{Journal, Unwatched};
pub use journal::{Listener, NETWORK_LOGS_MAX};
use owner::Owner;

/// The resolver that a command's proxy asks unless another is named (spec row SCLI-09).
pub const UPSTREAM_DNS: &str = "1.1.1.1:53";

/// Where everything of such a run lies, and how it reaches the world.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where owners and network logs are, over all runs.
    pub state_dir: PathBuf,
    /// Where sockets are.
    pub runtime_dir: PathBuf,
    /// The static `airut-proxy`.
    pub proxy_binary: PathBuf,
    /// Podman's command.
    pub container_command: String,
    /// The resolver that the proxy asks.
    pub upstream_dns: SocketAddr,
    /// Internal ranges that allowed hosts may resolve to.
    pub internal_ranges: Vec<IpNet>,
    /// Further authorities for upstream hosts, PEM.
    pub upstream_ca: Option<String>,
}

/// How a command reaches the network through its proxy.
pub struct Network {
    /// What may be reached.
    pub allowlist: Allowlist,
    /// Where the network log goes; nothing: into the state directory.
    pub log: Option<PathBuf>,
    /// Who is told each line of it.
    pub listener: Option<Listener>,
}

/// A command and what it gets.
pub struct CommandPlan {
    /// What its image is made of.
    pub image: Context,
    /// Age in milliseconds at which the image is built again.
    pub image_age_ms_max: u64,
    /// The command.
    pub argv: Vec<String>,
    /// Its environment, but for surrogates, which come over it.
    pub env: BTreeMap<String, SecretString>,
    /// Its masked secrets.
    pub masked_secrets: BTreeMap<CredentialName, MaskedSecret>,
    /// Its keys that sign.
    pub signing_credentials: BTreeMap<CredentialName, SigningSecret>,
    /// Its apps of GitHub.
    pub github_app_credentials: BTreeMap<CredentialName, GithubAppSecret>,
    /// What of the host it sees.
    pub mounts: Vec<Mount>,
    /// Its limits.
    pub limits: RunLimits,
    /// How it reaches the network; nothing: as the engine's default network does.
    pub network: Option<Network>,
    /// What its three streams are connected to.
    pub streams: Arc<dyn Streams>,
}

/// Why a command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A file or directory of ours cannot be made: see its permissions.
    #[error("{path}: {error}")]
    Disk {
        /// What could not be made.
        path: PathBuf,
        /// What the disk says.
        error: std::io::Error,
    },
    /// A directory of ours cannot be made.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// Podman or the host is not ready; the text says what is missing.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The image could not be made: correct the Dockerfile.
    #[error("the image cannot be built: {0}")]
    Image(#[from] ImageError),
    /// Network, proxy or container could not be made.
    #[error(transparent)]
    Run(#[from] RunFailure),
    /// There is no randomness.
    #[error("the machine gives no randomness: {0}")]
    Random(String),
    /// It was told to stop before its command started.
    #[error("stopped before the command started")]
    Stopped,
}

/// Returns configured limits as those of a run.
pub fn limits(limits: &Limits) -> RunLimits {
    RunLimits {
        timeout_ms: limits.timeout_s.map(|seconds| seconds.saturating_mul(1000)),
        memory_bytes: limits.memory_bytes,
        cpu_millis: limits.cpu_millis,
        pids_max: limits.pids_max,
    }
}

/// A sandbox that this process alone owns.
struct Own {
    sandbox: Arc<PodmanSandbox>,
    owner: Owner,
}

impl Own {
    /// Starts it, and removes what runs left whose process is gone.
    async fn start(surroundings: &Surroundings) -> Result<Self, CommandError> {
        let owner = Owner::claim(&surroundings.state_dir, &surroundings.runtime_dir)?;
        let runtime_dir = owner.runtime_dir().to_owned();
        let settings = SandboxSettings {
            instance: owner.instance().to_owned(),
            binaries_dir: runtime_dir.join("binaries"),
            proxy_binary: surroundings.proxy_binary.clone(),
            upstream_dns: surroundings.upstream_dns,
            internal_ranges: surroundings
                .internal_ranges
                .iter()
                .map(|range| InternalRange {
                    range: *range,
                    hosts: vec![],
                })
                .collect(),
            upstream_ca: surroundings.upstream_ca.clone(),
            audit: Audit::Strict,
            container_command: surroundings.container_command.clone(),
            runtime_dir,
        };
        // The outputs of failed builds: their ends are told, and the rest goes with the run.
        let blobs = Arc::new(Blobs::open(&settings.runtime_dir.join("blobs"))?);
        let sandbox = Arc::new(PodmanSandbox::start(settings, blobs).await?);
        owner::sweep_dead(&surroundings.state_dir, &sandbox).await;
        Ok(Self { sandbox, owner })
    }

    async fn end(self) {
        self.sandbox.stop().await;
        self.owner.release();
    }
}

/// Runs a command to its end, its limit, or `stop`. Whatever it made is removed again.
///
/// # Errors
/// [`CommandError`], which says what to do.
pub async fn run(
    surroundings: &Surroundings,
    plan: CommandPlan,
    stop: &CancellationToken,
) -> Result<RunEnd, CommandError> {
    let run = new_run()?;
    let mut plan = plan;
    let (recorder, network, surrogates) = prepare(surroundings, &mut plan, run).await?;
    let own = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(CommandError::Stopped),
        own = Own::start(surroundings) => own?,
    };
    plan.env.extend(surrogates);
    let ended = run_in(&own.sandbox, plan, run, network, recorder, stop).await;
    own.end().await;
    ended
}

type Prepared = (
    Arc<dyn Recorder>,
    NetworkRequest,
    Vec<(String, SecretString)>,
);

/// Opens the journal and makes surrogates.
async fn prepare(
    surroundings: &Surroundings,
    plan: &mut CommandPlan,
    run: RunId,
) -> Result<Prepared, CommandError> {
    let mut key = [0; 32];
    random(&mut key)?;
    // A source that gave bytes for the key gives them for surrogates, too.
    let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the source has just worked");
    let mut issued = credentials::issue(&plan.masked_secrets, &key, &mut fill);
    issued.issue_apps(&plan.github_app_credentials, &key, &mut fill);
    issued.issue_signing(&plan.signing_credentials, &key, &mut fill);
    let Some(network) = plan.network.take() else {
        let recorder: Arc<dyn Recorder> = Arc::new(Unwatched);
        return Ok((recorder, NetworkRequest::Open, issued.env));
    };
    let journal =
        Journal::open(network.log, &surroundings.state_dir, run, network.listener).await?;
    let policy = ProxyPolicy {
        allowlist: network.allowlist,
        credentials: issued.masked,
        signing: issued.signing,
        apps: issued.apps,
        honey: None,
        app_keys: AppKeys::of(&plan.github_app_credentials),
    };
    let network = NetworkRequest::Sandboxed(Box::new(policy));
    Ok((Arc::new(journal), network, issued.env))
}

async fn run_in(
    sandbox: &PodmanSandbox,
    plan: CommandPlan,
    run: RunId,
    network: NetworkRequest,
    recorder: Arc<dyn Recorder>,
    stop: &CancellationToken,
) -> Result<RunEnd, CommandError> {
    tracing::info!("making the image");
    let request = image_request(run, plan.image);
    let (now, age_ms_max) = (clock::now(), plan.image_age_ms_max);
    let image = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(CommandError::Stopped),
        image = sandbox.ensure_recent_image(request, now, age_ms_max, Arc::clone(&recorder)) => image?,
    };
    let request = RunRequest {
        run,
        image,
        argv: plan.argv,
        env: plan.env.into_iter().collect(),
        mounts: plan.mounts,
        limits: plan.limits,
        stdin: vec![],
        output: OutputKind::Passed(plan.streams),
        network,
        service_ends: CancellationToken::new(),
    };
    tracing::info!("starting the command");
    Ok(sandbox.run(request, recorder, stop.clone()).await?)
}

fn image_request(run: RunId, image: Context) -> ImageRequest {
    ImageRequest {
        run,
        dockerfile: image.dockerfile,
        context: image.files,
        entrypoint: Entrypoint::Passthrough,
    }
}

/// Returns a run that no other has: its task is drawn from all there can be.
fn new_run() -> Result<RunId, CommandError> {
    let mut id = [0; 8];
    random(&mut id[2..])?;
    Ok(TaskId(u64::from_be_bytes(id)).run(1))
}

fn random(bytes: &mut [u8]) -> Result<(), CommandError> {
    getrandom::fill(bytes).map_err(|error| CommandError::Random(error.to_string()))
}
