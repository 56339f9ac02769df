//! The port through which runs are executed. It says nothing of Podman, so that a test may put a
//! fake behind it, and nothing of conversations, so that `airut sandbox run` can use it too.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::config::types::GithubAppSecret;
use crate::events::container::ReleaseCause;
use crate::events::id::{CredentialName, RunId};
use crate::events::run::{Mount, RunLimits};
use crate::sandbox::podman::OutputChunk;
use crate::sandbox::proxy::allowlist::Allowlist;
use crate::sandbox::proxy::honey::Honey;
use crate::sandbox::proxy::wire::{AppCredential, MaskedCredential, SigningCredential};
use crate::sandbox::recorder::{PortFuture, RecordError, Recorder};

/// Lines and pieces of error output that a run may write; one that writes more is ended.
pub const OUTPUT_LINES_MAX: u64 = 200_000;

/// Bytes that a run may write, to both of its streams together; one that writes more is ended.
pub const OUTPUT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What the image's entry point does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrypoint {
    /// It prepares the container for Claude Code and starts it.
    Agent,
    /// It starts the given command as it is.
    Passthrough,
}

/// An image that a run needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRequest {
    /// The run, for the record.
    pub run: RunId,
    /// The Dockerfile's bytes.
    pub dockerfile: Vec<u8>,
    /// Files beside and below it, by their path.
    pub context: Vec<(String, Vec<u8>)>,
    /// What the overlay's entry point does.
    pub entrypoint: Entrypoint,
}

/// How a run reaches the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkRequest {
    /// As the engine's default network does; without a proxy.
    Open,
    /// Only through a proxy that judges every request.
    Sandboxed(Box<ProxyPolicy>),
}

/// Keys of apps by name; printed without them.
#[derive(Clone, Default)]
pub struct AppKeys(pub BTreeMap<String, GithubAppSecret>);

impl AppKeys {
    /// Returns those of configured apps.
    pub fn of(apps: &BTreeMap<CredentialName, GithubAppSecret>) -> Self {
        let named =
            |(name, app): (&CredentialName, &GithubAppSecret)| (name.0.clone(), app.clone());
        Self(apps.iter().map(named).collect())
    }
}

impl PartialEq for AppKeys {
    /// Two are the same when they have the same apps; keys are not compared.
    fn eq(&self, other: &Self) -> bool {
        self.0.keys().eq(other.0.keys())
    }
}

impl Eq for AppKeys {}

impl std::fmt::Debug for AppKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a run's proxy works by; addresses and the certificate authority are the sandbox's to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyPolicy {
    /// What may be reached.
    pub allowlist: Allowlist,
    /// The real values behind the surrogates.
    pub credentials: Vec<MaskedCredential>,
    /// Keys for AWS that it signs with.
    pub signing: Vec<SigningCredential>,
    /// Apps of GitHub that it knows.
    pub apps: Vec<AppCredential>,
    /// What nobody may send anywhere; nothing when the run has no such value.
    pub honey: Option<Honey>,
    /// The same apps with their keys, which stay in the daemon.
    pub app_keys: AppKeys,
}

/// What a command's three streams are connected to, for runs whose output is no record.
pub trait Streams: std::fmt::Debug + Send + Sync {
    /// Returns the next bytes for its standard input; nothing when there are no more.
    fn read(&self) -> PortFuture<'_, Option<Vec<u8>>>;

    /// Takes what it wrote; a command that writes faster than this returns waits.
    fn write(&self, chunk: OutputChunk) -> PortFuture<'_, ()>;
}

/// How the output of a run is read.
#[derive(Debug, Clone)]
pub enum OutputKind {
    /// As Claude Code's stream-json: every line of standard output is an `AgentEventObserved`.
    AgentStream,
    /// Not at all: all three streams pass through, whatever their length, and
    /// [`RunRequest::stdin`] is not used.
    Passed(Arc<dyn Streams>),
}

/// A run: one agent container, and around it what its network request asks for.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The run.
    pub run: RunId,
    /// The image's tag, from [`Sandbox::ensure_image`].
    pub image: String,
    /// The command.
    pub argv: Vec<String>,
    /// Environment, surrogates in place of masked secrets.
    pub env: Vec<(String, SecretString)>,
    /// What of the host the container sees.
    pub mounts: Vec<Mount>,
    /// Resource limits.
    pub limits: RunLimits,
    /// What is written to its standard input, which is then closed.
    pub stdin: Vec<u8>,
    /// How its output is read.
    pub output: OutputKind,
    /// How it reaches the network.
    pub network: NetworkRequest,
    /// Cancelled when a stop comes from the end of the service and not from a person.
    pub service_ends: CancellationToken,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Exit code of the agent container; 137 after `SIGKILL`.
    pub exit_code: i32,
    /// Whether it ran into its time limit.
    pub timed_out: bool,
    /// Whether it was stopped through the token.
    pub stopped: bool,
    /// Whether it was killed for want of memory.
    pub out_of_memory: bool,
    /// Whether the proxy was lost, which ends the run.
    pub proxy_lost: bool,
    /// Whether it wrote more than [`OUTPUT_LINES_MAX`] or [`OUTPUT_BYTES_MAX`], which ends the run.
    pub too_much_output: bool,
    /// How long the agent container ran.
    pub duration_ms: u64,
    /// The last lines it wrote to standard error.
    pub stderr_tail: String,
}

/// Why an image is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The engine cannot be reached: try again later.
    #[error("the container engine (podman) is not available: {0}")]
    Engine(String),
    /// The build failed: the repository's Dockerfile must be corrected. Recorded with its output.
    #[error("{0}")]
    Build(String),
    /// What was to be done could not be recorded, so it was not done.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Why a run did not come to an end of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunFailure {
    /// The engine cannot be reached: try again later.
    #[error("the container engine (podman) is not available: {0}")]
    Engine(String),
    /// Network, proxy or container could not be made.
    #[error("{0}")]
    Setup(String),
    /// What was to be done could not be recorded, so it was not done.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Executes runs. Everything a run makes is removed again when it ends, whatever way it ends,
/// but of a run whose honey surrogate was seen: it is frozen (`RunFrozen`) and kept for a time.
pub trait Sandbox: Send + Sync {
    /// Makes the image if it is not there and returns its tag.
    fn ensure_image(
        &self,
        request: ImageRequest,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<String, ImageError>>;

    /// Executes a run to its end. `RunPlanned` is recorded by the caller before.
    fn run(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) -> PortFuture<'_, Result<RunEnd, RunFailure>>;

    /// Removes whatever of a run exists; nothing to remove is a success.
    fn remove_run(
        &self,
        run: RunId,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>>;

    /// Lets a frozen run go and removes what was kept of it; one that is not kept any more is
    /// recorded as gone.
    fn release_frozen(
        &self,
        run: RunId,
        cause: ReleaseCause,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>>;

    /// Removes whatever of this installation exists and no run of this process owns.
    fn sweep(&self, recorder: Arc<dyn Recorder>) -> PortFuture<'_, Result<(), RunFailure>>;

    /// Returns the agent's program of a version (`latest`, `stable` or a number), to be mounted.
    fn agent_binary(&self, version: String) -> PortFuture<'_, Result<PathBuf, RunFailure>>;
}
