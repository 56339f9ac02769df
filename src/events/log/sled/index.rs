//! The index: a sled database that finds records by position, stream and idempotency key. It can be
//! made again from the journal at any time, so it is never synced on its own account.
//!
//! It keeps no record: a group is found by its first position and lies in the journal, which is read
//! in order from there (see `doc/decisions/0004-records-lie-in-the-journal.md`).

use std::collections::BTreeSet;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::{Db, IVec, Tree};

use crate::events::id::{Position, Sha256, StreamId, StreamVersion};
use crate::events::log::sled::compare::Problem;
use crate::events::log::sled::recent::{GroupEntry, Recent, Stretch};
use crate::events::log::store::{KeyEntry, StoreError, passes_with_the_disk, told};

/// Memory that sled may use for its cache.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Events of a stream that share an entry; further ones get another.
const RUN_EVENTS_MAX: usize = 256;

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
        Ok(entry.filter(|entry| entry.holds(position)))
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

    /// Adds entries, those of streams in the order of their keys, so that neighbours are written
    /// together. The groups go last, so that an interrupted call is simply done again.
    pub(super) fn apply(&self, recent: &Recent) -> Result<(), StoreError> {
        for (stream, stretch) in recent.streams_in_order() {
            self.apply_stretch(stream, stretch)?;
        }
        for (key, entry) in &recent.keys {
            self.keys.insert(key, key_value(entry))?;
        }
        for kind in &recent.kinds {
            self.note_kind(*kind)?;
        }
        for group in &recent.groups {
            self.groups.insert(be(group.first), group_value(group))?;
        }
        Ok(())
    }

    /// Adds runs of a stream. What an interrupted call left behind them is taken out: its runs may
    /// have other borders.
    fn apply_stretch(&self, stream: &StreamId, stretch: &Stretch) -> Result<(), StoreError> {
        let (first, last) = (stretch.first, StreamVersion(u64::MAX));
        let behind = stream_key(stream, first)..=stream_key(stream, last);
        for key in self.streams.range(behind).keys() {
            self.streams.remove(key?)?;
        }
        let starts = (first.0..).step_by(RUN_EVENTS_MAX).map(StreamVersion);
        for (start, run) in starts.zip(stretch.positions.chunks(RUN_EVENTS_MAX)) {
            let positions: Vec<u8> = run.iter().flat_map(|position| be(*position)).collect();
            self.streams.insert(stream_key(stream, start), positions)?;
        }
        Ok(())
    }

    /// Notes that the log holds events of a kind and version.
    pub(super) fn note_kind(&self, kind: (u16, u16)) -> Result<(), StoreError> {
        if !self.kinds.contains_key(kind_key(kind))? {
            self.kinds.insert(kind_key(kind), &[])?;
        }
        Ok(())
    }

    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()?;
        // Sled's own flush is no fsync on Linux; what the anchor says must be on the disk.
        Ok(File::open(self.path.join("db"))?.sync_data()?)
    }

    pub(super) fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        let prefix = stream_prefix(stream);
        match self.streams.scan_prefix(&prefix).next_back() {
            Some(run) => Ok(parse_run(&prefix, run?)?.last()),
            None => Ok(StreamVersion(0)),
        }
    }

    /// Returns the positions of up to `limit` events of a stream after a version and up to another,
    /// in order.
    pub(super) fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        last: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        let prefix = stream_prefix(stream);
        let mut positions = Vec::new();
        if after >= last {
            return Ok(positions);
        }
        // The run before may reach beyond.
        let before = self
            .streams
            .get_lt(stream_key(stream, StreamVersion(after.0 + 1)))?;
        let before = before.filter(|(key, _)| key.starts_with(&prefix));
        let from = before.map_or_else(|| prefix.clone(), |(key, _)| key.to_vec());
        let mut known = after;
        for run in self.streams.range(from..=stream_key(stream, last)) {
            if positions.len() >= limit {
                break;
            }
            let run = parse_run(&prefix, run?)?;
            positions.extend(run.after(known));
            known = known.max(run.last());
        }
        let surplus = usize::try_from(known.0.saturating_sub(last.0)).unwrap_or(usize::MAX);
        positions.truncate(positions.len().saturating_sub(surplus).min(limit));
        Ok(positions)
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

/// Reads a run: its key ends with the version of its first event, its value is their positions.
fn parse_run(prefix: &[u8], (key, value): (IVec, IVec)) -> Result<Stretch, StoreError> {
    let (positions, rest) = value.as_chunks::<8>();
    let first = StreamVersion(u64_of(key.get(prefix.len()..).unwrap_or_default())?);
    if positions.is_empty() || !rest.is_empty() {
        return Err(StoreError("a stream's entry is damaged".to_owned()));
    }
    let positions = positions
        .iter()
        .map(|bytes| Position(u64::from_be_bytes(*bytes)));
    Ok(Stretch {
        first,
        positions: positions.collect(),
    })
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

#[cfg(test)]
mod tests;
