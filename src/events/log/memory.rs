//! A log in memory, for tests and the simulator. Its disk can fail and crash:
//! what a commit did not return for is not there after [`MemoryStore::after_crash`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::events::checkpoint::LogKey;
use crate::events::codec::StoredRecord;
use crate::events::id::{Position, StreamId, StreamVersion};
use crate::events::log::store::{Group, KeyEntry, Store, StoreError};
use crate::events::tree::CompactRange;

/// A store that keeps everything in memory.
#[derive(Debug)]
pub struct MemoryStore {
    disk: Mutex<Disk>,
    key: LogKey,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::of(Disk::default())
    }
}

#[derive(Debug, Clone, Default)]
struct Contents {
    records: Vec<StoredRecord>,
    streams: BTreeMap<StreamId, Vec<Position>>,
    keys: BTreeMap<String, KeyEntry>,
    range: CompactRange,
}

#[derive(Debug, Default)]
struct Disk {
    contents: Contents,
    failing: Option<String>,
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every later commit fail with `reason`, as a full or broken disk does.
    pub fn fail_commits(&self, reason: &str) {
        self.disk().failing = Some(reason.to_owned());
    }

    /// Lets commits succeed again, as after a restart on a mended disk.
    pub fn mend(&self) {
        self.disk().failing = None;
    }

    /// Returns what a restart would find: all commits that returned, and nothing else.
    pub fn after_crash(&self) -> Self {
        let contents = self.disk().contents.clone();
        Self::of(Disk {
            contents,
            failing: None,
        })
    }

    /// The key is the same for all of them, so that a history can be played again.
    fn of(disk: Disk) -> Self {
        let (disk, key) = (Mutex::new(disk), LogKey::first([1; 32]));
        Self { disk, key }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn index(position: Position) -> usize {
    usize::try_from(position.0).unwrap_or(usize::MAX)
}

impl Store for MemoryStore {
    fn commit(&self, group: &Group) -> Result<(), StoreError> {
        let mut disk = self.disk();
        if let Some(reason) = &disk.failing {
            return Err(StoreError(reason.clone()));
        }
        let contents = &mut disk.contents;
        contents.records.extend(group.records.iter().cloned());
        for entry in &group.streams {
            contents
                .streams
                .entry(entry.stream.clone())
                .or_default()
                .push(entry.position);
        }
        contents.keys.extend(group.keys.iter().cloned());
        contents.range = group.range.clone();
        Ok(())
    }

    fn read(&self, after: Position, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        let disk = self.disk();
        Ok(disk
            .contents
            .records
            .iter()
            .skip(index(after))
            .take(limit)
            .cloned()
            .collect())
    }

    fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        let disk = self.disk();
        Ok(StreamVersion(
            disk.contents
                .streams
                .get(stream)
                .map_or(0, |all| all.len() as u64),
        ))
    }

    fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        let disk = self.disk();
        let positions = disk
            .contents
            .streams
            .get(stream)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let skipped = usize::try_from(after.0).unwrap_or(usize::MAX);
        Ok(positions
            .iter()
            .skip(skipped)
            .take(limit)
            .copied()
            .collect())
    }

    fn find_key(&self, key: &str) -> Result<Option<KeyEntry>, StoreError> {
        Ok(self.disk().contents.keys.get(key).copied())
    }

    fn range(&self) -> Result<CompactRange, StoreError> {
        Ok(self.disk().contents.range.clone())
    }

    fn key(&self) -> Option<&LogKey> {
        Some(&self.key)
    }
}
