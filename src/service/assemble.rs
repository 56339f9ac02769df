//! Making the parts of a service from a configuration and directories.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::types::{self, Config};
use crate::events::blobs::{BlobError, Blobs};
use crate::events::id::{RepoId, Sha256};
use crate::events::keys::KeyRing;
use crate::events::log::sled::OpenError;
use crate::events::log::{Log, ReadError};
use crate::events::service::FailedRepo;
use crate::handlers::bodies::Bodies;
use crate::handlers::channels::Channel;
use crate::handlers::channels::email::EmailChannel;
use crate::handlers::channels::local::{Desk, LocalChannel};
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::threads::Threads;
use crate::handlers::intake::Intake;
use crate::handlers::memory::Memory;
use crate::handlers::operator::Operator;
use crate::handlers::ports::{Channels, EffectError, Ports};
use crate::handlers::snapshots::Snapshots;
use crate::sandbox::git::GitMirrors;
use crate::sandbox::podman_sandbox::{PodmanSandbox, SandboxSettings};
use crate::sandbox::port::Sandbox;
use crate::sandbox::proxy::wire::InternalRange;
use crate::service::Parts;
use crate::service::look::{self, LookError};
use crate::service::standby::{StandbySandbox, Starter};

/// Name of the daemon's socket within the runtime directory.
pub const SOCKET_NAME: &str = "airut.sock";

/// How often a log that another process has open is tried again; then the start is refused.
const LOCKED_TRIES_MAX: u32 = 15;

/// The pause before it is tried again.
const LOCKED_PAUSE: Duration = Duration::from_millis(200);

