//! The log on a real disk under `kill -9`: whatever was acknowledged is there, in order, without a
//! gap. The only test that trusts the real sled and the real file system.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the rules on processes and the environment are for the product"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use airut::events::id::{AtMs, Position, StreamId};
use airut::events::log::audit::{self, read_key};
use airut::events::log::sled::SledStore;
use airut::events::log::{Append, Context, Log};
use airut::events::service::DrainStarted;
use airut::events::tree::{CompactRange, leaf_hash};

/// Names the log's directory for the child that writes to it.
const CHILD: &str = "AIRUT_CRASH_CHILD";

/// Writers at once in the child.
const WRITERS: u32 = 8;

fn rounds() -> u32 {
    std::env::var("AIRUT_CRASH_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20)
}

fn open(directory: &Path) -> Log {
    Log::open(Arc::new(SledStore::open(directory).unwrap())).unwrap()
}

fn append(writer: u32, number: u32) -> Append {
    let event = DrainStarted {
        cause: "x".repeat(300),
        executing: writer,
        waiting: number,
    };
    let stream = StreamId::from_stored(format!("writer:{writer}"));
    // Two events at a time: a crash must never leave the first without the second.
    let events = vec![event.clone().into(), event.into()];
    Append::to(&stream, events, Context::system(AtMs(1)))
}

/// The child: appends for ever and prints each acknowledged position.
#[test]
fn the_writing_child() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let log = open(Path::new(&directory));
        let write = async |writer: u32| {
            for number in 0.. {
                let appended = log.append(append(writer, number)).await.unwrap();
                let mut stdout = std::io::stdout().lock();
                writeln!(stdout, "acknowledged {}", appended.last).unwrap();
            }
        };
        let writers = (0..WRITERS).map(write);
        futures_util::future::join_all(writers).await;
    });
}

/// Lets the child write, kills it after `lines` acknowledgements and returns the highest.
fn write_and_kill(directory: &Path, lines: usize) -> Position {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_writing_child", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let acknowledged = |line: String| line.split_once("acknowledged ")?.1.parse().ok();
    let mut seen = stdout
        .lines()
        .map_while(Result::ok)
        .filter_map(acknowledged);
    let mut highest: u64 = 0;
    for position in seen.by_ref().take(lines) {
        highest = highest.max(position);
    }
    child.kill().unwrap();
    // What it had still printed is acknowledged as well.
    highest = seen.fold(highest, u64::max);
    child.wait().unwrap();
    Position(highest)
}

#[test]
fn every_acknowledged_append_survives_kill_9() {
    let directory = tempfile::TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut before: u64 = 0;
    for round in 0..rounds() {
        let lines = 20 + (round as usize * 7919) % 400;
        let acknowledged = write_and_kill(directory.path(), lines);
        // As the kill left it, before anything mends it.
        let key = read_key(directory.path()).unwrap().unwrap();
        let mut scan = audit::scan(directory.path(), &key).unwrap();
        let anchored: Vec<_> = scan.anchored().into_iter().collect();
        scan.compare_checkpoints(&anchored);
        assert_eq!(scan.differences, [], "round {round} does not verify");
        assert!(scan.size() >= acknowledged.0, "round {round}");
        let log = open(directory.path());
        let head = log.head();
        assert!(
            head.position >= acknowledged,
            "round {round}: {acknowledged} is lost"
        );
        assert!(head.position.0 > before, "round {round} wrote nothing");
        assert_eq!(
            head.position.0 % 2,
            0,
            "round {round}: half an append is there"
        );
        let mut range = CompactRange::default();
        let mut after = Position(0);
        loop {
            let records = log.read_stored(after, 10_000).unwrap();
            let Some(last) = records.last() else { break };
            for (record, expected) in records.iter().zip(after.0 + 1..) {
                assert_eq!(record.position, Position(expected), "round {round}: a gap");
                range.push(leaf_hash(&record.bytes));
            }
            after = last.position;
        }
        assert_eq!(
            range.root(),
            head.root,
            "round {round}: the tree is another"
        );
        before = head.position.0;
        runtime.block_on(log.close());
    }
    // Shown by `cargo nextest run --no-capture`.
    println!("{} rounds of kill -9, {before} events, none lost", rounds());
}
