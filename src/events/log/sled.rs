//! The log on disk, and the only file that names sled.
//!
//! Three things lie beside each other: the **journal**, which is what is promised (each group is
//! fdatasync'd before it is acknowledged); the **index**, a sled database that is queried and says
//! where in the journal a record lies; and the
//! **anchor**, a small signed note of how far the journal certainly reached. Sled's own flush is no
//! fsync on Linux, and sled can open lost data as an empty database, so nothing is believed of it:
//! at start the three are compared, an index that lags is caught up from the journal or made again
//! from it, and a journal that went backwards is refused with a sentence that says what to do.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::events::checkpoint::LogKey;
use crate::events::codec::StoredRecord;
use crate::events::id::{Position, Sha256, StreamId, StreamVersion};
use crate::events::log::journal::{Journal, JournalReader};
use crate::events::log::store::{Group, KeyEntry, Store, StoreError};
use crate::events::tree::CompactRange;

mod anchor;
mod compare;
mod for_audit;
mod index;
mod indexer;
mod lock;
mod recent;
mod rotation;

use anchor::AnchorFile;
use compare::{Place, Problem, check_kinds, index_path, problem_at};
use index::Index;
use indexer::Indexer;
use recent::GroupEntry;

pub(in crate::events::log) use anchor::Anchor;
pub(in crate::events::log) use for_audit::{anchor_text, verified_anchor};

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open: stop that one, or talk to it.
    #[error(
        "another Airut process{} has the log at {path} open; stop it, or use its socket",
        holder.map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    Locked {
        /// Directory of the log.
        path: PathBuf,
        /// Its process id, if it has said so.
        holder: Option<u32>,
    },
    /// Promised events are missing or changed: restore a backup.
    #[error(
        "the log at {path} went backwards: {what}; do not start on it, restore a backup (or give \
         those events up with `airut log rebuild --accept-loss`)"
    )]
    Regressed {
        /// Directory of the log.
        path: PathBuf,
        /// What was compared.
        what: String,
    },
    /// The index cannot be used, nor made again: see the disk.
    #[error("the index of the log at {path} is unusable, also when it is made again: {what}")]
    IndexUnusable {
        /// Directory of the log.
        path: PathBuf,
        /// What was compared.
        what: String,
    },
    /// A newer Airut wrote to it: update this one.
    #[error(
        "the log at {path} holds events of kind {kind} version {version}, which this version of \
         Airut does not know: update Airut (`airut log upgrade --dry-run` says where they are)"
    )]
    Newer {
        /// Directory of the log.
        path: PathBuf,
        /// Number of the kind.
        kind: u16,
        /// Version of its payload.
        version: u16,
    },
    /// The disk failed.
    #[error("the log at {path} cannot be opened: {source}")]
    Disk {
        /// Directory of the log.
        path: PathBuf,
        /// What failed.
        source: StoreError,
    },
}

/// A log in a directory.
#[derive(Debug)]
pub struct SledStore {
    /// Before the lock, since it is the directory's last user.
    indexer: Indexer,
    reader: JournalReader,
    /// Offset behind the last group that the indexer knows; nothing behind it is shown.
    shown: AtomicU64,
    key: LogKey,
    writing: Mutex<Writing>,
    /// Held for as long as the store is open; the kernel lets go of it at any kind of end.
    _lock: File,
}

#[derive(Debug)]
struct Writing {
    journal: Journal,
    range: CompactRange,
    last_leaf: Sha256,
    poisoned: Option<StoreError>,
}