/// Everything a service is started by.
#[derive(Debug, Clone)]
pub struct ServicePlan {
    /// The configuration.
    pub config: Config,
    /// Digest of its file; nothing without a file.
    pub config_sha256: Option<Sha256>,
    /// Where the log, bodies, mirrors and conversations are.
    pub state_dir: PathBuf,
    /// Where sockets are.
    pub runtime_dir: PathBuf,
    /// The static `airut-proxy`.
    pub proxy_binary: PathBuf,
    /// Whether to stay up when no repository works.
    pub resilient: bool,
    /// The barrier at which a test lets the process die.
    pub crash_at: Option<String>,
    /// The kind of event after which a test lets the process die.
    pub crash_after: Option<String>,
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory or key file cannot be made: see its permissions.
    #[error("{path}: {error}")]
    Disk {
        /// What could not be made.
        path: PathBuf,
        /// What the disk says.
        error: std::io::Error,
    },
    /// The log cannot be opened; the text says what to do.
    #[error(transparent)]
    Log(#[from] LookError),
    /// The bodies cannot be opened.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The log does not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Folding the log panicked, which is a defect.
    #[error("replaying the log failed; this is a defect of Airut")]
    Replay,
    /// The start could not be recorded.
    #[error("the start cannot be recorded: {0}")]
    Announce(EffectError),
    /// No configured repository works; `--resilient` stays up all the same.
    #[error("no repository works: {0}")]
    NoRepository(String),
}

/// What must be closed when the service ends.
#[derive(Default)]
pub struct Closing {
    standby: Option<Arc<StandbySandbox>>,
    podman: Arc<Mutex<Option<Arc<PodmanSandbox>>>>,
}

impl Closing {
    /// Closes it.
    pub async fn close(&self) {
        if let Some(standby) = &self.standby {
            standby.release().await;
        }
        let podman = self
            .podman
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(podman) = podman {
            podman.stop().await;
        }
    }
}

/// Opens the log, on a thread that may wait for the disk.
///
/// # Errors
/// [`StartError`], which says what to do.
pub async fn open_log(state_dir: &Path) -> Result<Log, StartError> {
    make_private(state_dir)?;
    for _ in 0..LOCKED_TRIES_MAX {
        match open_once(state_dir).await {
            // A command that reads the log from disk, or a daemon that is just ending, has it for a
            // moment.
            Err(StartError::Log(LookError::Open(OpenError::Locked { .. }))) => {
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
            opened => return opened,
        }
    }
    open_once(state_dir).await
}

async fn open_once(state_dir: &Path) -> Result<Log, StartError> {
    let state_dir = state_dir.to_owned();
    let opened = tokio::task::spawn_blocking(move || look::open(&state_dir)).await;
    Ok(opened.map_err(|_| StartError::Replay)??)
}

/// Folds the log, which takes as long as it is, on a thread that may wait.
///
/// # Errors
/// [`StartError`] when the log does not read.
pub async fn recall(log: &Log, state_dir: &Path) -> Result<Memory, StartError> {
    let (log, snapshots) = (log.clone(), Snapshots::below(state_dir));
    let folded = tokio::task::spawn_blocking(move || Memory::open(&log, snapshots)).await;
    Ok(folded.map_err(|_| StartError::Replay)??)
}

/// Makes the parts of a service over an open log, and sweeps what an earlier process left. Runs are
/// executed by `other`, or by Podman without one.
///
/// # Errors
/// [`StartError`], which says what to do.
pub async fn assemble(
    plan: ServicePlan,
    log: Log,
    memory: Memory,
    other: Option<Starter>,
) -> Result<Parts, StartError> {
    make_private(&plan.runtime_dir)?;
    let keys = log.keys().cloned();
    let keys = keys.unwrap_or_else(|| Arc::new(KeyRing::of_state(&plan.state_dir)));
    let blobs = Arc::new(Blobs::open_with(&plan.state_dir.join("blobs"), keys)?);
    // The log's lock is held, so that nobody else is writing there.
    let swept = blobs.sweep()?;
    if swept > 0 {
        tracing::info!(swept, "bodies that were left half written were removed");
    }
    let bodies = Bodies::new(Arc::clone(&blobs));
    let (operator, questions) = Operator::new();
    let repos: Vec<RepoId> = plan.config.repos.keys().cloned().collect();
    let desk = Desk::new(log.clone(), bodies.clone(), repos, operator.clone());
    let socket = plan.runtime_dir.join(SOCKET_NAME);
    let local: Arc<dyn Channel> = Arc::new(LocalChannel::new(socket, desk));
    let (channels, mut failed) = mailboxes(&plan.config, Channels::new().with_local(local));
    let (channels, failed_apps) = slack_apps(&plan.config, channels, &log, &memory);
    failed.extend(failed_apps);
    let mut closing = Closing::default();
    let starter = other.unwrap_or_else(|| starter(&plan, blobs, &closing));
    let sandbox = Arc::new(StandbySandbox::new(starter));
    closing.standby = Some(Arc::clone(&sandbox));
    let ports = Ports {
        fingerprint_key: fingerprint_key(&plan.state_dir)?,
        mirrors: Arc::new(GitMirrors::new(plan.state_dir.clone())),
        sandbox: Arc::clone(&sandbox) as Arc<dyn Sandbox>,
        config: Arc::new(plan.config),
        state_dir: plan.state_dir,
        log: log.clone(),
        bodies: bodies.clone(),
        channels: channels.clone(),
        cut_off: CancellationToken::new(),
    };
    // Without an engine messages are taken in all the same, and every task says what is missing.
    if let Err(error) = sandbox.start(ports.service_recorder()).await {
        tracing::error!(%error, "the sandbox cannot be used now; it is tried again with every task");
    }
    Ok(Parts {
        intake: Intake::new(log, bodies),
        ports,
        operator,
        questions,
        memory,
        channels,
        failed,
        closing,
    })
}

/// Adds the mailbox of each repository that has one; those that cannot be used are returned with
/// the reason.
fn mailboxes(config: &Config, mut channels: Channels) -> (Channels, Vec<FailedRepo>) {
    let mut failed = Vec::new();
    for (repo, settings) in &config.repos {
        let Some(email) = &settings.email else {
            continue;
        };
        match EmailChannel::new(repo.clone(), email.clone()) {
            Ok(channel) => channels = channels.with(repo.clone(), Arc::new(channel)),
            Err(error) => {
                let (repo, error) = (repo.to_string(), error.to_string());
                tracing::error!(repo, error, "the mailbox cannot be used");
                failed.push(FailedRepo { repo, error });
            }
        }
    }
    (channels, failed)
}

/// Adds the Slack app of each repository that has one; those that cannot be used are returned with
/// the reason.
fn slack_apps(
    config: &Config,
    mut channels: Channels,
    log: &Log,
    memory: &Memory,
) -> (Channels, Vec<FailedRepo>) {
    let mut failed = Vec::new();
    let apps = config.repos.iter();
    let apps: Vec<_> = apps
        .filter_map(|(repo, settings)| Some((repo, settings.slack.as_ref()?)))
        .collect();
    if apps.is_empty() {
        return (channels, failed);
    }
    let known = memory.state().slack.clone();
    let threads = Threads::following(known, log.subscribe(memory.position()));
    let threads = Arc::new(threads);
    for (repo, slack) in apps {
        match SlackChannel::new(repo.clone(), slack.clone()) {
            Ok(channel) => {
                let channel = channel.with_threads(Arc::clone(&threads));
                channels = channels.with(repo.clone(), Arc::new(channel));
            }
            Err(error) => {
                let (repo, error) = (repo.to_string(), error.to_string());
                tracing::error!(repo, error, "the Slack app cannot be used");
                failed.push(FailedRepo { repo, error });
            }
        }
    }
    (channels, failed)
}

fn starter(plan: &ServicePlan, blobs: Arc<Blobs>, closing: &Closing) -> Starter {
    let plan = plan.clone();
    let podman = Arc::clone(&closing.podman);
    Box::new(move || {
        let (plan, blobs, podman) = (plan.clone(), Arc::clone(&blobs), Arc::clone(&podman));
        Box::pin(async move {
            let settings = settings(&plan).map_err(|error| error.to_string())?;
            let started = PodmanSandbox::start(settings, blobs).await;
            let sandbox = Arc::new(started.map_err(|error| error.to_string())?);
            let mut kept = podman.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Some(Arc::clone(&sandbox));
            Ok(sandbox as Arc<dyn Sandbox>)
        })
    })
}

fn settings(plan: &ServicePlan) -> Result<SandboxSettings, std::io::Error> {
    let network = &plan.config.network;
    let upstream_ca = network.upstream_ca_file.as_ref();
    let internal_range = |named: &types::InternalRange| InternalRange {
        range: named.range,
        hosts: named.hosts.clone(),
    };
    Ok(SandboxSettings {
        instance: instance(&plan.state_dir),
        runtime_dir: plan.runtime_dir.clone(),
        binaries_dir: plan.state_dir.join("claude-binaries"),
        proxy_binary: plan.proxy_binary.clone(),
        upstream_dns: network.upstream_dns,
        internal_ranges: network
            .internal_ranges
            .values()
            .map(internal_range)
            .collect(),
        upstream_ca: upstream_ca.map(std::fs::read_to_string).transpose()?,
        audit: network.audit,
        container_command: plan.config.container_command.clone(),
    })
}

/// Derives what tells this installation's containers from those of others: its state directory.
fn instance(state_dir: &Path) -> String {
    let canonical = state_dir.canonicalize();
    let path = canonical.unwrap_or_else(|_| state_dir.to_owned());
    let digest = Sha256::of(path.as_os_str().as_encoded_bytes());
    digest.to_string()[..12].to_owned()
}

/// Reads the key of the surrogates' fingerprints, or makes it.
fn fingerprint_key(state_dir: &Path) -> Result<[u8; 32], StartError> {
    let path = state_dir.join("fingerprint.key");
    let disk = |error| StartError::Disk {
        path: path.clone(),
        error,
    };
    let mut key = [0; 32];
    match OpenOptions::new().read(true).open(&path) {
        Ok(mut file) => file.read_exact(&mut key).map_err(disk)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            getrandom::fill(&mut key).map_err(|error| disk(std::io::Error::other(error)))?;
            write_key(&path, &key).map_err(disk)?;
        }
        Err(error) => return Err(disk(error)),
    }
    Ok(key)
}

/// A crash in between leaves no half key: the file gets its name when it is whole.
fn write_key(path: &Path, key: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(key)?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

/// Makes a directory that nobody else can look into, also out of one that is there already.
pub(crate) fn make_private(path: &Path) -> Result<(), StartError> {
    let make = || {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let mut permissions = path.metadata()?.permissions();
        let mode = permissions.mode();
        if mode & 0o1000 != 0 {
            let shared = "it is shared with other users; choose a directory of its own";
            return Err(std::io::Error::other(shared));
        }
        permissions.set_mode(mode & !0o077);
        std::fs::set_permissions(path, permissions)
    };
    make().map_err(|error| StartError::Disk {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_could_look_into_is_closed_and_a_shared_one_refused() {
        let directory = tempfile::TempDir::new().unwrap();
        let own = directory.path().join("own");
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::create_dir(&own).unwrap();
        std::fs::set_permissions(&own, mode(0o755)).unwrap();
        make_private(&own).unwrap();
        let closed = own.metadata().unwrap().permissions().mode();
        assert_eq!(closed & 0o777, 0o700);
        std::fs::set_permissions(&own, mode(0o1777)).unwrap();
        make_private(&own).unwrap_err();
    }
}
