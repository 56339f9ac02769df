//! A world in which the daemon lives, dies and lives again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use airut::clock;
use airut::config::types::schedule::Schedule;
use airut::config::types::{Config, QueueLimits};
use airut::events::blobs::Blobs;
use airut::events::checkpoint::LogKey;
use airut::events::codec::{self, StoredRecord};
use airut::events::id::{InboundId, Position, StreamId, StreamVersion};
use airut::events::keys::KeyRing;
use airut::events::log::memory::MemoryStore;
use airut::events::log::store::{Group, KeyEntry, Store, StoreError};
use airut::events::log::{Append, Context, Log};
use airut::events::service::ServiceStarted;
use airut::events::tree::CompactRange;
use airut::events::{Event, Recorded};
use airut::handlers::bodies::Bodies;
use airut::handlers::channels::Channel;
use airut::handlers::intake::{Intake, IntakeError, Receipt};
use airut::handlers::operator::Operator;
use airut::handlers::ports::{Channels, Ports};
use airut::handlers::worker::{Signals, Worker, WorkerError};
use airut::projections::state::State;
use airut::projections::views::Views;
use airut::projections::{Checkpoint, Feed};
use airut::tasks::TaskSet;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fakes::{Act, FakeChannel, FakeSandbox};
use crate::parts::{FakeMirrors, config, incoming, repo};

/// Longest wait for anything; a story that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A disk of which the machine is taken away after a number of commits.
#[derive(Debug)]
pub(crate) struct Disk {
    kept: Arc<MemoryStore>,
    commits_left: AtomicU64,
    gapped: AtomicBool,
}

impl Disk {
    /// Leaves a record out of everything that is read from now on, which is more than a reader
    /// bears.
    pub(crate) fn leave_a_gap(&self) {
        self.gapped.store(true, Ordering::SeqCst);
    }
}

impl Store for Disk {
    fn commit(&self, group: &Group) -> Result<(), StoreError> {
        let take_one = |left: u64| left.checked_sub(1);
        let order = Ordering::SeqCst;
        match self.commits_left.fetch_update(order, order, take_one) {
            Ok(_) => self.kept.commit(group),
            Err(_) => Err(StoreError("the machine is gone".to_owned())),
        }
    }

    fn read(&self, after: Position, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        let gap = u64::from(self.gapped.load(Ordering::SeqCst));
        let mut records = self.kept.read(after, limit)?;
        for record in records.iter_mut().filter(|_| gap > 0) {
            let mut recorded = codec::split(record).unwrap();
            recorded.0.position = Position(recorded.0.position.0 + gap);
            *record = codec::encode(&recorded.0, &recorded.1);
        }
        Ok(records)
    }

    fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        self.kept.stream_version(stream)
    }

    fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        self.kept.stream_positions(stream, after, limit)
    }

    fn find_key(&self, key: &str) -> Result<Option<KeyEntry>, StoreError> {
        self.kept.find_key(key)
    }

    fn range(&self) -> Result<CompactRange, StoreError> {
        self.kept.range()
    }

    fn key(&self) -> Option<&LogKey> {
        self.kept.key()
    }
}

/// What outlives the daemon.
pub(crate) struct World {
    pub(crate) channel: Arc<FakeChannel>,
    pub(crate) sandbox: Arc<FakeSandbox>,
    pub(crate) kept: Arc<MemoryStore>,
    pub(crate) repo_url: String,
    pub(crate) limits: QueueLimits,
    pub(crate) effort: Option<String>,
    pub(crate) schedules: BTreeMap<String, Schedule>,
    directory: tempfile::TempDir,
}

/// A daemon.
pub(crate) struct Daemon {
    pub(crate) log: Log,
    pub(crate) intake: Intake,
    pub(crate) operator: Operator,
    pub(crate) signals: Signals,
    cut_off: CancellationToken,
    workers: TaskSet,
    worker: JoinHandle<(Result<(), WorkerError>, Checkpoint)>,
}

