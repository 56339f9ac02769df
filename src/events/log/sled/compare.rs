//! Comparing journal, index and anchor when a log is opened: the journal must be what the anchor
//! promises, and the index must be the journal's, or is made again. Nothing is repaired in silence.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::events::codec;
use crate::events::id::{Position, Sha256};
use crate::events::log::journal::{Journal, Tail};
use crate::events::log::sled::anchor::{Anchor, AnchorFile};
use crate::events::log::sled::index::Index;
use crate::events::log::sled::lock::lock;
use crate::events::log::sled::recent::Recent;
use crate::events::log::sled::{OpenError, Writing};
use crate::events::log::store::StoreError;
use crate::events::tree::{CompactRange, leaf_hash};

/// Events that are read from the journal before the index takes them in.
const APPLIED_EVENTS: u64 = 4096;

/// What comparing can find.
#[derive(Debug)]
pub(super) enum Problem {
    Disk(StoreError),
    Journal(String),
    Index(String),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Disk(error)
    }
}

impl From<Problem> for StoreError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Disk(error) => error,
            Problem::Journal(what) | Problem::Index(what) => Self(what),
        }
    }
}

/// Returns the error that says what to do about a problem.
pub(super) fn problem_at(path: &Path, problem: Problem) -> OpenError {
    let path = path.to_owned();
    match problem {
        Problem::Disk(source) => OpenError::Disk { path, source },
        Problem::Journal(what) => OpenError::Regressed { path, what },
        Problem::Index(what) => OpenError::IndexUnusable { path, what },
    }
}

/// Returns where the index of a log lies.
pub(super) fn index_path(path: &Path) -> PathBuf {
    path.join("index")
}

/// Refuses a log with events of a newer program.
pub(super) fn check_kinds(path: &Path, index: &Index) -> Result<(), OpenError> {
    let kinds = index.kinds().map_err(Problem::Disk);
    for (kind, version) in kinds.map_err(|problem| problem_at(path, problem))? {
        if codec::current_version(kind).is_none_or(|current| current < version) {
            let path = path.to_owned();
            return Err(OpenError::Newer {
                path,
                kind,
                version,
            });
        }
    }
    Ok(())
}

/// A log's directory, locked, with the files that are promised in it.
pub(super) struct Place {
    path: PathBuf,
    lock: File,
    pub(super) anchor: AnchorFile,
    pub(super) journal: Journal,
}

impl Place {
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let disk = |source| problem_at(path, Problem::Disk(source));
        Ok(Self {
            path: path.to_owned(),
            lock,
            anchor: AnchorFile::open(path).map_err(disk)?,
            journal: Journal::open(&path.join("journal")).map_err(disk)?,
        })
    }

    pub(super) fn disk(&self, error: StoreError) -> OpenError {
        problem_at(&self.path, Problem::Disk(error))
    }

    pub(super) fn regressed(&self, what: String) -> OpenError {
        problem_at(&self.path, Problem::Journal(what))
    }

    /// Refuses a journal that is shorter than promised, before anything is touched.
    pub(super) fn check_length(&self, promised: &Anchor) -> Result<(), OpenError> {
        let (promised, there) = (promised.journal_end, self.journal.end());
        if there < promised {
            return Err(self.regressed(format!(
                "the journal has {there} bytes, {promised} were promised"
            )));
        }
        Ok(())
    }

    pub(super) fn into_writing(self, anchored: &Anchor) -> (File, AnchorFile, Writing) {
        let writing = Writing::new(self.journal, anchored);
        (self.lock, self.anchor, writing)
    }
}

/// The way through the journal, and what it must lead past.
struct Walk<'a> {
    range: CompactRange,
    last_leaf: Sha256,
    promised: &'a Anchor,
    is_other: bool,
}

impl Walk<'_> {
    fn push(&mut self, bytes: &[u8]) {
        self.last_leaf = leaf_hash(bytes);
        self.range.push(self.last_leaf);
        let promised = &self.promised.range;
        self.is_other |= self.range.size() == promised.size() && self.range != *promised;
    }
}

impl Writing {
    /// Makes the index anew from the whole journal, which must be what was promised; the old index
    /// stays beside it.
    pub(super) fn index_anew(&mut self, path: &Path, promised: &Anchor) -> Result<Index, Problem> {
        let index_path = index_path(path);
        if index_path.exists() {
            let aside = unused(path)?;
            std::fs::rename(&index_path, aside).map_err(StoreError::from)?;
        }
        let index = Index::open(&index_path)?;
        self.catch_up(&index, &Anchor::empty(), promised)?;
        Ok(index)
    }

    /// Reads the journal behind an anchor, compares the index with it and adds what it lacks. A
    /// torn end is cut off, but nothing of what was `promised`.
    pub(super) fn catch_up(
        &mut self,
        index: &Index,
        anchored: &Anchor,
        promised: &Anchor,
    ) -> Result<(), Problem> {
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
        let mut walk = Walk {
            range: anchored.range.clone(),
            last_leaf: anchored.last_leaf,
            promised,
            is_other: false,
        };
        let (mut mismatch, mut lacking) = (None, Recent::default());
        let start = anchored.journal_end;
        let mut offset = start;
        let tail = self
            .journal
            .read_groups(start, Position(size), |records, end| {
                let at = std::mem::replace(&mut offset, end);
                for record in &records {
                    walk.push(&record.bytes);
                    if record.position == indexed.position && walk.last_leaf != indexed.leaf {
                        mismatch = Some(record.position);
                    }
                }
                let last = records.last().map(|record| record.position);
                if last <= Some(indexed.position) {
                    return Ok(());
                }
                lacking.push_records(records, at)?;
                if lacking.events() < APPLIED_EVENTS {
                    return Ok(());
                }
                index.apply(&std::mem::take(&mut lacking))
            })?;
        index.apply(&lacking)?;
        if let Some(position) = mismatch {
            return Err(Problem::Index(format!(
                "its record at {position} is not the journal's"
            )));
        }
        self.check_walk(&walk, indexed.position, tail)?;
        (self.range, self.last_leaf) = (walk.range, walk.last_leaf);
        Ok(())
    }

    fn check_walk(
        &mut self,
        walk: &Walk<'_>,
        indexed: Position,
        tail: Tail,
    ) -> Result<(), Problem> {
        let (end, promised) = (walk.range.size(), walk.promised);
        if indexed.0 > end {
            return Err(Problem::Journal(format!(
                "the journal ends at {end}, the index holds events up to {indexed}"
            )));
        }
        if walk.is_other {
            let (size, root) = (promised.range.size(), promised.range.root());
            return Err(Problem::Journal(format!(
                "the journal's first {size} events are not those with root {root}"
            )));
        }
        if let Tail::Torn(offset) = tail {
            let promised = promised.journal_end;
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
        let size = promised.range.size();
        if end < size {
            return Err(Problem::Journal(format!(
                "the journal ends at {end}, {size} events were promised"
            )));
        }
        Ok(())
    }
}

/// Returns a name that no earlier index has.
fn unused(path: &Path) -> Result<PathBuf, StoreError> {
    let mut names =
        (1..ASIDE_MAX).map(|number| path.join(format!("index.before-rebuild-{number}")));
    names.find(|name| !name.exists()).ok_or_else(|| {
        let path = path.display();
        StoreError(format!("too many old indexes lie in {path}; remove them"))
    })
}

/// Old indexes that are kept; with more of them the disk is not to be trusted, and nothing is made
/// again.
const ASIDE_MAX: u32 = 100;
