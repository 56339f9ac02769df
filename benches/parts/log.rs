//! The event log: flushed appends, opening, reading back and the memory that takes.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airut::clock::Stopwatch;
use airut::events::codec::StoredRecord;
use airut::events::id::{AtMs, Position, StreamId, StreamVersion};
use airut::events::log::audit::{self, read_key};
use airut::events::log::sled::SledStore;
use airut::events::log::store::{Group, KeyEntry, Store, StoreError};
use airut::events::log::{Append, Context, Log};
use airut::events::service::DrainStarted;
use airut::events::tree::CompactRange;
use futures_util::future::join_all;
use tempfile::TempDir;

use super::{directory, print, print_rate, status_mib};

/// The argument that makes this program the replaying child.
pub(crate) const REPLAY: &str = "replay-child";

/// Bytes of one record as it is stored.
pub(crate) const RECORD_BYTES: usize = 512;

/// Events in the large log.
pub(crate) const MILLION: u64 = 1_000_000;

/// How long each number of writers writes.
const APPEND_FOR: Duration = Duration::from_secs(4);

/// Events read at once while scanning.
const SCAN_BATCH: usize = 4096;

/// What a run of appends came to, for sled to do the same.
pub(crate) struct Done {
    pub(crate) events: u64,
    pub(crate) flushes: u64,
}

/// Counts the flushes of the log below it.
#[derive(Debug)]
struct Counted {
    store: SledStore,
    flushes: AtomicU64,
}

impl Store for Counted {
    fn commit(&self, group: &Group) -> Result<(), StoreError> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.store.commit(group)
    }

    fn read(&self, after: Position, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        self.store.read(after, limit)
    }

    fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        self.store.stream_version(stream)
    }

    fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        self.store.stream_positions(stream, after, limit)
    }

    fn find_key(&self, key: &str) -> Result<Option<KeyEntry>, StoreError> {
        self.store.find_key(key)
    }

    fn range(&self) -> Result<CompactRange, StoreError> {
        self.store.range()
    }

    fn close(&self) -> Result<(), StoreError> {
        self.store.close()
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn open(path: &Path) -> Log {
    Log::open(Arc::new(SledStore::open(path).unwrap())).unwrap()
}

/// An append of `count` events whose records are about `RECORD_BYTES` long.
fn append_of(writer: u64, count: usize) -> Append {
    let event = DrainStarted {
        cause: "x".repeat(RECORD_BYTES - 88),
        executing: 1,
        waiting: 2,
    };
    let stream = StreamId::from_stored(format!("bench:{writer}"));
    Append::to(&stream, vec![event.into(); count], Context::system(AtMs(1)))
}

/// Measures flushed appends of one event each, by so many writers at once.
pub(crate) fn append(writers: u64) -> Done {
    let directory = directory();
    let store = Arc::new(Counted {
        store: SledStore::open(directory.path()).unwrap(),
        flushes: AtomicU64::new(0),
    });
    let (events, elapsed) = runtime().block_on(async {
        let log = Log::open(Arc::<Counted>::clone(&store)).unwrap();
        let watch = Stopwatch::start();
        let write = async |writer: u64| {
            while watch.elapsed() < APPEND_FOR {
                log.append(append_of(writer, 1)).await.unwrap();
            }
        };
        join_all((0..writers).map(write)).await;
        let elapsed = watch.elapsed();
        let events = log.head().position.0;
        log.close().await;
        (events, elapsed)
    });
    print_rate(&format!("log.append.w{writers}"), events, elapsed);
    let flushes = store.flushes.load(Ordering::Relaxed);
    Done { events, flushes }
}

/// Writes a million events, in appends of a hundred.
pub(crate) fn fill() -> TempDir {
    let directory = directory();
    runtime().block_on(async {
        let log = open(directory.path());
        let watch = Stopwatch::start();
        let write = async |writer: u64| {
            for _ in 0..MILLION / 100 / 8 {
                log.append(append_of(writer, 100)).await.unwrap();
            }
        };
        join_all((0..8).map(write)).await;
        assert_eq!(log.head().position, Position(MILLION));
        let records = log.read_stored(Position(MILLION - 1), 1).unwrap();
        print("log.record", records[0].bytes.len() as f64, "bytes");
        log.close().await;
        print_rate("log.fill", MILLION, watch.elapsed());
    });
    print("log.disk", disk_mib(directory.path()), "MiB");
    directory
}

fn disk_mib(path: &Path) -> f64 {
    let sizes = std::fs::read_dir(path).unwrap().map(|entry| {
        let entry = entry.unwrap();
        match entry.metadata().unwrap() {
            found if found.is_dir() => disk_mib(&entry.path()),
            found => found.len() as f64 / (1024.0 * 1024.0),
        }
    });
    sizes.sum()
}

pub(crate) fn scan(log: &Log) -> u64 {
    let mut after = Position(0);
    while let Some(last) = log.read(after, SCAN_BATCH).unwrap().last() {
        after = last.position;
    }
    after.0
}

/// Measures opening a large log, and reading and validating all of it.
pub(crate) fn open_and_scan(path: &Path) {
    let watch = Stopwatch::start();
    let log = open(path);
    print("log.open_1m", watch.elapsed().as_secs_f64() * 1e3, "ms");
    let watch = Stopwatch::start();
    let events = scan(&log);
    print_rate("log.scan", events, watch.elapsed());
    runtime().block_on(log.close());
}

/// Measures checking a large log: reading, hashing and comparing all of it with its anchor.
pub(crate) fn verify(path: &Path) {
    let key = read_key(path).unwrap().unwrap();
    let watch = Stopwatch::start();
    let mut scan = audit::scan(path, &key).unwrap();
    let anchored: Vec<_> = scan.anchored().into_iter().collect();
    assert_eq!(scan.compare_checkpoints(&anchored), [true]);
    assert_eq!(scan.differences, []);
    print_rate("log.verify", scan.size(), watch.elapsed());
}

/// Measures the memory of a process that opens and reads a large log.
pub(crate) fn replay_rss(path: &Path) {
    let output = child().arg(REPLAY).arg(path).output().unwrap();
    assert!(output.status.success(), "the replaying child failed");
    print!("{}", String::from_utf8(output.stdout).unwrap());
}

#[expect(
    clippy::disallowed_methods,
    reason = "memory is measured in a process of its own"
)]
fn child() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// The child of `replay_rss`.
pub(crate) fn replay_child(path: &Path) {
    assert_eq!(scan(&open(path)), MILLION);
    print("log.replay_rss", status_mib("self", "VmHWM"), "MiB");
}
