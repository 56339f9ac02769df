//! Checking a log from its journal alone, while a daemon runs or not: nothing is written, nothing
//! is locked, and what the index or a cache says counts for nothing.
//!
//! [`scan`] reads and hashes everything; [`Scan`] then answers what differs, and between which
//! positions. One reader feeds as many threads as the machine has, because hashing is the work.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::events::checkpoint::Verifier;
use crate::events::id::{BlobRef, Position, Sha256, StreamId, StreamVersion};
use crate::events::log::sled::{Anchor, anchor_text, verified_anchor};
use crate::events::log::store::StoreError;
use crate::events::service::LogKeyRotated;
use crate::events::tree::CompactRange;

mod compare;
mod erased;
mod examine;
pub(in crate::events::log) mod reader;

pub use compare::{index_ends, index_of, is_writable, read_key};

pub use erased::{Bodies, Erasure};
pub use examine::{KINDS_WITH_BODIES, bodies_of};

use erased::Ownership;
use examine::{Examined, Notable};
use reader::{End, GroupReader};

/// Differences that are kept; of more only the first are told.
pub const DIFFERENCES_MAX: usize = 100;

/// Leaves between two ranges that are kept.
const RANGE_EVERY: u64 = 1024;

/// Where something differs, and what.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The first position that may be meant; nothing when it is about the log as a whole.
    pub first: Option<Position>,
    /// The last position that may be meant; the first one itself when it is known exactly.
    pub last: Option<Position>,
    /// What differs.
    pub what: String,
}

impl Difference {
    /// Returns a difference at one position.
    pub fn at(position: Position, what: impl Into<String>) -> Self {
        Self::between(position, position, what)
    }

    /// Returns a difference somewhere between two positions, both included.
    pub fn between(first: Position, last: Position, what: impl Into<String>) -> Self {
        let (first, last, what) = (Some(first), Some(last), what.into());
        Self { first, last, what }
    }

