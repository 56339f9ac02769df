//! What happened to the containers and networks of one run. Stream `run:<id>`; what a start-up
//! sweep finds goes to `service`. It knows no agent and no request.

use crate::events::id::{AtMs, RunId};
use crate::events::macros::data;

data! {
    /// What a container is for.
    #[derive(Copy, PartialOrd, Ord)]
    #[serde(rename_all = "lowercase")]
    pub enum ContainerRole {
        /// It judges and forwards requests.
        Proxy,
        /// It runs the agent or a command.
        Agent,
    }

    /// A run has its network.
    pub struct NetworkCreated {
        /// The run.
        pub run: RunId,
        /// Its name in Podman.
        pub name: String,
        /// Its addresses, in CIDR form.
        pub subnet: String,
    }

    /// A network is gone.
    pub struct NetworkRemoved {
        /// The run.
        pub run: RunId,
        /// Its name in Podman.
        pub name: String,
    }

    /// A container exists.
    pub struct ContainerCreated {
        /// The run.
        pub run: RunId,
        /// What it is for.
        pub role: ContainerRole,
        /// Its name in Podman.
        pub name: String,
        /// Its id in Podman.
        pub container_id: String,
    }

    /// A container runs.
    pub struct ContainerStarted {
        /// The run.
        pub run: RunId,
        /// What it is for.
        pub role: ContainerRole,
    }

    /// The proxy has its policy and answers.
    pub struct ProxyReady {
        /// The run.
        pub run: RunId,
        /// From the start of its container.
        pub after_ms: u64,
    }

    /// The proxy did not come up, or its link was lost; the run ends.
    pub struct ProxyFailed {
        /// The run.
        pub run: RunId,
        /// Why.
        pub error: String,
    }

    /// The agent has its whole prompt.
    pub struct PromptWritten {
        /// The run.
        pub run: RunId,
        /// Length of the prompt.
        pub bytes: u64,
    }

    /// Why a signal was sent.
    pub enum StopCause {
        /// Somebody asked for it.
        Requested,
        /// The time limit was reached.
        TimeLimit,
        /// The service shuts down.
        Shutdown,
        /// The proxy failed.
        ProxyLost,
        /// Airut itself failed.
        InternalError,
        /// It wrote more than a run may write.
        OutputLimit,
    }

    /// A container was told to stop.
    pub struct StopSignalSent {
        /// The run.
        pub run: RunId,
        /// `SIGTERM` or `SIGKILL`.
        pub signal: String,
        /// Why.
        pub cause: StopCause,
    }

    /// A container ended.
    pub struct ContainerExited {
        /// The run.
        pub run: RunId,
        /// What it was for.
        pub role: ContainerRole,
        /// Its exit code.
        pub exit_code: i32,
        /// Whether the kernel killed it for want of memory.
        pub out_of_memory: bool,
        /// How long it ran.
        pub duration_ms: u64,
    }

    /// A container is gone.
    pub struct ContainerRemoved {
        /// The run.
        pub run: RunId,
        /// What it was for.
        pub role: ContainerRole,
    }

    /// How a frozen run's container stands.
    #[serde(rename_all = "lowercase")]
    pub enum FrozenState {
        /// Its processes are stopped where they were; memory and files are as they were.
        Paused,
        /// It could not be paused and was killed; its files are as they were.
        Killed,
    }

    /// A run is frozen since its honey surrogate was seen; its agent's container is kept for
    /// inspection, its proxy is removed.
    pub struct RunFrozen {
        /// The run.
        pub run: RunId,
        /// Name of the container in Podman.
        pub container: String,
        /// How it stands.
        pub state: FrozenState,
        /// What was seen, in words.
        pub why: String,
        /// Until when it is kept.
        pub kept_until: AtMs,
    }

    /// An operator asked for a frozen run to be let go.
    pub struct FrozenRunReleaseRequested {
        /// The run.
        pub run: RunId,
        /// Who asked.
        pub by: String,
    }

    /// A frozen run is kept no longer; its removal is recorded beside this.
    pub struct FrozenRunReleased {
        /// The run.
        pub run: RunId,
        /// Why.
        pub cause: ReleaseCause,
    }

    /// Why a frozen run is kept no longer.
    #[derive(Copy)]
    #[serde(rename_all = "lowercase")]
    pub enum ReleaseCause {
        /// Its time is over.
        Time,
        /// Newer frozen runs took its place.
        Number,
        /// Its container was removed by somebody, or ended with the machine.
        Removed,
        /// Somebody asked for it; see `FrozenRunReleaseRequested`.
        Requested,
    }

    /// The kinds of things a crash can leave behind.
    #[serde(rename_all = "lowercase")]
    pub enum OrphanKind {
        /// A container.
        Container,
        /// A network.
        Network,
        /// A directory of sockets or other files of a run.
        Directory,
    }

    /// A start-up sweep removed something that no live run owns.
    pub struct OrphanRemoved {
        /// What it was.
        pub kind: OrphanKind,
        /// Its name.
        pub name: String,
        /// The run it is labelled with, if it is readable.
        pub run: Option<RunId>,
    }

    /// A start-up sweep could not remove something.
    pub struct OrphanRemovalFailed {
        /// What it is.
        pub kind: OrphanKind,
        /// Its name.
        pub name: String,
        /// Why.
        pub error: String,
    }
}