impl World {
    pub(crate) fn new(script: &[Act]) -> Self {
        let sandbox = FakeSandbox::default();
        sandbox
            .script
            .lock()
            .unwrap()
            .extend(script.iter().cloned());
        Self {
            channel: Arc::default(),
            sandbox: Arc::new(sandbox),
            kept: Arc::default(),
            repo_url: "https://git.example.test/work".to_owned(),
            limits: QueueLimits::default(),
            effort: None,
            schedules: BTreeMap::new(),
            directory: in_memory(),
        }
    }

    pub(crate) async fn daemon(&self) -> Daemon {
        self.daemon_that_dies_after(u64::MAX).await.unwrap()
    }

    /// Starts a daemon whose disk takes so many commits; nothing when it dies while it starts.
    pub(crate) async fn daemon_that_dies_after(&self, commits: u64) -> Option<Daemon> {
        let log = self.open(self.disk(commits));
        let started = ServiceStarted {
            version: "0".to_owned(),
            pid: 1,
            host: "story".to_owned(),
            previous_stop_clean: false,
        };
        let context = Context::system(clock::now());
        let append = Append::to(&StreamId::service(), vec![started.into()], context);
        log.append(append).await.ok()?;
        self.sandbox.alive.lock().unwrap().clear();
        let ports = self.ports(&log);
        let bodies = ports.bodies.clone();
        let (operator, questions) = Operator::new();
        let (signals, cut_off) = (Signals::default(), ports.cut_off.clone());
        let mut worker = Worker::open(ports, signals.clone(), questions).unwrap();
        let workers = TaskSet::new();
        let worker = workers.spawn(async move {
            let ended = worker.run().await;
            (ended.map(|_| ()), worker.checkpoint())
        });
        Some(Daemon {
            intake: Intake::new(log.clone(), bodies),
            log,
            operator,
            signals,
            cut_off,
            workers,
            worker,
        })
    }

    /// Opens the log on a disk.
    pub(crate) fn open(&self, store: Arc<dyn Store>) -> Log {
        let keys = KeyRing::of_state(self.directory.path());
        Log::open(store).unwrap().with_keys(Arc::new(keys))
    }

    /// Returns a disk that takes so many commits.
    pub(crate) fn disk(&self, commits: u64) -> Arc<Disk> {
        Arc::new(Disk {
            kept: Arc::clone(&self.kept),
            commits_left: AtomicU64::new(commits),
            gapped: AtomicBool::new(false),
        })
    }

    fn config(&self) -> Config {
        let mut config = config(&self.repo_url);
        config.execution.queue = self.limits;
        let repo = config.repos.get_mut(&repo()).unwrap();
        repo.effort.clone_from(&self.effort);
        repo.schedules = self.schedules.clone();
        config
    }

    /// Opens the log without a thread for its writer, for stories in simulated time.
    pub(crate) fn open_inline(&self) -> Log {
        self.open_inline_on(Arc::clone(&self.kept) as Arc<dyn Store>)
    }

    /// As [`Self::open_inline`], on another disk.
    pub(crate) fn open_inline_on(&self, store: Arc<dyn Store>) -> Log {
        let keys = KeyRing::of_state(self.directory.path());
        let log = Log::open_inline(store).unwrap();
        log.with_keys(Arc::new(keys))
    }

    /// Returns what effects act through.
    pub(crate) fn ports(&self, log: &Log) -> Ports {
        let blobs = Blobs::open(&self.directory.path().join("blobs")).unwrap();
        let channel = Arc::clone(&self.channel) as Arc<dyn Channel>;
        Ports {
            config: Arc::new(self.config()),
            log: log.clone(),
            bodies: Bodies::new(Arc::new(blobs)),
            channels: Channels::new().with(repo(), channel),
            sandbox: Arc::clone(&self.sandbox) as _,
            mirrors: Arc::new(FakeMirrors),
            fingerprint_key: [7; 32],
            state_dir: self.directory.path().to_owned(),
            cut_off: CancellationToken::new(),
        }
    }