    /// Returns a difference of the log as a whole.
    pub fn whole(what: impl Into<String>) -> Self {
        Self {
            first: None,
            last: None,
            what: what.into(),
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = &self.what;
        match (self.first, self.last) {
            (Some(first), Some(last)) if first == last => {
                write!(formatter, "at position {first}: {what}")
            }
            (Some(first), Some(last)) => {
                write!(formatter, "at a position from {first} to {last}: {what}")
            }
            _ => formatter.write_str(what),
        }
    }
}

/// Everything that was read of a journal.
#[derive(Debug, Default)]
pub struct Scan {
    /// Leaf hash of each record; the first one's position is 1.
    pub leaves: Vec<Sha256>,
    /// What differs within the journal itself, in the order in which it was met.
    pub differences: Vec<Difference>,
    /// Changes of the key.
    pub rotations: Vec<(Position, LogKeyRotated)>,
    /// Checkpoints that left with answers, each on one line.
    pub sent: Vec<(Position, String)>,
    /// Bodies, each with the first position that refers to it.
    pub bodies: BTreeMap<Sha256, (Position, BlobRef)>,
    /// Whose each body is, what belongs to which conversation, and which of those are forgotten.
    ownership: Ownership,
    /// Bytes at the end that are no whole group and were not promised: a daemon is writing, or a
    /// crash tore them.
    pub torn_bytes: u64,
    /// The offset behind the last whole group.
    pub whole_bytes: u64,
    /// Whether reading ended before the end, at the last of the differences.
    pub stopped: bool,
    /// All keys that this log has had, the newest last.
    pub keys: Vec<Verifier>,
    anchor: Option<Anchor>,
    range: CompactRange,
    /// The range at 0 and after every so many leaves, so that older roots are found without hashing
    /// everything again.
    ranges: Vec<CompactRange>,
    /// The last event of each stream, and where it is.
    versions: HashMap<StreamId, (StreamVersion, Position)>,
    /// Records that do not say where they stand; each explains one gap in a stream.
    unplaced: u64,
}

/// Reads all of the journal of the log in a directory. `trusted` is the key in force, or one that
/// whoever checks has from elsewhere; it and those that follow it in the log verify the anchor,
/// which says how much was promised.
///
/// # Errors
/// [`StoreError`] when the journal is not there or the disk fails; damage is no error but a
/// difference.
pub fn scan(directory: &Path, trusted: &Verifier) -> Result<Scan, StoreError> {
    let mut scan = Scan::default();
    // First the anchor, then the journal: it may only grow in between.
    let anchor = anchor_text(directory);
    let mut reader = GroupReader::open(&directory.join("journal"))?;
    let (mut groups, mut end) = reader.read_batch()?;
    let mut examined = Vec::new();
    // While some groups are examined, those before are counted and those behind are read.
    let end = loop {
        let (now, read) = examine::examine(&groups, || {
            examined.drain(..).for_each(|record| scan.take(record));
            end.map_or_else(|| reader.read_batch().map(Some), |_| Ok(None))
        });
        examined = now;
        match (read?, end) {
            (Some((read, end_read)), _) => (groups, end) = (read, end_read),
            (None, Some(end)) => break end,
            (None, None) => groups = Vec::new(),
        }
    };
    examined.into_iter().for_each(|record| scan.take(record));
    scan.whole_bytes = reader.offset();
    scan.versions = HashMap::new();
    scan.keys = scan.follow_keys(trusted);
    scan.take_anchor(anchor);
    if let End::Broken { followed, length } = end {
        scan.take_broken(followed, length);
    }
    Ok(scan)
}

/// Returns the stored bytes of one record.
///
/// # Errors
/// [`StoreError`] when there is none, or the disk fails.
pub fn read_record(directory: &Path, position: Position) -> Result<Vec<u8>, StoreError> {
    let mut reader = GroupReader::open(&directory.join("journal"))?;
    loop {
        let (groups, end) = reader.read_batch()?;
        let mut records = groups.iter().flat_map(reader::Group::records);
        if let Some(found) = records.find(|record| record.position == position) {
            return Ok(found.bytes);
        }
        if end.is_some() {
            return Err(StoreError(format!("there is no record at {position}")));
        }
    }
}

/// Returns the offset in the journal behind the record at a position; nothing when the journal ends,
/// or is broken, before it, or when the record is not the last one of its group.
///
/// # Errors
/// [`StoreError`] when the journal is not there or the disk fails.
pub fn offset_behind(directory: &Path, position: Position) -> Result<Option<u64>, StoreError> {
    let mut reader = GroupReader::open(&directory.join("journal"))?;
    let (mut offset, mut last) = (reader.offset(), Position(0));
    loop {
        let (groups, end) = reader.read_batch()?;
        for group in groups {
            if last >= position {
                break;
            }
            offset += group.framed_bytes();
            last = Position(last.0 + group.records().count() as u64);
        }
        if last >= position || end.is_some() {
            return Ok((last == position).then_some(offset));
        }
    }
}

impl Scan {
    /// Returns the number of records.
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// Returns the root over all of them.
    pub fn root(&self) -> Sha256 {
        self.range.root()
    }

    /// Returns the root over the first `size` records, if there are so many.
    pub fn root_at(&self, size: u64) -> Option<Sha256> {
        if size == self.size() {
            return Some(self.root());
        }
        let nearest = usize::try_from(size / RANGE_EVERY).ok()?;
        let mut range = self.ranges.get(nearest)?.clone();
        let (from, to) = (range.size() as usize, usize::try_from(size).ok()?);
        let leaves = self.leaves.get(from..to)?;
        leaves.iter().for_each(|leaf| range.push(*leaf));
        Some(range.root())
    }

