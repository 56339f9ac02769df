//! Folding a whole journal as fast as the machine can: read-only, without the index and without the
//! lock, beside a running daemon or without one. Records are read, checked, hashed and decoded on all
//! processors; whoever folds them gets them in order. It knows no projection.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::events::codec::{self, RecordRef};
use crate::events::event::Recorded;
use crate::events::id::{Position, Sha256};
use crate::events::keys::KeyRing;
use crate::events::log::audit::reader::{End, Group, GroupReader};
use crate::events::log::{ReadError, sealing};
use crate::events::tree::leaf_hash;

/// Bytes that are decoded at once by one thread; one group may be longer.
const BATCH_BYTES: usize = 1 << 20;

/// Threads that decode; more would wait for the one that folds.
const THREADS_MAX: usize = 8;

/// Batches that each thread may have finished before the fold has taken them; then it waits.
const BATCHES_AHEAD_MAX: usize = 2;

/// A record, decoded.
#[derive(Debug)]
pub struct Replayed {
    /// Its leaf hash.
    pub leaf: Sha256,
    /// What it says.
    pub recorded: Recorded,
}

/// What a journal holds, without a look into any payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// How many records there are.
    pub records: u64,
    /// For each kind and version: how many records, and the first one's position.
    pub kinds: BTreeMap<(u16, u16), (u64, Position)>,
    /// Bytes behind the last whole group: a daemon is writing them, or a crash tore them.
    pub torn_bytes: u64,
}

/// Counts the kinds and versions in the journal of the log in a directory.
///
/// # Errors
/// [`ReadError::Unreadable`] when it is not there, of another disk format or broken in the middle,
/// [`ReadError::Damaged`] for a record that is cut short.
pub fn census(directory: &Path) -> Result<Census, ReadError> {
    let mut reader = GroupReader::open(&directory.join("journal"))?;
    let mut census = Census::default();
    loop {
        let (groups, end) = reader.read_up_to(BATCH_BYTES)?;
        for record in groups.iter().flat_map(Group::record_refs) {
            let numbers = codec::kind_and_version(record.bytes);
            let numbers = numbers.ok_or_else(|| ReadError::Damaged {
                position: record.position,
                detail: "it is cut short".to_owned(),
            })?;
            let (count, _first) = census.kinds.entry(numbers).or_insert((0, record.position));
            *count += 1;
            census.records += 1;
        }
        if let Some(end) = end {
            census.torn_bytes = torn_bytes(end, reader.offset())?;
            return Ok(census);
        }
    }
}

/// Calls `visit` with every record of the journal of the log in a directory, in order, up to and with
/// a position, its content opened as far as the keys allow. Returns the last position visited.
///
/// # Errors
/// [`ReadError`] naming the first record that does not read, or [`ReadError::Unreadable`] for the
/// journal as a whole; what came before it was visited.
pub fn replay(
    directory: &Path,
    keys: Option<&KeyRing>,
    up_to: Position,
    mut visit: impl FnMut(Replayed),
) -> Result<Position, ReadError> {
    let mut reader = GroupReader::open(&directory.join("journal"))?;
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let decoders: Vec<_> = (0..threads.min(THREADS_MAX))
            .map(|_| {
                let (work, waiting) = sync_channel::<Vec<Group>>(BATCHES_AHEAD_MAX);
                let (done, decoded) = sync_channel(BATCHES_AHEAD_MAX);
                scope.spawn(move || decode_batches(keys, &waiting, &done));
                (work, decoded)
            })
            .collect();
        let mut last = Position(0);
        let mut take = |batch: Decoded| -> Result<(), ReadError> {
            for replayed in batch.records {
                if replayed.recorded.position <= up_to {
                    last = replayed.recorded.position;
                    visit(replayed);
                }
            }
            batch.failure.map_or(Ok(()), Err)
        };
        // Whose turn it is: batches go round, and come back in the same order.
        let mut turns = VecDeque::new();
        let mut round = (0..decoders.len()).cycle();
        loop {
            let (groups, end) = reader.read_up_to(BATCH_BYTES)?;
            let reaches = |group: &Group| group.first > up_to;
            let is_over = end.is_some() || groups.iter().any(reaches);
            let turn = round.next().expect("a round of at least one never ends");
            let sent = decoders[turn].0.send(groups);
            sent.expect("a decoder waits until there is nothing more");
            turns.push_back(turn);
            while turns.len() > decoders.len() || (is_over && !turns.is_empty()) {
                let turn = turns.pop_front().expect("it is not empty");
                let batch = decoders[turn].1.recv();
                take(batch.expect("a decoder returns every batch"))?;
            }
            if let Some(end) = end {
                torn_bytes(end, reader.offset())?;
            }
            if is_over {
                return Ok(last);
            }
        }
    })
}

/// Records of one batch up to the first that does not read, and why that one does not.
#[derive(Debug, Default)]
struct Decoded {
    records: Vec<Replayed>,
    failure: Option<ReadError>,
}

fn decode_batches(
    keys: Option<&KeyRing>,
    waiting: &Receiver<Vec<Group>>,
    done: &SyncSender<Decoded>,
) {
    while let Ok(groups) = waiting.recv() {
        // Whoever folds may have met an error and gone.
        if done.send(decode_batch(keys, &groups)).is_err() {
            return;
        }
    }
}

fn decode_batch(keys: Option<&KeyRing>, groups: &[Group]) -> Decoded {
    let mut decoded = Decoded::default();
    for group in groups {
        for RecordRef { position, bytes } in group.record_refs() {
            match codec::decode_record(RecordRef { position, bytes }) {
                Ok(mut recorded) => {
                    if let Some(keys) = keys {
                        sealing::open(keys, &mut recorded.event);
                    }
                    let leaf = leaf_hash(bytes);
                    decoded.records.push(Replayed { leaf, recorded });
                }
                Err(failure) => {
                    decoded.failure = Some(failure);
                    return decoded;
                }
            }
        }
    }
    decoded
}

/// Returns how many bytes at the end are not promised to anybody.
fn torn_bytes(end: End, whole: u64) -> Result<u64, ReadError> {
    match end {
        End::Whole => Ok(0),
        End::Broken {
            followed: false,
            length,
        } => Ok(length - whole),
        End::Broken { followed: true, .. } => Err(ReadError::Unreadable(format!(
            "the journal is broken at byte {whole} and whole records follow; run `airut verify`"
        ))),
    }
}
