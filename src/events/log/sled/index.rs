//! The index: a sled database that finds records by position, stream and idempotency key. It can be
//! made again from the journal at any time, so it is never synced on its own account.
//!
//! It keeps no record: a group is found by its first position and lies in the journal, which is read
//! in order from there (see `doc/decisions/0004-records-lie-in-the-journal.md`).

use std::collections::BTreeSet;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::{Batch, Db, Tree};

use crate::events::codec::{self, StoredRecord};
use crate::events::id::{Position, Sha256, StreamId, StreamVersion};
use crate::events::log::sled::compare::Problem;
use crate::events::log::store::{
    Group, KeyEntry, StoreError, StreamEntry, digest_of, passes_with_the_disk, told,
};
use crate::events::tree::leaf_hash;

/// Memory that sled may use for its cache.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match &error {
            sled::Error::Io(error) => Self(told(error)),
            sled::Error::Corruption { .. } => Self(format!(
                "{error}; the index is damaged, and made again by airut log rebuild"
            )),
            sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_) => Self(error.to_string()),
        }
    }
}

/// Where the index ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    /// Position of the last record; 0 when there is none.
    pub(super) position: Position,
    /// Its leaf hash; zeros when there is none.
    pub(super) leaf: Sha256,
}

/// Where a group lies in the journal, and how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupEntry {
    /// Position of its first record.
    pub(super) first: Position,
    /// Offset of its frame in the journal.
    pub(super) offset: u64,
    /// Number of its records.
    pub(super) count: u32,
    /// Leaf hash of its last record.
    pub(super) leaf: Sha256,
}

impl GroupEntry {
    fn last(&self) -> Position {
        Position((self.first.0 + u64::from(self.count)).saturating_sub(1))
    }
}

#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    database: Db,
    groups: Tree,
    streams: Tree,
    keys: Tree,
    kinds: Tree,
}

impl Index {
    /// Opens the database; a panic inside sled, which damaged pages cause, is an error like others.
    /// A disk that is full or closed damages nothing, so that no index is made again for it.
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_trees(path, &config)));
        match opened {
            Ok(opened) => opened.map_err(unopened),
            Err(_) => Err(Problem::Index("sled panicked while opening it".to_owned())),
        }
    }

    fn open_trees(path: &Path, config: &sled::Config) -> sled::Result<Self> {
        let database = config.open()?;
        Ok(Self {
            path: path.to_owned(),
            groups: database.open_tree("groups")?,
            streams: database.open_tree("streams")?,
            keys: database.open_tree("keys")?,
            kinds: database.open_tree("kinds")?,
            database,
        })
    }

    pub(super) fn last(&self) -> Result<Last, StoreError> {
        let Some((first, entry)) = self.groups.last()? else {
            return Ok(Last {
                position: Position(0),
                leaf: Sha256([0; 32]),
            });
        };
        let entry = parse_group_entry(&first, &entry)?;
        Ok(Last {
            position: entry.last(),
            leaf: entry.leaf,
        })
    }

    /// Returns the group that holds a position; nothing when it is behind the last one, or 0.
    pub(super) fn group_of(&self, position: Position) -> Result<Option<GroupEntry>, StoreError> {
        let found = self
            .groups
            .get_lt(be(Position(position.0.saturating_add(1))))?;
        let entry = found.map(|(first, entry)| parse_group_entry(&first, &entry));
        let entry = entry.transpose()?;
        let holds = |entry: &GroupEntry| position.0 - entry.first.0 < u64::from(entry.count);
        Ok(entry.filter(holds))
    }

    /// Returns position and leaf hash of the last record of each group, in order.
    pub(super) fn ends(&self) -> Result<Vec<(Position, Sha256)>, StoreError> {
        let ends = self.groups.iter().map(|found| {
            let (first, entry) = found?;
            let entry = parse_group_entry(&first, &entry)?;
            Ok((entry.last(), entry.leaf))
        });
        ends.collect()
    }

    /// Returns kinds and versions of all events in the log.
    pub(super) fn kinds(&self) -> Result<BTreeSet<(u16, u16)>, StoreError> {
        self.kinds
            .iter()
            .keys()
            .map(|key| Ok(kind_of(&key?)))
            .collect()
    }

    /// Adds a group whose frame is at `offset`; its own entry goes last, so that an interrupted call
    /// is simply done again.
    pub(super) fn add_group(
        &self,
        group: &Group,
        offset: u64,
        known: &mut BTreeSet<(u16, u16)>,
    ) -> Result<(), StoreError> {
        let mut streams = Batch::default();
        for entry in &group.streams {
            streams.insert(
                stream_key(&entry.stream, entry.version),
                &be(entry.position),
            );
        }
        self.streams.apply_batch(streams)?;
        if !group.keys.is_empty() {
            let mut keys = Batch::default();
            for (key, entry) in &group.keys {
                keys.insert(key.as_bytes(), key_value(entry));
            }
            self.keys.apply_batch(keys)?;
        }
        for record in &group.records {
            let kind = codec::kind_and_version(&record.bytes);
            if let Some(kind) = kind.filter(|kind| !known.contains(kind)) {
                self.note_kind(kind)?;
                known.insert(kind);
            }
        }
        if let (Some(first), Some(last)) = (group.records.first(), group.records.last()) {
            let entry = GroupEntry {
                first: first.position,
                offset,
                count: u32::try_from(group.records.len()).unwrap_or(u32::MAX),
                leaf: leaf_hash(&last.bytes),
            };
            self.groups.insert(be(entry.first), group_value(&entry))?;
        }
        Ok(())
    }

    /// Notes that the log holds events of a kind and version.
    pub(super) fn note_kind(&self, kind: (u16, u16)) -> Result<(), StoreError> {
        self.kinds.insert(kind_key(kind), &[])?;
        Ok(())
    }

    /// Adds a group read from the journal at `offset`; everything else is found in its records.
    pub(super) fn add(&self, records: Vec<StoredRecord>, offset: u64) -> Result<(), StoreError> {
        let mut group = Group {
            records,
            ..Group::default()
        };
        let split = group
            .records
            .iter()
            .map(codec::split)
            .collect::<Result<Vec<_>, _>>();
        let split = split.map_err(|error| StoreError(error.to_string()))?;
        for (at, (envelope, _)) in split.iter().enumerate() {
            group.streams.push(StreamEntry {
                stream: envelope.stream.clone(),
                version: envelope.stream_version,
                position: envelope.position,
            });
            if !envelope.key.is_empty() {
                let append = split
                    .get(at..=at + usize::from(envelope.rest))
                    .unwrap_or_default();
                let parts = append
                    .iter()
                    .map(|(envelope, payload)| (&envelope.stream, payload));
                let (count, digest) = (u32::from(envelope.rest) + 1, digest_of(parts));
                let entry = KeyEntry {
                    first: envelope.position,
                    count,
                    digest,
                };
                group.keys.push((envelope.key.clone(), entry));
            }
        }
        self.add_group(&group, offset, &mut BTreeSet::new())
    }

    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()?;
        // Sled's own flush is no fsync on Linux; what the anchor says must be on the disk.
        Ok(File::open(self.path.join("db"))?.sync_data()?)
    }

    pub(super) fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        let prefix = stream_prefix(stream);
        let Some(last) = self.streams.scan_prefix(&prefix).next_back() else {
            return Ok(StreamVersion(0));
        };
        Ok(StreamVersion(u64_of(&last?.0[prefix.len()..])?))
    }

    pub(super) fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        let first = stream_key(stream, StreamVersion(after.0.saturating_add(1)));
        let last = stream_key(stream, StreamVersion(u64::MAX));
        let entries = self.streams.range(first..=last).values().take(limit);
        entries.map(|position| position_of(&position?)).collect()
    }

    pub(super) fn find_key(&self, key: &str) -> Result<Option<KeyEntry>, StoreError> {
        self.keys
            .get(key)?
            .map(|value| parse_key_value(&value))
            .transpose()
    }
}