    /// Adds a difference, unless there are too many.
    pub fn differs(&mut self, difference: Difference) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        }
    }

    fn next(&self) -> Position {
        Position(self.size() + 1)
    }

    fn take(&mut self, examined: Examined) {
        let position = self.next();
        if self.size().is_multiple_of(RANGE_EVERY) {
            self.ranges.push(self.range.clone());
        }
        self.leaves.push(examined.leaf);
        self.range.push(examined.leaf);
        for fault in examined.faults {
            self.differs(Difference::at(position, fault));
        }
        match examined.place {
            Some((stream, version)) => self.take_place(position, stream, version),
            None => self.unplaced += 1,
        }
        match examined.notable {
            None => {}
            Some(Notable::KeyRotated(rotated)) => self.rotations.push((position, rotated)),
            Some(Notable::CheckpointSent(line)) => self.sent.push((position, line)),
            Some(Notable::Belongs(task, conversation)) => {
                self.ownership.belongs(task, conversation);
            }
            Some(Notable::Erasure(conversation)) => self.ownership.erase(conversation, position),
            Some(Notable::Bodies(named)) => {
                if let Some((task, conversation)) = named.task.zip(named.conversation) {
                    self.ownership.belongs(task, conversation);
                }
                for body in named.bodies {
                    if let Some(task) = named.task {
                        self.ownership.owns(task, body.sha256);
                    }
                    self.bodies.entry(body.sha256).or_insert((position, body));
                }
            }
        }
    }

    fn take_place(&mut self, position: Position, stream: StreamId, version: StreamVersion) {
        let ((before, last), stream) = match self.versions.get_mut(&stream) {
            Some(last) => (std::mem::replace(last, (version, position)), stream),
            None => {
                self.versions.insert(stream.clone(), (version, position));
                ((StreamVersion(0), Position(0)), stream)
            }
        };
        let gap = version.0.checked_sub(before.0 + 1);
        if gap.is_some_and(|gap| gap <= self.unplaced) {
            return;
        }
        // Something behind the stream's last event may be missing or another stream's now, and that
        // one itself may say something else than it did.
        let first = last.max(Position(1));
        let what = format!(
            "the record at {position} is event {version} of stream {stream}, where event {} must \
             follow",
            before.0 + 1
        );
        self.differs(Difference::between(first, position, what));
    }

    fn take_anchor(&mut self, text: Result<Option<String>, StoreError>) {
        match text {
            Ok(Some(text)) => {
                self.anchor = verified_anchor(&text, &self.keys);
                if self.anchor.is_none() {
                    let what = "the anchor is not signed by a key of this log";
                    self.differs(Difference::whole(what));
                }
            }
            Ok(None) if self.size() == 0 => {}
            Ok(None) => self.differs(Difference::whole("the anchor is missing")),
            Err(error) => self.differs(Difference::whole(format!("the anchor: {error}"))),
        }
    }

    /// Judges an end that is no whole group: what was promised, or is followed, was not torn.
    fn take_broken(&mut self, followed: bool, length: u64) {
        let (next, offset) = (self.next(), self.whole_bytes);
        let promised = self.anchor.as_ref().map_or(0, |anchor| anchor.journal_end);
        if followed || offset < promised {
            self.stopped = true;
            let what = format!(
                "the journal is broken or cut off at byte {offset}; what follows was not read"
            );
            self.differs(Difference::at(next, what));
        } else {
            self.torn_bytes = length - offset;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tree::{leaf_hash, proof};

    #[test]
    fn the_root_at_any_size_is_that_of_the_first_leaves() {
        let mut scan = Scan::default();
        for number in 0..2 * RANGE_EVERY + 10 {
            scan.take(Examined {
                leaf: leaf_hash(&number.to_le_bytes()),
                place: None,
                faults: Vec::new(),
                notable: None,
            });
            let beyond = scan.root_at(scan.size() + 1);
            assert_eq!(beyond, None);
        }
        for size in [0, 1, 700, 1023, 1024, 1025, 2047, 2048, 2049, 2058] {
            let expected = proof::root(&scan.leaves[..size as usize]);
            assert_eq!(scan.root_at(size), Some(expected), "{size}");
        }
    }
}
