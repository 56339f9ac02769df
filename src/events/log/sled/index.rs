//! The index: a sled database that finds records by position, stream and idempotency key. It can be
//! made again from the journal at any time, so it is never synced on its own account.
//!
//! Records that were committed together lie in packs, one value for up to `PACK_BYTES_MAX`: a pack
//! is found by its first position, and reading in order is reading large values.

use std::collections::BTreeSet;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::{Batch, Db, Tree};

use crate::events::codec::{self, StoredRecord};
use crate::events::id::{Position, Sha256, StreamId, StreamVersion};
use crate::events::log::store::{Group, KeyEntry, StoreError, StreamEntry, digest_of};
use crate::events::tree::leaf_hash;

/// Longest value of a pack that holds more than one record. Sled keeps values above about 128 KiB
/// in files of their own.
const PACK_BYTES_MAX: usize = 32 * 1024;

/// Memory that sled may use for its cache.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        Self(error.to_string())
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
    events: Tree,
    streams: Tree,
    keys: Tree,
    kinds: Tree,
}

impl Index {
    /// Opens the database; a panic inside sled, which damaged pages cause, is an error like others.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_trees(path, &config)));
        match opened {
            Ok(opened) => opened.map_err(|error| error.to_string()),
            Err(_) => Err("sled panicked while opening it".to_owned()),
        }
    }

    fn open_trees(path: &Path, config: &sled::Config) -> sled::Result<Self> {
        let database = config.open()?;
        Ok(Self {
            path: path.to_owned(),
            events: database.open_tree("events")?,
            streams: database.open_tree("streams")?,
            keys: database.open_tree("keys")?,
            kinds: database.open_tree("kinds")?,
            database,
        })
    }

    pub(super) fn last(&self) -> Result<Last, StoreError> {
        let Some((first, pack)) = self.events.last()? else {
            return Ok(Last {
                position: Position(0),
                leaf: Sha256([0; 32]),
            });
        };
        let last = unpack(position_of(&first)?, &pack)?.pop();
        let last = last.ok_or_else(|| StoreError("a pack is empty".to_owned()))?;
        Ok(Last {
            position: last.position,
            leaf: leaf_hash(&last.bytes),
        })
    }

    /// Returns kinds and versions of all events in the log.
    pub(super) fn kinds(&self) -> Result<BTreeSet<(u16, u16)>, StoreError> {
        self.kinds
            .iter()
            .keys()
            .map(|key| Ok(kind_of(&key?)))
            .collect()
    }

    /// Adds a group; the events go last, so that an interrupted call is simply done again.
    pub(super) fn add_group(
        &self,
        group: &Group,
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
            let kind = codec::kind_and_version(record);
            if let Some(kind) = kind.filter(|kind| !known.contains(kind)) {
                self.note_kind(kind)?;
                known.insert(kind);
            }
        }
        let mut events = Batch::default();
        for (first, pack) in packs(&group.records) {
            events.insert(&be(first), pack);
        }
        Ok(self.events.apply_batch(events)?)
    }

    /// Notes that the log holds events of a kind and version.
    pub(super) fn note_kind(&self, kind: (u16, u16)) -> Result<(), StoreError> {
        self.kinds.insert(kind_key(kind), &[])?;
        Ok(())
    }

    /// Adds records read from the journal; everything else is found in them.
    pub(super) fn add(&self, records: &[StoredRecord]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut group = Group {
            records: records.to_vec(),
            ..Group::default()
        };
        let split = records
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
        self.add_group(&group, &mut BTreeSet::new())
    }

    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()?;
        // Sled's own flush is no fsync on Linux; what the anchor says must be on the disk.
        Ok(File::open(self.path.join("db"))?.sync_data()?)
    }

    pub(super) fn read(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let wanted = Position(after.0.saturating_add(1));
        let start = self
            .events
            .get_lt(be(Position(wanted.0.saturating_add(1))))?;
        let start = start.map_or_else(|| be(wanted).to_vec(), |(first, _)| first.to_vec());
        let mut records = Vec::with_capacity(limit.min(1024));
        for pack in self.events.range(start..) {
            let (first, pack) = pack?;
            let unpacked = unpack(position_of(&first)?, &pack)?;
            records.extend(
                unpacked
                    .into_iter()
                    .filter(|record| record.position > after),
            );
            if records.len() >= limit {
                break;
            }
        }
        records.truncate(limit);
        Ok(records)
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

/// Returns the records in packs, each with its first position.
fn packs(records: &[StoredRecord]) -> Vec<(Position, Vec<u8>)> {
    let mut packs: Vec<(Position, Vec<u8>)> = Vec::new();
    for record in records {
        let full = |pack: &Vec<u8>| pack.len() + record.bytes.len() > PACK_BYTES_MAX;
        if packs.last().is_none_or(|(_, pack)| full(pack)) {
            packs.push((record.position, Vec::new()));
        }
        if let Some((_, pack)) = packs.last_mut() {
            pack.extend((record.bytes.len() as u32).to_le_bytes());
            pack.extend(&record.bytes);
        }
    }
    packs
}

fn unpack(first: Position, mut pack: &[u8]) -> Result<Vec<StoredRecord>, StoreError> {
    let damaged = || StoreError(format!("the pack at position {first} is damaged"));
    let mut records = Vec::new();
    while !pack.is_empty() {
        let (length, rest) = pack.split_first_chunk().ok_or_else(damaged)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (bytes, rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let position = Position(first.0 + records.len() as u64);
        records.push(StoredRecord {
            position,
            bytes: bytes.to_vec(),
        });
        pack = rest;
    }
    Ok(records)
}