fn unopened(error: sled::Error) -> Problem {
    if let sled::Error::Io(io) = &error
        && passes_with_the_disk(io)
    {
        return Problem::Disk(error.into());
    }
    Problem::Index(error.to_string())
}

fn be(position: Position) -> [u8; 8] {
    position.0.to_be_bytes()
}

fn u64_of(bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| StoreError("a key has the wrong length".to_owned()))?;
    Ok(u64::from_be_bytes(bytes))
}

fn position_of(bytes: &[u8]) -> Result<Position, StoreError> {
    u64_of(bytes).map(Position)
}

/// Stream names hold no NUL, so no stream's keys begin with another's.
fn stream_prefix(stream: &StreamId) -> Vec<u8> {
    let mut prefix = stream.as_str().as_bytes().to_vec();
    prefix.push(0);
    prefix
}

fn stream_key(stream: &StreamId, version: StreamVersion) -> Vec<u8> {
    let mut key = stream_prefix(stream);
    key.extend(version.0.to_be_bytes());
    key
}

fn kind_key((kind, version): (u16, u16)) -> [u8; 4] {
    let ([k0, k1], [v0, v1]) = (kind.to_be_bytes(), version.to_be_bytes());
    [k0, k1, v0, v1]
}

fn kind_of(key: &[u8]) -> (u16, u16) {
    match key {
        [k0, k1, v0, v1] => (
            u16::from_be_bytes([*k0, *k1]),
            u16::from_be_bytes([*v0, *v1]),
        ),
        _ => (0, 0),
    }
}

fn key_value(entry: &KeyEntry) -> Vec<u8> {
    let mut value = be(entry.first).to_vec();
    value.extend(entry.count.to_be_bytes());
    value.extend(entry.digest.0);
    value
}

fn parse_key_value(value: &[u8]) -> Result<KeyEntry, StoreError> {
    let parsed = || {
        let (first, rest) = value.split_first_chunk()?;
        let (count, digest) = rest.split_first_chunk()?;
        Some(KeyEntry {
            first: Position(u64::from_be_bytes(*first)),
            count: u32::from_be_bytes(*count),
            digest: Sha256(digest.try_into().ok()?),
        })
    };
    parsed().ok_or_else(|| StoreError("an idempotency key's entry is damaged".to_owned()))
}

fn group_value(entry: &GroupEntry) -> Vec<u8> {
    let mut value = entry.offset.to_le_bytes().to_vec();
    value.extend(entry.count.to_le_bytes());
    value.extend(entry.leaf.0);
    value
}

fn parse_group_entry(first: &[u8], value: &[u8]) -> Result<GroupEntry, StoreError> {
    let first = position_of(first)?;
    let parsed = || {
        let (offset, rest) = value.split_first_chunk()?;
        let (count, leaf) = rest.split_first_chunk()?;
        Some(GroupEntry {
            first,
            offset: u64::from_le_bytes(*offset),
            count: u32::from_le_bytes(*count),
            leaf: Sha256(leaf.try_into().ok()?),
        })
    };
    parsed().ok_or_else(|| StoreError(format!("the entry of the group at {first} is damaged")))
}
