//! The log on disk, and the only file that names sled.
//!
//! Three things lie beside each other: the **journal**, which is what is promised (each group is
//! fdatasync'd before it is acknowledged); the **index**, a sled database that is queried; and the
//! **anchor**, a small signed note of how far the journal certainly reached. Sled's own flush is no
//! fsync on Linux, and sled can open lost data as an empty database, so nothing is believed of it:
//! at start the three are compared, an index that lags is caught up from the journal, and anything
//! that went backwards is refused with a sentence that says what to do.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::events::checkpoint::LogKey;
use crate::events::codec::{self, StoredRecord};
use crate::events::id::{Position, Sha256, StreamId, StreamVersion};
use crate::events::log::journal::{Journal, Tail};
use crate::events::log::store::{Group, KeyEntry, Store, StoreError};
use crate::events::tree::{CompactRange, leaf_hash};

mod anchor;
mod for_audit;
mod index;
mod rotation;

use anchor::AnchorFile;
use index::Index;

pub(in crate::events::log) use anchor::Anchor;
pub(in crate::events::log) use for_audit::{anchor_text, verified_anchor};

/// Events after which the index is flushed and the anchor is written anew; at a start at most
/// about so many are read again.
const ANCHOR_EVENTS: u64 = 4096;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open: stop that one, or talk to it.
    #[error("another Airut process has the log at {0} open; stop it, or use its socket")]
    Locked(PathBuf),
    /// Promised events are missing or changed: restore a backup.
    #[error("the log at {path} went backwards: {what}; do not start on it, restore a backup")]
    Regressed {
        /// Directory of the log.
        path: PathBuf,
        /// What was compared.
        what: String,
    },
    /// The index does not fit the journal: run `airut log rebuild`.
    #[error("the index of the log at {path} is unusable: {what}; run `airut log rebuild`")]
    IndexUnusable {
        /// Directory of the log.
        path: PathBuf,
        /// What was compared.
        what: String,
    },
    /// A newer Airut wrote to it: update this one.
    #[error(
        "the log at {path} holds events of kind {kind} version {version}, which this version of \
         Airut does not know: update Airut"
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
    index: Index,
    key: LogKey,
    writing: Mutex<Writing>,
    /// Held for as long as the store is open; the kernel lets go of it at any kind of end.
    _lock: File,
}

#[derive(Debug)]
struct Writing {
    journal: Journal,
    anchor: AnchorFile,
    range: CompactRange,
    last_leaf: Sha256,
    anchored: u64,
    kinds: BTreeSet<(u16, u16)>,
    poisoned: Option<StoreError>,
}

impl SledStore {
    /// Opens the log in a directory, making it when there is none.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let disk = |source| OpenError::Disk {
            path: path.to_owned(),
            source,
        };
        let anchor = AnchorFile::open(path).map_err(disk)?;
        let journal = Journal::open(&path.join("journal")).map_err(disk)?;
        let regressed = |what| OpenError::Regressed {
            path: path.to_owned(),
            what,
        };
        let anchored = match anchor.read().map_err(disk)? {
            Some(anchored) if anchored.journal_end > journal.end() => {
                let (promised, there) = (anchored.journal_end, journal.end());
                return Err(regressed(format!(
                    "the journal has {there} bytes, {promised} were promised"
                )));
            }
            Some(anchored) => anchored,
            None if journal.end() > Journal::start() => {
                return Err(regressed(
                    "the journal has events but its anchor is missing".into(),
                ));
            }
            None => Anchor::empty(),
        };
        let unusable = |what| OpenError::IndexUnusable {
            path: path.to_owned(),
            what,
        };
        let index = Index::open(&path.join("index")).map_err(unusable)?;
        for (kind, version) in index.kinds().map_err(disk)? {
            if codec::current_version(kind).is_none_or(|current| current < version) {
                return Err(OpenError::Newer {
                    path: path.to_owned(),
                    kind,
                    version,
                });
            }
        }
        let key = anchor.key().clone();
        let mut writing = Writing::new(journal, anchor, &anchored);
        writing
            .catch_up(&index, &anchored, anchored.journal_end)
            .map_err(|problem| match problem {
                Problem::Disk(source) => disk(source),
                Problem::Journal(what) => regressed(what),
                Problem::Index(what) => unusable(what),
            })?;
        writing.write_anchor(&index).map_err(disk)?;
        Ok(Self {
            index,
            key,
            writing: Mutex::new(writing),
            _lock: lock,
        })
    }

    /// Makes the index again from the journal, and signs a new anchor; returns the number of
    /// events. What the journal holds is taken as it is, so check it with `airut verify` after.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while a daemon runs, [`OpenError::Disk`] for a damaged journal.
    pub fn rebuild(path: &Path) -> Result<u64, OpenError> {
        let lock = lock(path)?;
        let disk = |source| OpenError::Disk {
            path: path.to_owned(),
            source,
        };
        let index_path = path.join("index");
        if index_path.exists() {
            let aside = path.join(format!("index.before-rebuild-{}", std::process::id()));
            std::fs::rename(&index_path, aside).map_err(|error| disk(error.into()))?;
        }
        let anchor = AnchorFile::open(path).map_err(disk)?;
        let journal = Journal::open(&path.join("journal")).map_err(disk)?;
        let unusable = |what| OpenError::IndexUnusable {
            path: path.to_owned(),
            what,
        };
        let index = Index::open(&index_path).map_err(unusable)?;
        // An anchor that cannot be read promises nothing that could be compared.
        let promised = anchor.read().ok().flatten();
        let promised = promised.map_or(0, |anchored| anchored.journal_end);
        let mut writing = Writing::new(journal, anchor, &Anchor::empty());
        let caught_up = writing.catch_up(&index, &Anchor::empty(), promised);
        caught_up.map_err(|problem| match problem {
            Problem::Disk(source) => disk(source),
            Problem::Journal(what) | Problem::Index(what) => disk(StoreError(what)),
        })?;
        writing.write_anchor(&index).map_err(disk)?;
        drop(lock);
        Ok(writing.range.size())
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the directory's lock, which ends with the process however it ends.
fn lock(path: &Path) -> Result<File, OpenError> {
    let disk = |error: std::io::Error| OpenError::Disk {
        path: path.to_owned(),
        source: error.into(),
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(disk)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(path.join("lock")).map_err(disk)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(disk(error)),
    }
}

/// What comparing journal, index and anchor can find.
enum Problem {
    Disk(StoreError),
    Journal(String),
    Index(String),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Disk(error)
    }
}

