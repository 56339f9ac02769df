//! The daemon's end of a proxy's link: it hands over the setup, turns what the proxy says into
//! events, and returns receipts once they are durable. All decisions that wait share one append.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::types::Audit;
use crate::events::id::RunId;
use crate::sandbox::github::RunApps;
use crate::sandbox::link_server::ledger::Ledger;
use crate::sandbox::proxy::link::{encode, read_message};
use crate::sandbox::proxy::wire::{FromProxy, Setup, ToProxy};
use crate::sandbox::recorder::Recorder;

mod facts;
mod ledger;
mod quota;

/// Messages recorded with one append; the rest goes with the next. One may be two events.
const BATCH_MAX: usize = 128;

/// Name of the socket within its directory.
pub const SOCKET_NAME: &str = "link.sock";

/// How the proxy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It has not connected, or not opened its listeners yet.
    Waiting,
    /// It listens.
    Ready,
    /// It saw the honey surrogate and denies everything; the words say where. It stays so.
    HoneySeen(String),
    /// Its link ended; it denies everything.
    Lost(String),
}

/// A link that waits for its proxy.
pub struct LinkServer {
    listener: UnixListener,
    directory: PathBuf,
    state: watch::Sender<LinkState>,
    apps: Option<RunApps>,
}

impl LinkServer {
    /// Listens in a directory of its own, which only this user can enter.
    ///
    /// # Errors
    /// When the directory or the socket cannot be made.
    pub fn bind(directory: &Path) -> std::io::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let socket = directory.join(SOCKET_NAME);
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        let (state, _) = watch::channel(LinkState::Waiting);
        Ok(Self {
            listener,
            directory: directory.to_owned(),
            state,
            apps: None,
        })
    }

    /// Lets the proxy ask for tokens of these apps.
    #[must_use]
    pub fn with_apps(self, apps: RunApps) -> Self {
        let apps = Some(apps);
        Self { apps, ..self }
    }

    /// Returns the directory that is mounted into the proxy's container, and nowhere else.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns how the proxy is, from now on.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Serves the first proxy that connects until it or `stop` ends the link.
    pub async fn serve(
        self,
        run: RunId,
        setup: Setup,
        audit: Audit,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) {
        let mut ledger = Ledger::new(run, audit, recorder);
        let serving = self.serve_one(setup, &mut ledger);
        let why = tokio::select! {
            ended = serving => ended.err().map_or_else(|| "the proxy ended".to_owned(), |e| e.to_string()),
            () = stop.cancelled() => "the run ended".to_owned(),
        };
        self.state.send_if_modified(|state| {
            let lost = !matches!(state, LinkState::HoneySeen(_));
            if lost {
                *state = LinkState::Lost(why);
            }
            lost
        });
        ledger.close().await;
        // What is left of it is swept with its run's directory.
        let _swept_later = std::fs::remove_dir_all(&self.directory);
    }

    async fn serve_one(&self, setup: Setup, ledger: &mut Ledger) -> std::io::Result<()> {
        let (connection, _) = self.listener.accept().await?;
        let (reader, mut writer) = connection.into_split();
        writer
            .write_all(&encode(&ToProxy::Setup(Box::new(setup))))
            .await?;
        let mut batches = Box::pin(messages(reader).ready_chunks(BATCH_MAX));
        // Minted beside decisions, which wait for none of them.
        let mut minting = FuturesUnordered::new();
        loop {
            let batch = tokio::select! {
                biased;
                kept = ledger.tend() => {
                    kept?;
                    continue;
                }
                batch = batches.next() => batch,
                Some(token) = minting.next() => {
                    writer.write_all(&encode(&token)).await?;
                    continue;
                }
            };
            let Some(batch) = batch else { return Ok(()) };
            let batch = batch.into_iter().collect::<std::io::Result<Vec<_>>>()?;
            for message in &batch {
                if let FromProxy::TokenWanted { number, name } = message {
                    minting.push(self.mint(*number, name.clone()));
                }
            }
            if batch.contains(&FromProxy::Ready) {
                self.state.send_replace(LinkState::Ready);
            }
            let seen = batch.iter().find_map(facts::honey_seen);
            let receipts = ledger.record(batch).await;
            // Recorded or not: the run is frozen.
            if let Some(words) = seen {
                self.state.send_replace(LinkState::HoneySeen(words));
            }
            let receipts = receipts?;
            writer.write_all(&receipts).await?;
        }
    }

    async fn mint(&self, number: u64, name: String) -> ToProxy {
        let token = match &self.apps {
            Some(apps) => apps.token(&name).await,
            None => None,
        };
        ToProxy::Token { number, token }
    }
}

/// Returns the proxy's messages as they arrive.
fn messages(reader: OwnedReadHalf) -> impl Stream<Item = std::io::Result<FromProxy>> {
    let reader = tokio::io::BufReader::new(reader);
    stream::try_unfold(reader, async |mut reader| {
        let message = read_message(&mut reader).await?;
        Ok(message.map(|message| (message, reader)))
    })
}