impl SledStore {
    /// Opens the log in a directory, making it when there is none. An index that lags is caught up;
    /// one that cannot be used is moved aside and made again, as long as the journal is what was
    /// promised.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let place = Place::take(path)?;
        let anchored = match place.anchor.read() {
            Ok(Some(anchored)) => anchored,
            Ok(None) if place.journal.end() > Journal::start() => {
                let what = "the journal has events but its anchor is missing";
                return Err(place.regressed(what.to_owned()));
            }
            Ok(None) => Anchor::empty(),
            Err(error) => return Err(place.disk(error)),
        };
        place.check_length(&anchored)?;
        let key = place.anchor.key().clone();
        let (lock, anchor, mut writing) = place.into_writing(&anchored);
        let fault = |problem| problem_at(path, problem);
        let first = Index::open(&index_path(path)).and_then(|index| {
            writing.catch_up(&index, &anchored, &anchored)?;
            Ok(index)
        });
        let index = match first {
            Err(Problem::Index(what)) => {
                tracing::warn!(
                    what,
                    "the index cannot be used; it is made again from the journal"
                );
                writing.index_anew(path, &anchored).map_err(fault)?
            }
            first => first.map_err(fault)?,
        };
        check_kinds(path, &index)?;
        let written = writing.write_anchor(&index, &anchor);
        written.map_err(Problem::Disk).map_err(fault)?;
        let indexer = Indexer::start(index, anchor, writing.reached());
        let reader = writing.journal.reader().map_err(Problem::Disk);
        Ok(Self {
            indexer: indexer.map_err(Problem::Disk).map_err(fault)?,
            key,
            reader: reader.map_err(fault)?,
            shown: AtomicU64::new(writing.journal.end()),
            writing: Mutex::new(writing),
            _lock: lock,
        })
    }

    /// Makes the index again from the journal, and signs a new anchor; returns the number of
    /// events. With `accept_loss` what an anchor promised is not asked for: what the journal holds
    /// is taken as it is.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while a daemon runs, [`OpenError::Regressed`] for a journal that is not
    /// what was promised, [`OpenError::Disk`] for a damaged one.
    pub fn rebuild(path: &Path, accept_loss: bool) -> Result<u64, OpenError> {
        let place = Place::take(path)?;
        // An anchor that cannot be read promises nothing that could be compared.
        let promised = place.anchor.read().ok().flatten();
        let promised = promised.filter(|_| !accept_loss);
        let promised = promised.unwrap_or_else(Anchor::empty);
        place.check_length(&promised)?;
        let (lock, anchor, mut writing) = place.into_writing(&Anchor::empty());
        let fault = |problem| problem_at(path, problem);
        let index = writing.index_anew(path, &promised).map_err(fault)?;
        check_kinds(path, &index)?;
        let written = writing.write_anchor(&index, &anchor);
        written.map_err(Problem::Disk).map_err(fault)?;
        drop(lock);
        Ok(writing.range.size())
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns records from the group that holds the first of them; `shown` bytes of the journal are.
fn read_from(
    group: Option<GroupEntry>,
    reader: &JournalReader,
    shown: u64,
    after: Position,
    limit: usize,
) -> Result<Vec<StoredRecord>, StoreError> {
    match group {
        Some(group) => reader.read(group.offset..shown, group.first, after, limit),
        None => Ok(vec![]),
    }
}

/// Returns the position behind another one.
fn behind(position: Position) -> Position {
    Position(position.0.saturating_add(1))
}

impl Writing {
    fn new(journal: Journal, anchored: &Anchor) -> Self {
        Self {
            journal,
            range: anchored.range.clone(),
            last_leaf: anchored.last_leaf,
            poisoned: None,
        }
    }

    fn commit(&mut self, indexer: &Indexer, group: &Group) -> Result<(), StoreError> {
        indexer.wait_for_room()?;
        let offset = self.journal.end();
        self.journal.append(&group.records)?;
        // From here on the group is durable, whatever becomes of the index.
        self.range = group.range.clone();
        if let Some(at) = GroupEntry::of(&group.records, offset) {
            self.last_leaf = at.leaf;
            indexer.push(group, at, self.reached());
        }
        Ok(())
    }

    /// Returns how far the journal reaches.
    fn reached(&self) -> Anchor {
        Anchor {
            range: self.range.clone(),
            last_leaf: self.last_leaf,
            journal_end: self.journal.end(),
        }
    }

    fn write_anchor(&self, index: &Index, anchor: &AnchorFile) -> Result<(), StoreError> {
        index.flush()?;
        anchor.write(&self.reached())
    }
}

impl Store for SledStore {
    fn commit(&self, group: &Group) -> Result<(), StoreError> {
        let mut writing = self.writing();
        if let Some(error) = &writing.poisoned {
            return Err(error.clone());
        }
        let committed = writing.commit(&self.indexer, group);
        match &committed {
            Ok(()) => self.shown.store(writing.journal.end(), Ordering::Release),
            Err(error) => writing.poisoned = Some(error.clone()),
        }
        committed
    }

    fn read(&self, after: Position, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        let shown = self.shown.load(Ordering::Acquire);
        let group = self.indexer.group_of(behind(after))?;
        read_from(group, &self.reader, shown, after, limit)
    }

    fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        self.indexer.stream_version(stream)
    }

    fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        self.indexer.stream_positions(stream, after, limit)
    }

    fn find_key(&self, key: &str) -> Result<Option<KeyEntry>, StoreError> {
        self.indexer.find_key(key)
    }

    fn range(&self) -> Result<CompactRange, StoreError> {
        Ok(self.writing().range.clone())
    }

    fn key(&self) -> Option<&LogKey> {
        Some(&self.key)
    }

    fn close(&self) -> Result<(), StoreError> {
        match &self.writing().poisoned {
            Some(error) => Err(error.clone()),
            None => self.indexer.close(),
        }
    }
}

#[cfg(test)]
mod tests;