impl Writing {
    fn new(journal: Journal, anchor: AnchorFile, anchored: &Anchor) -> Self {
        Self {
            journal,
            anchor,
            range: anchored.range.clone(),
            last_leaf: anchored.last_leaf,
            anchored: anchored.range.size(),
            kinds: BTreeSet::new(),
            poisoned: None,
        }
    }

    /// Reads the journal behind the anchor, compares the index with it and adds what it lacks. A
    /// torn end is cut off, but nothing of the `promised` bytes.
    fn catch_up(&mut self, index: &Index, anchored: &Anchor, promised: u64) -> Result<(), Problem> {
        let indexed = index.last()?;
        let size = anchored.range.size();
        if indexed.position.0 < size {
            let there = indexed.position;
            return Err(Problem::Index(format!(
                "it ends at {there}, the anchor at {size}"
            )));
        }
        if indexed.position.0 == size && indexed.leaf != anchored.last_leaf {
            return Err(Problem::Index(format!(
                "its record at {size} is not the anchor's"
            )));
        }
        let (mut range, mut last_leaf) = (anchored.range.clone(), anchored.last_leaf);
        let mut mismatch = None;
        let tail =
            self.journal
                .read_groups(anchored.journal_end, Position(size), |records, _| {
                    for record in &records {
                        last_leaf = leaf_hash(&record.bytes);
                        range.push(last_leaf);
                        if record.position == indexed.position && last_leaf != indexed.leaf {
                            mismatch = Some(record.position);
                        }
                    }
                    let new = records
                        .into_iter()
                        .filter(|record| record.position > indexed.position);
                    index.add(&new.collect::<Vec<_>>())
                })?;
        if let Some(position) = mismatch {
            return Err(Problem::Index(format!(
                "its record at {position} is not the journal's"
            )));
        }
        if indexed.position.0 > range.size() {
            let (there, end) = (indexed.position, range.size());
            return Err(Problem::Journal(format!(
                "the journal ends at {end}, the index holds events up to {there}"
            )));
        }
        if let Tail::Torn(offset) = tail {
            if offset < promised {
                return Err(Problem::Journal(format!(
                    "the journal is whole up to byte {offset}, {promised} were promised"
                )));
            }
            tracing::warn!(
                offset,
                "cut off the torn, unacknowledged end of the journal"
            );
            self.journal.truncate(offset)?;
        }
        (self.range, self.last_leaf) = (range, last_leaf);
        Ok(())
    }

    fn commit(&mut self, index: &Index, group: &Group) -> Result<(), StoreError> {
        self.journal.append(&group.records)?;
        // From here on the group is durable: the index would be caught up at the next start.
        index.add_group(group, &mut self.kinds)?;
        self.range = group.range.clone();
        if let Some(record) = group.records.last() {
            self.last_leaf = leaf_hash(&record.bytes);
        }
        if self.range.size() - self.anchored >= ANCHOR_EVENTS {
            self.write_anchor(index)?;
        }
        Ok(())
    }

    fn write_anchor(&mut self, index: &Index) -> Result<(), StoreError> {
        index.flush()?;
        self.anchor.write(&Anchor {
            range: self.range.clone(),
            last_leaf: self.last_leaf,
            journal_end: self.journal.end(),
        })?;
        self.anchored = self.range.size();
        Ok(())
    }
}

impl Store for SledStore {
    fn commit(&self, group: &Group) -> Result<(), StoreError> {
        let mut writing = self.writing();
        if let Some(error) = &writing.poisoned {
            return Err(error.clone());
        }
        let committed = writing.commit(&self.index, group);
        if let Err(error) = &committed {
            writing.poisoned = Some(error.clone());
        }
        committed
    }

    fn read(&self, after: Position, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        self.index.read(after, limit)
    }

    fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        self.index.stream_version(stream)
    }

    fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        self.index.stream_positions(stream, after, limit)
    }

    fn find_key(&self, key: &str) -> Result<Option<KeyEntry>, StoreError> {
        self.index.find_key(key)
    }

    fn range(&self) -> Result<CompactRange, StoreError> {
        Ok(self.writing().range.clone())
    }

    fn key(&self) -> Option<&LogKey> {
        Some(&self.key)
    }

    fn close(&self) -> Result<(), StoreError> {
        let mut writing = self.writing();
        match &writing.poisoned {
            Some(error) => Err(error.clone()),
            None => writing.write_anchor(&self.index),
        }
    }
}

#[cfg(test)]
mod tests;
