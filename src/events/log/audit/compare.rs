//! Comparing a scanned journal with everything that should agree with it: the anchor, checkpoints,
//! the chain of keys, the bodies and the index.

use std::path::Path;

use crate::events::blobs::{BlobError, Blobs};
use crate::events::checkpoint::{
    Checkpoint, CheckpointError, SignedCheckpoint, Verifier, rotation_text,
};
use crate::events::codec::StoredRecord;
use crate::events::id::{Position, Sha256};
use crate::events::log::audit::{Bodies, Difference, Scan};
use crate::events::log::key;
use crate::events::log::sled::SledStore;
use crate::events::log::store::StoreError;
use crate::events::seal::Owner;
use crate::events::service::LogKeyRotated;
use crate::events::tree::leaf_hash;

/// Records of the index that are compared at once.
const INDEX_BATCH: usize = 4096;

/// Returns the public key of the log in a directory, if its private key lies there.
///
/// # Errors
/// [`StoreError`] when the file holds no key or cannot be read.
pub fn read_key(directory: &Path) -> Result<Option<Verifier>, StoreError> {
    Ok(key::read(directory)?.map(|key| key.verifier()))
}

/// Returns whether this process may write into a log's directory: only there can its index be opened.
pub fn is_writable(directory: &Path) -> bool {
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Returns the records of the index of a log that no daemon has open.
///
/// # Errors
/// [`StoreError`] when the index cannot be opened or read.
pub fn index_of(
    directory: &Path,
    mut visit: impl FnMut(Vec<StoredRecord>),
) -> Result<(), StoreError> {
    SledStore::read_index(directory, |index| {
        let mut after = Position(0);
        loop {
            let records = index(after, INDEX_BATCH)?;
            let Some(last) = records.last() else {
                return Ok(());
            };
            after = last.position;
            visit(records);
        }
    })
}

/// Returns what the index of a log that no daemon has open says of the last record of each group.
///
/// # Errors
/// [`StoreError`] when the index cannot be opened or read.
pub fn index_ends(directory: &Path) -> Result<Vec<(Position, Sha256)>, StoreError> {
    SledStore::index_ends(directory)
}

impl Scan {
    /// Returns what the anchor says of the log, by its name; and compares the record it ends with.
    pub fn anchored(&mut self) -> Option<(String, Checkpoint)> {
        let anchor = self.anchor.clone()?;
        let (size, root) = (anchor.range.size(), anchor.range.root());
        let index = usize::try_from(size).ok()?.checked_sub(1)?;
        if self
            .leaves
            .get(index)
            .is_some_and(|leaf| *leaf != anchor.last_leaf)
        {
            let what = "the record is not the one that the anchor ends with";
            self.differs(Difference::at(Position(size), what));
        }
        let origin = self.keys.last()?.origin().to_owned();
        Some(("the anchor".to_owned(), Checkpoint { origin, size, root }))
    }

    /// Compares one root; `agreed` is the size up to which another one has agreed already.
    fn compare_roots(
        &mut self,
        size: u64,
        root: Sha256,
        ours: Option<Sha256>,
        agreed: u64,
        named: &str,
    ) {
        match ours {
            Some(ours) if ours == root => {}
            Some(_) => {
                let (first, last) = (Position(agreed + 1), Position(size));
                let what = format!(
                    "{named} has another root over the records 1 to {size}: one of them was \
                     changed, removed, inserted or moved"
                );
                self.differs(Difference::between(first, last, what));
            }
            // Where reading stopped is told already.
            None if self.stopped => {}
            None => {
                let end = self.size();
                let first = Position(agreed + 1);
                let what = format!(
                    "{named} has {size} records, the log ends at {end}: they were cut off, or others \
                     removed before"
                );
                self.differs(Difference::between(first, Position(size), what));
            }
        }
    }

    /// Compares checkpoints, each with a name to tell it by; returns for each, in the order given,
    /// whether it agrees. A difference is told for the first that does not: the later ones differ
    /// for the same reason, and the ones before narrow down where.
    pub fn compare_checkpoints(&mut self, checkpoints: &[(String, Checkpoint)]) -> Vec<bool> {
        let mut order: Vec<usize> = (0..checkpoints.len()).collect();
        order.sort_by_key(|index| checkpoints[*index].1.size);
        let mut agree = vec![false; checkpoints.len()];
        let (mut agreed, mut told) = (0, false);
        for index in order {
            let (named, checkpoint) = &checkpoints[index];
            let size = checkpoint.size;
            let ours = self.root_at(size);
            agree[index] = ours == Some(checkpoint.root);
            if agree[index] {
                agreed = size;
            } else if !told {
                told = true;
                let agreed = if agreed < size { agreed } else { 0 };
                self.compare_roots(size, checkpoint.root, ours, agreed, named);
            }
        }
        agree
    }

    /// Follows the changes of the key; returns all keys this log has had, the newest last.
    /// `current` is the key in force, or one that whoever checks has from elsewhere.
    pub(super) fn follow_keys(&mut self, current: &Verifier) -> Vec<Verifier> {
        let mut keys: Vec<Verifier> = Vec::new();
        for (position, rotated) in self.rotations.clone() {
            match followed(&rotated, keys.last()) {
                Ok((old, new)) => {
                    if keys.is_empty() {
                        keys.push(old);
                    }
                    keys.push(new);
                }
                Err(what) => self.differs(Difference::at(position, what)),
            }
        }
        if keys.is_empty() {
            keys.push(current.clone());
        }
        if !keys.contains(current) {
            let what = format!("the key {current} is none of those that this log names");
            self.differs(Difference::whole(what));
        }
        keys
    }

    /// Returns the checkpoints that the log itself says it sent, each with a name; one that does
    /// not count is a difference.
    pub fn sent_checkpoints(&mut self) -> Vec<(String, Checkpoint)> {
        let mut checkpoints = Vec::new();
        for (position, line) in self.sent.clone() {
            let read = SignedCheckpoint::from_line(&line);
            let verified = read.and_then(|read| read.verified_by(&self.keys).map(|()| read));
            let what = match verified {
                Ok(signed) if signed.checkpoint().size < position.0 => {
                    let named = format!("the checkpoint that was sent at position {position}");
                    checkpoints.push((named, signed.checkpoint().clone()));
                    continue;
                }
                Ok(_) => "the checkpoint that it sent is of a later log".to_owned(),
                Err(error) => format!("the checkpoint that it sent does not count: {error}"),
            };
            self.differs(Difference::at(position, what));
        }
        checkpoints
    }

    /// Compares the bodies with their digests, for which no key is needed; says how many are there
    /// and how many a tombstone explains. A body that is not there without one is a difference, and
    /// so is a key that is there in spite of one.
    pub fn compare_bodies(&mut self, blobs: &Blobs) -> Bodies {
        let mut counted = Bodies {
            all: self.bodies.len(),
            ..Bodies::default()
        };
        let bodies = std::mem::take(&mut self.bodies);
        for (position, body) in bodies.values() {
            match blobs.check(body) {
                Ok(()) => counted.whole += 1,
                Err(BlobError::Missing(_)) if self.erasure_of(body).is_some() => {
                    counted.erased += 1;
                }
                Err(error) => self.differs(Difference::at(*position, error.to_string())),
            }
        }
        self.bodies = bodies;
        for (task, conversation, position) in self.erased_tasks() {
            if let Ok(Some(_key)) = blobs.keys().get(Owner::Task(task)) {
                let what = format!(
                    "conversation {conversation} is forgotten here, and the key of its task {task} \
                     is there all the same"
                );
                self.differs(Difference::at(position, what));
            }
        }
        counted.erasures = self.erasures();
        counted
    }

    /// Compares the end of the index with what the anchor says that it must hold.
    pub fn compare_index_end(&mut self, next: Position) {
        let anchored = self.anchor.as_ref().map_or(0, |anchor| anchor.range.size());
        if next.0 <= anchored.min(self.size()) {
            self.differs(Difference::at(next, "the index lacks the record"));
        }
    }

    /// Compares what the index says of records with those of the journal. Tells only the first
    /// difference.
    pub fn compare_index_ends(&mut self, ends: &[(Position, Sha256)]) -> bool {
        let other = ends.iter().find(|(position, leaf)| {
            let place = (position.0 as usize).checked_sub(1);
            let ours = place.and_then(|place| self.leaves.get(place));
            ours.is_some_and(|ours| ours != leaf)
        });
        if let Some((position, _)) = other {
            let what = "the index knows another record than the journal";
            self.differs(Difference::at(*position, what));
        }
        other.is_none()
    }

    /// Compares records of the index, in order; `next` is the first position that is expected, and
    /// is moved on. Tells only the first difference.
    pub fn compare_index(&mut self, records: &[StoredRecord], next: &mut Position) -> bool {
        for record in records {
            let leaf = self.leaves.get((next.0 - 1) as usize);
            let what = match leaf {
                _ if record.position != *next => "the index lacks the record",
                // A daemon goes on writing while its log is checked.
                None => return true,
                Some(leaf) if *leaf != leaf_hash(&record.bytes) => {
                    "the index holds another record than the journal"
                }
                Some(_) => {
                    next.0 += 1;
                    continue;
                }
            };
            self.differs(Difference::at(*next, what));
            return false;
        }
        true
    }
}

/// Returns both keys of a change, if the old one is the last and signed for the new one.
fn followed(
    rotated: &LogKeyRotated,
    last: Option<&Verifier>,
) -> Result<(Verifier, Verifier), String> {
    let LogKeyRotated {
        old_key,
        new_key,
        signature,
    } = rotated;
    let named = |error: CheckpointError| format!("the change of the key names none: {error}");
    let old: Verifier = old_key.parse().map_err(named)?;
    let new: Verifier = new_key.parse().map_err(named)?;
    if last.is_some_and(|last| *last != old) || old.origin() != new.origin() {
        return Err("the change of the key does not follow the one before it".to_owned());
    }
    let signature = hex::decode(signature).ok();
    let signature = signature.and_then(|bytes| bytes.try_into().ok());
    let text = rotation_text(old_key, new_key);
    let signed = signature.is_some_and(|signature| old.verifies(text.as_bytes(), &signature));
    match signed {
        true => Ok((old, new)),
        false => Err("the change of the key is not signed by the old one".to_owned()),
    }
}
