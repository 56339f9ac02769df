//! The log on a real disk under `kill -9`: whatever was acknowledged is there, in order, without a
//! gap, and verifies. The only test that trusts the real sled and the real file system.
//!
//! Each round lets sixteen writers append to the same log, kills them at a moment drawn from the
//! seed, and compares what they were told with what came back. `make crash ROUNDS=200` is the long form,
//! `make crash SEED=n` draws other moments.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the rules on processes and the environment are for the product"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use airut::events::Event;
use airut::events::codec;
use airut::events::event::ServiceEvent;
use airut::events::id::{AtMs, Position, StreamId};
use airut::events::log::audit::{self, read_key};
use airut::events::log::sled::SledStore;
use airut::events::log::{Append, Context, Log};
use airut::events::service::DrainStarted;
use airut::events::tree::{CompactRange, leaf_hash};

/// Names the log's directory for the child that writes to it.
const CHILD: &str = "AIRUT_CRASH_CHILD";

/// Tells the child which round it is.
const ROUND: &str = "AIRUT_CRASH_ROUND";

/// Writers at once in the child.
const WRITERS: u32 = 16;

/// Numbers that a writer may use in one round.
const NUMBERS_PER_ROUND: u32 = 1_000_000;

/// Acknowledgements after which a round's writers are killed at the latest.
const LINES_MAX: u64 = 600;

fn number_from(variable: &str, default: u64) -> u64 {
    let set = std::env::var(variable).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Draws the next number of a sequence that a seed determines (splitmix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
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

/// The child: appends for ever and prints each acknowledgement.
#[test]
fn the_writing_child() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let first = u32::try_from(number_from(ROUND, 0)).unwrap() * NUMBERS_PER_ROUND;
    block_on(async {
        let log = open(Path::new(&directory));
        let write = async |writer: u32| {
            for number in first.. {
                let appended = log.append(append(writer, number)).await.unwrap();
                let last = appended.last;
                let mut stdout = std::io::stdout().lock();
                writeln!(stdout, "acknowledged {last} {writer} {number}").unwrap();
            }
        };
        let writers = (0..WRITERS).map(write);
        futures_util::future::join_all(writers).await;
    });
}

/// What a writer was told: its append ends at this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Acknowledged {
    last: u64,
    writer: u32,
    number: u32,
}

impl Acknowledged {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_once("acknowledged ")?.1.split(' ');
        Some(Self {
            last: words.next()?.parse().ok()?,
            writer: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
        })
    }
}

/// Lets the child write, kills it after so many acknowledgements (0: while it still opens the log) and
/// returns all that it was told.
fn write_and_kill(directory: &Path, round: u64, lines: usize) -> Vec<Acknowledged> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_writing_child", "--nocapture"])
        .env(CHILD, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    // The test harness says this right before the child begins.
    let started = output.find(|line| line.as_ref().is_ok_and(|line| line.contains("running 1")));
    assert!(started.is_some(), "round {round}: the child did not start");
    let seen = &mut output
        .map_while(Result::ok)
        .filter_map(|line| Acknowledged::parse(&line));
    let mut acknowledged: Vec<Acknowledged> = seen.take(lines).collect();
    child.kill().unwrap();
    // What it had still printed is acknowledged as well.
    acknowledged.extend(seen);
    child.wait().unwrap();
    acknowledged
}

/// What is known of the log after the rounds so far.
#[derive(Default)]
struct Known {
    range: CompactRange,
    acknowledged: Vec<Acknowledged>,
    /// For each position what the event there says: writer and number.
    said: Vec<(u32, u32)>,
    /// What a writer was told in a round, and is not there.
    lost: Vec<(u64, Acknowledged)>,
}

