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

use crate::clock::Stopwatch;
use crate::events::Event;
use crate::events::id::RunId;
use crate::events::proxy::{DecisionLimitReached, DnsQueriesSuppressed};
use crate::sandbox::github::RunApps;
use crate::sandbox::link_server::quota::{DECISIONS_MAX, Quota, Ruling};
use crate::sandbox::proxy::link::{encode, read_message};
use crate::sandbox::proxy::wire::{FromProxy, Outcome, Setup, ToProxy};
use crate::sandbox::recorder::Recorder;

mod facts;
mod quota;

/// Messages recorded with one append; the rest goes with the next.
const BATCH_MAX: usize = 256;

/// Name of the socket within its directory.
pub const SOCKET_NAME: &str = "link.sock";

/// How the proxy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It has not connected, or not opened its listeners yet.
    Waiting,
    /// It listens.
    Ready,
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
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) {
        let mut ledger = Ledger {
            run,
            recorder,
            quota: Quota::default(),
            since: Stopwatch::start(),
        };
        let serving = self.serve_one(setup, &mut ledger);
        let why = tokio::select! {
            ended = serving => ended.err().map_or_else(|| "the proxy ended".to_owned(), |e| e.to_string()),
            () = stop.cancelled() => "the run ended".to_owned(),
        };
        self.state.send_replace(LinkState::Lost(why));
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
            let receipts = ledger.record(batch).await;
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

/// What is recorded of one link.
struct Ledger {
    run: RunId,
    recorder: Arc<dyn Recorder>,
    quota: Quota,
    since: Stopwatch,
}

impl Ledger {
    /// Makes what a batch says durable and returns the receipts.
    async fn record(&mut self, batch: Vec<FromProxy>) -> Vec<u8> {
        let (run, now_ms) = (self.run, self.since.elapsed_ms());
        let (mut decided, mut events) = (Vec::new(), Vec::<Event>::new());
        let mut limit_reached = false;
        for message in batch {
            let (number, fact) = match message {
                FromProxy::Ready | FromProxy::TokenWanted { .. } => continue,
                FromProxy::Decision { number, fact } => (Some(number), fact),
                FromProxy::Note { fact } => (None, fact),
            };
            let ruling = self.quota.rule(&fact, now_ms);
            decided.extend(number.map(|number| (number, ruling)));
            match ruling {
                Ruling::Record => events.push(facts::event(run, fact)),
                Ruling::Beyond => limit_reached = true,
                Ruling::Suppress => {}
            }
        }
        let tell_limit = limit_reached && !self.quota.limit_told;
        if tell_limit {
            let decisions_max = DECISIONS_MAX;
            events.push(DecisionLimitReached { run, decisions_max }.into());
        }
        let durable = self.append(events).await;
        self.quota.limit_told |= tell_limit && durable;
        let receipts = decided.into_iter().map(|(number, ruling)| {
            let outcome = match ruling {
                Ruling::Beyond => Outcome::BeyondLimit,
                Ruling::Record if durable => Outcome::Durable,
                Ruling::Record | Ruling::Suppress => Outcome::NotDurable,
            };
            ToProxy::Receipt { number, outcome }
        });
        receipts.flat_map(|receipt| encode(&receipt)).collect()
    }

    /// Records what was left out, once nothing more can come.
    async fn close(self) {
        let (run, count) = (self.run, self.quota.suppressed());
        if count > 0 {
            let summary = DnsQueriesSuppressed { run, count };
            self.append(vec![summary.into()]).await;
        }
    }

    /// Returns whether the events are durable.
    async fn append(&self, events: Vec<Event>) -> bool {
        if events.is_empty() {
            return true;
        }
        let recorded = self.recorder.record(events).await;
        if let Err(error) = &recorded {
            let run = self.run;
            tracing::error!(%run, %error, "network decisions cannot be recorded; they are denied");
        }
        recorded.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::events::id::TaskId;
    use crate::sandbox::proxy::wire::Fact;
    use crate::sandbox::recorder::{PortFuture, RecordError};

    #[derive(Default)]
    struct Kept {
        names: Mutex<Vec<&'static str>>,
        failing: AtomicBool,
    }

    impl Recorder for Kept {
        fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
            Box::pin(async move {
                if self.failing.load(Ordering::Relaxed) {
                    return Err(RecordError("no space left".to_owned()));
                }
                let names = events.iter().map(Event::name);
                self.names.lock().unwrap().extend(names);
                Ok(())
            })
        }
    }

    fn ledger(decisions: u64) -> (Ledger, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        let ledger = Ledger {
            run: TaskId(1).run(1),
            recorder: Arc::clone(&kept) as Arc<dyn Recorder>,
            quota: Quota::used(decisions),
            since: Stopwatch::start(),
        };
        (ledger, kept)
    }

    fn refused(number: u64) -> FromProxy {
        let (port, name, reason) = (443, String::new(), "no server name".to_owned());
        let fact = Fact::Refused { port, name, reason };
        FromProxy::Decision { number, fact }
    }

    fn receipts(outcomes: &[(u64, Outcome)]) -> Vec<u8> {
        let receipt = |(number, outcome): &(u64, Outcome)| {
            let (number, outcome) = (*number, *outcome);
            encode(&ToProxy::Receipt { number, outcome })
        };
        outcomes.iter().flat_map(receipt).collect()
    }

    #[tokio::test]
    async fn the_limit_of_decisions_is_told_once_and_denies_for_ever() {
        let (mut ledger, kept) = ledger(DECISIONS_MAX - 1);
        let told = ledger.record(vec![refused(1), refused(2)]).await;
        assert_eq!(
            told,
            receipts(&[(1, Outcome::Durable), (2, Outcome::BeyondLimit)])
        );
        let told = ledger.record(vec![refused(3)]).await;
        assert_eq!(told, receipts(&[(3, Outcome::BeyondLimit)]));
        let names = kept.names.lock().unwrap().clone();
        assert_eq!(names, ["ConnectionRefused", "DecisionLimitReached"]);
    }

    #[tokio::test]
    async fn the_limit_is_told_again_when_it_could_not_be_recorded() {
        let (mut ledger, kept) = ledger(DECISIONS_MAX);
        kept.failing.store(true, Ordering::Relaxed);
        let told = ledger.record(vec![refused(1)]).await;
        assert_eq!(told, receipts(&[(1, Outcome::BeyondLimit)]));
        kept.failing.store(false, Ordering::Relaxed);
        ledger.record(vec![refused(2)]).await;
        assert_eq!(kept.names.lock().unwrap()[..], ["DecisionLimitReached"]);
    }

    #[tokio::test]
    async fn queries_beyond_the_rate_are_told_in_one_event() {
        let (mut ledger, kept) = ledger(0);
        let query = |number: u64| {
            let name = format!("n{number}.test");
            let (query_type, answer) = ("A".to_owned(), "10.199.1.100".to_owned());
            let fact = Fact::Dns {
                name,
                query_type,
                answer,
            };
            FromProxy::Note { fact }
        };
        for _ in 0..3 {
            ledger.record((0..500).map(query).collect()).await;
        }
        ledger.close().await;
        let names = kept.names.lock().unwrap();
        let summaries = names.iter().filter(|name| **name == "DnsQueriesSuppressed");
        assert_eq!(summaries.count(), 1);
        assert_eq!(names.last(), Some(&"DnsQueriesSuppressed"));
        assert!((101..200).contains(&names.len()), "{}", names.len());
    }
}
