//! The real proxy as a process, linked to the real link server, which makes every decision durable
//! in a log on disk before the proxy goes on: a run's network without its containers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use airut::clock::{self, Stopwatch};
use airut::config::types::Audit;
use airut::events::Event;
use airut::events::id::{Actor, RunId, StreamId, TaskId};
use airut::events::log::sled::SledStore;
use airut::events::log::{Append, Context, Log};
use airut::sandbox::link_server::{LinkServer, LinkState, SOCKET_NAME};
use airut::sandbox::proxy::ENVIRONMENT;
use airut::sandbox::proxy::allowlist::Allowlist;
use airut::sandbox::proxy::ca::make_authority;
use airut::sandbox::proxy::wire::{InternalRange, Ports, Setup};
use airut::sandbox::recorder::{PortFuture, RecordError, Recorder};
use airut::tasks::TaskSet;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::client::Way;
use super::origin::{HOST, Origin};
use crate::parts::directory;

/// Name of the authority that the proxy mints under.
const AUTHORITY: &str = "bench";

/// A running proxy and what it reports to.
pub(crate) struct Guarded {
    /// The way through it.
    pub(crate) way: Way,
    /// Since when the process runs.
    pub(crate) since: Stopwatch,
    child: Child,
    log: Log,
    stop: CancellationToken,
    // Threads of its own, as the daemon has them.
    runtime: Runtime,
    _log_directory: TempDir,
}

/// Returns where the proxy's binary is, if it is built.
pub(crate) fn binary() -> Option<PathBuf> {
    let built = format!(
        "{}-unknown-linux-gnu/proxy/airut-proxy",
        std::env::consts::ARCH
    );
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(built);
    let named = std::env::var_os("AIRUT_PROXY_BIN").map(PathBuf::from);
    Some(named.unwrap_or(built)).filter(|path| path.exists())
}

impl Guarded {
    /// Starts a proxy that may reach the origin at `https`, and waits until it listens.
    pub(crate) fn start(binary: &Path, origin: &Origin, https: SocketAddr, audit: Audit) -> Self {
        let runtime = Runtime::new().unwrap();
        let log_directory = directory();
        // A socket's path is short; the target directory's may not be.
        let link_directory = TempDir::new().unwrap();
        let store = SledStore::open(log_directory.path()).unwrap();
        let log = Log::open(Arc::new(store)).unwrap();
        let authority = make_authority(AUTHORITY).unwrap();
        let ports = free_ports(https.port());
        let setup = Setup {
            allowlist: Allowlist {
                domains: vec![HOST.to_owned()],
                url_prefixes: vec![],
            },
            credentials: vec![],
            signing: vec![],
            apps: vec![],
            honey: None,
            ca_name: AUTHORITY.to_owned(),
            ca_key: authority.key,
            address: Ipv4Addr::LOCALHOST,
            upstream_dns: origin.dns,
            internal_ranges: vec![InternalRange {
                range: "127.0.0.0/8".parse().unwrap(),
                hosts: vec![],
            }],
            upstream_ca: Some(origin.authority.clone()),
            ports,
        };
        let run = TaskId(1).run(1);
        let recorder = Arc::new(Decisions {
            log: log.clone(),
            run,
        });
        let stop = CancellationToken::new();
        let (since, child) = runtime.block_on(async {
            let server = LinkServer::bind(link_directory.path()).unwrap();
            let mut state = server.state();
            // It ends with `stop`; the runtime is dropped after it.
            TaskSet::new().spawn(server.serve(run, setup, audit, recorder, stop.clone()));
            let since = Stopwatch::start();
            let child = spawn(binary, &link_directory.path().join(SOCKET_NAME));
            let state = state.wait_for(|state| *state != LinkState::Waiting).await;
            assert_eq!(*state.unwrap(), LinkState::Ready);
            (since, child)
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.https));
        Self {
            way: Way::new(address, &authority.certificate),
            since,
            child,
            log,
            stop,
            runtime,
            _log_directory: log_directory,
        }
    }

    /// Returns the proxy's process.
    pub(crate) fn process(&self) -> String {
        self.child.id().to_string()
    }

    /// Ends the proxy by its link; returns how many events of it are durable.
    pub(crate) fn end(mut self) -> u64 {
        self.stop.cancel();
        self.child.wait().unwrap();
        self.runtime.block_on(self.log.close());
        self.log.head().position.0
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the proxy is measured as a process"
)]
fn spawn(binary: &Path, link: &Path) -> Child {
    let mut command = Command::new(binary);
    command.arg("--link").arg(link).stdin(Stdio::null());
    command.envs(ENVIRONMENT);
    command.spawn().unwrap()
}

/// Ports that nobody listened on a moment ago.
fn free_ports(upstream_https: u16) -> Ports {
    let taken: [TcpListener; 3] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
    let [dns, http, https] = taken.map(|listener| listener.local_addr().unwrap().port());
    Ports {
        dns,
        http,
        https,
        upstream_http: 80,
        upstream_https,
    }
}

/// Records as the daemon does: one append for what waits, durable when it returns.
struct Decisions {
    log: Log,
    run: RunId,
}

impl Recorder for Decisions {
    fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        Box::pin(async move {
            let context = Context {
                actor: Actor::Proxy(self.run),
                ..Context::system(clock::now())
            };
            let append = Append::to(&StreamId::proxy(self.run), events, context);
            let appended = self.log.append(append).await;
            appended
                .map(drop)
                .map_err(|error| RecordError(error.to_string()))
        })
    }
}