impl Known {
    /// Checks the log as the kill left it, before anything mends it.
    fn verify_untouched(&self, directory: &Path, round: u64) {
        let Some(key) = read_key(directory).unwrap() else {
            assert!(
                self.acknowledged.is_empty(),
                "round {round}: the key is gone"
            );
            return;
        };
        let mut scan = audit::scan(directory, &key).unwrap();
        let anchored: Vec<_> = scan.anchored().into_iter().collect();
        scan.compare_checkpoints(&anchored);
        assert_eq!(scan.differences, [], "round {round} does not verify");
    }

    /// Takes in what came back, which must continue what was there before.
    fn take_in(&mut self, log: &Log, round: u64) {
        let size = self.said.len() as u64;
        let mut again = CompactRange::default();
        let mut after = Position(0);
        loop {
            let records = log.read_stored(after, 10_000).unwrap();
            let Some(last) = records.last() else { break };
            for (record, expected) in records.iter().zip(after.0 + 1..) {
                assert_eq!(record.position, Position(expected), "round {round}: a gap");
                again.push(leaf_hash(&record.bytes));
                if again.size() == size {
                    assert_eq!(again, self.range, "round {round}: the past is another");
                }
                if expected > size {
                    self.said
                        .push(said(&codec::decode(record).unwrap().event).unwrap());
                }
            }
            after = last.position;
        }
        let head = log.head();
        assert_eq!(
            again.size(),
            head.position.0,
            "round {round}: events are missing"
        );
        assert_eq!(
            again.root(),
            head.root,
            "round {round}: the tree is another"
        );
        assert_eq!(
            head.position.0 % 2,
            0,
            "round {round}: half an append is there"
        );
        assert!(
            again.size() >= size,
            "round {round}: events of earlier rounds are gone"
        );
        self.range = again;
    }

    /// Compares what writers were told with what is there, and each writer's order.
    fn compare(&mut self, told: Vec<Acknowledged>, round: u64) {
        let mut newest = std::collections::BTreeMap::new();
        for ack in &told {
            let index = usize::try_from(ack.last - 1).unwrap();
            let there = self.said.get(index - 1..=index);
            let expected = (ack.writer, ack.number);
            if there != Some(&[expected, expected]) {
                self.lost.push((round, *ack));
            }
            let before = newest.insert(ack.writer, (ack.number, ack.last));
            let in_order = before.is_none_or(|before| before < (ack.number, ack.last));
            assert!(in_order, "round {round}: {ack:?} came before {before:?}");
        }
        self.acknowledged.extend(told);
    }
}

fn said(event: &Event) -> Option<(u32, u32)> {
    match event {
        Event::Service(ServiceEvent::DrainStarted(event)) => Some((event.executing, event.waiting)),
        _ => None,
    }
}

#[test]
fn every_acknowledged_append_survives_kill_9() {
    let directory = tempfile::TempDir::new().unwrap();
    let rounds = number_from("AIRUT_CRASH_ROUNDS", 20);
    let seed = number_from("AIRUT_CRASH_SEED", 1);
    let (mut dice, mut known) = (seed, Known::default());
    for round in 0..rounds {
        let lines = usize::try_from(draw(&mut dice) % LINES_MAX).unwrap();
        // One kill in eight comes while the log is being opened and mended.
        let lines = if draw(&mut dice).is_multiple_of(8) {
            0
        } else {
            lines
        };
        let told = write_and_kill(directory.path(), round, lines);
        known.verify_untouched(directory.path(), round);
        let log = open(directory.path());
        known.take_in(&log, round);
        known.compare(told, round);
        block_on(log.close());
    }
    let (acknowledged, events) = (known.acknowledged.len(), known.said.len());
    // Shown by `make crash`.
    println!("crash.rounds {rounds} count");
    println!("crash.acknowledged {acknowledged} count");
    println!("crash.events {events} count");
    println!("crash.lost {} count", known.lost.len());
    assert_eq!(
        known.lost,
        [],
        "acknowledged appends are lost (seed {seed})"
    );
    assert!(acknowledged > 0, "the writers wrote nothing");
}