    /// Returns the state directory.
    pub(crate) fn state_dir(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Returns the whole log.
    pub(crate) fn events(&self) -> Vec<Recorded> {
        let log = self.open(Arc::clone(&self.kept) as Arc<dyn Store>);
        log.read(Position(0), usize::MAX).unwrap()
    }

    /// Returns how many events of a kind there are.
    pub(crate) fn count(&self, name: &str) -> usize {
        let events = self.events();
        events
            .iter()
            .filter(|recorded| recorded.event.name() == name)
            .count()
    }

    /// Returns everything people would look at.
    pub(crate) fn views(&self) -> Feed<Views> {
        let mut feed = Feed::new();
        self.events()
            .iter()
            .for_each(|recorded| feed.apply(recorded));
        feed
    }
}

impl Daemon {
    /// Hands in a message as the channel would.
    pub(crate) async fn receive(
        &self,
        key: &str,
        sender: &str,
        hint: &str,
        text: &str,
    ) -> Result<Receipt, IntakeError> {
        let incoming = incoming(key, sender, hint, text);
        self.intake.receive(incoming).await
    }

    /// Waits until so many events of a kind are in the log, and returns the last of them.
    #[track_caller]
    pub(crate) fn until(&self, name: &str, times: usize) -> impl Future<Output = Recorded> {
        let log = self.log.clone();
        let name = name.to_owned();
        let place = std::panic::Location::caller();
        async move {
            let seen = async {
                let mut events = log.subscribe(Position(0));
                let mut met = 0;
                loop {
                    let recorded = events.next().await.unwrap().unwrap();
                    met += usize::from(recorded.event.name() == name);
                    if met == times {
                        return recorded;
                    }
                }
            };
            let seen = tokio::time::timeout(PATIENCE, seen).await;
            seen.unwrap_or_else(|_| {
                let events = log.read(Position(0), usize::MAX).unwrap();
                let names: Vec<&str> = events.iter().map(|r| r.event.name()).collect();
                panic!("{place}: no {times} {name} in {names:#?}")
            })
        }
    }

    /// Dies at once; whatever its effects still do is lost on its log.
    pub(crate) async fn crash(self) {
        self.cut_off.cancel();
        self.signals.drain.cancel();
        self.end().await.ok();
    }

    /// Stops in good order.
    pub(crate) async fn drain(self) {
        self.signals.drain.cancel();
        self.end().await.unwrap();
    }

    /// Waits for the worker to end by itself. Law 3: what it remembered is what a rebuild of the log
    /// up to there gives, byte for byte.
    pub(crate) async fn end(self) -> Result<(), WorkerError> {
        let ended = tokio::time::timeout(PATIENCE, self.worker).await;
        let (ended, live) = ended.expect("the worker ends").unwrap();
        assert!(self.workers.stop(PATIENCE).await, "the worker does not end");
        let mut rebuilt = Feed::<State>::new();
        for recorded in self.log.read(Position(0), usize::MAX).unwrap() {
            if recorded.position <= live.position {
                rebuilt.apply(&recorded);
            }
        }
        assert_eq!(live, rebuilt.checkpoint());
        ended
    }
}

/// Returns the conversation of the first message with this key.
pub(crate) fn conversation_of(events: &[Recorded], key: &str) -> String {
    let wanted = InboundId::from_dedupe_key(key);
    let routed = events.iter().find_map(|recorded| match &recorded.event {
        Event::Message(airut::events::event::MessageEvent::Routed(routed)) => {
            (routed.inbound == wanted).then_some(routed.conversation)
        }
        _ => None,
    });
    routed.unwrap().to_string()
}

/// Makes a directory in memory where there is one: a story waits for no disk.
fn in_memory() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::TempDir::new_in(memory),
        false => tempfile::TempDir::new(),
    };
    made.unwrap()
}
