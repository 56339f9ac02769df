//! Checking a log as a whole, and proving what is in it. It changes nothing.

use std::path::{Path, PathBuf};

use crate::events::blobs::Blobs;
use crate::events::checkpoint::{Checkpoint, SignedCheckpoint, Verifier};
use crate::events::codec::StoredRecord;
use crate::events::id::{Position, Sha256};
use crate::events::log::audit::{self, Bodies, Difference, Scan};
use crate::events::log::key;
use crate::events::log::store::StoreError;
use crate::service::look::log_directory;

mod mails;
mod messages;
mod prove;

pub use mails::{SavedMessage, saved_mails};
pub use messages::saved_slack;
pub use prove::{ProveError, Prover};

/// Why a log could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Neither the log's own key nor another was given: name one with `--key`.
    #[error("there is no key beside the log at {0}; give the one you trust with --key")]
    NoKey(PathBuf),
    /// The disk failed, or there is no log.
    #[error("the log cannot be read: {0}")]
    Store(#[from] StoreError),
}

/// Returns the public key of the log below a state directory; makes the first key when there is none.
///
/// # Errors
/// [`AuditError::Store`] when it can neither be read nor made.
pub fn make_key(state_dir: &Path) -> Result<Verifier, AuditError> {
    let key = key::read_or_make(&log_directory(state_dir))?;
    Ok(key.verifier())
}

/// A checkpoint from outside, with a name to tell it by.
#[derive(Debug, Clone)]
pub struct Witness {
    /// For example the file it was read from.
    pub name: String,
    /// What it says.
    pub signed: SignedCheckpoint,
}

/// A log that was read.
#[derive(Debug)]
pub struct Audit {
    state_dir: PathBuf,
    scan: Scan,
}

/// How the index of a log that no daemon has open was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// It was compared; what differs is among the findings.
    Compared,
    /// There is none.
    Missing,
    /// It lies where this process may not write, and sled opens nothing there.
    Closed,
}

/// What checking a log came to.
#[derive(Debug, Clone)]
pub struct Findings {
    /// All keys that the log has had, the newest last.
    pub keys: Vec<Verifier>,
    /// How many records.
    pub size: u64,
    /// The root over all of them.
    pub root: Sha256,
    /// Checkpoints that the log itself says it sent.
    pub sent: usize,
    /// The bodies.
    pub bodies: Bodies,
    /// Unfinished bytes at the journal's end, which were not promised.
    pub torn_bytes: u64,
    /// For each witness, in the order given: what is wrong with it.
    pub witnesses: Vec<Result<(), String>>,
    /// What differs, the most exact and earliest first; nothing for a log that is as it was.
    pub differences: Vec<Difference>,
}

impl Audit {
    /// Reads a log. `trusted` is a key from elsewhere; without it the one beside the log counts.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn read(state_dir: &Path, trusted: Option<&Verifier>) -> Result<Self, AuditError> {
        let directory = log_directory(state_dir);
        let own = audit::read_key(&directory)?;
        let Some(trusted) = trusted.or(own.as_ref()) else {
            return Err(AuditError::NoKey(directory));
        };
        let mut scan = audit::scan(&directory, trusted)?;
        if let Some(own) = own.filter(|own| !scan.keys.contains(own)) {
            let what = format!("the key beside the log, {own}, is none of those that it names");
            scan.differs(Difference::whole(what));
        }
        let state_dir = state_dir.to_owned();
        Ok(Self { state_dir, scan })
    }

    /// Compares the index of a log that no daemon has open, if it can be opened. It can be made again
    /// from the journal, so that a copy need not have it.
    pub fn compare_index_on_disk(&mut self) -> OnDisk {
        let directory = log_directory(&self.state_dir);
        if !directory.join("index").exists() {
            return OnDisk::Missing;
        }
        if !audit::is_writable(&directory) {
            return OnDisk::Closed;
        }
        let mut next = Position(1);
        let mut agrees = true;
        let ends = audit::index_ends(&directory);
        let read = ends.and_then(|ends| {
            agrees = self.scan.compare_index_ends(&ends);
            audit::index_of(&directory, |records| {
                agrees = agrees && self.scan.compare_index(&records, &mut next);
            })
        });
        match read {
            Ok(()) if agrees => self.scan.compare_index_end(next),
            Ok(()) => {}
            Err(error) => {
                let what = format!("the index cannot be compared: {error}");
                self.scan.differs(Difference::whole(what));
            }
        }
        OnDisk::Compared
    }

    /// Compares records of the index in order, as a daemon gives them; `next` begins at 1. Says
    /// whether there is more to compare.
    pub fn compare_index(&mut self, records: &[StoredRecord], next: &mut Position) -> bool {
        let agrees = self.scan.compare_index(records, next);
        if records.is_empty() {
            self.scan.compare_index_end(*next);
        }
        agrees && !records.is_empty() && next.0 <= self.scan.size()
    }

    /// Compares everything else, and returns what differs.
    pub fn compare(mut self, witnesses: &[Witness]) -> Findings {
        let blobs = Blobs::of(&self.state_dir.join("blobs"));
        // What the log says of itself, and what others kept, are two things: whoever changed the
        // one could sign anew, so it narrows nothing down for the other.
        let mut own = self.scan.sent_checkpoints();
        let sent = own.len();
        own.extend(self.scan.anchored());
        self.scan.compare_checkpoints(&own);
        let judged = self.judge(witnesses);
        let genuine = judged
            .iter()
            .zip(witnesses)
            .filter(|(judged, _)| judged.is_ok());
        let kept: Vec<_> = genuine.map(|(_, witness)| named(witness)).collect();
        let mut agree = self.scan.compare_checkpoints(&kept).into_iter();
        let size = self.scan.size();
        let witnesses = judged.into_iter().zip(witnesses).map(|(judged, witness)| {
            judged?;
            let theirs = witness.signed.checkpoint().size;
            match agree.next() {
                Some(true) => Ok(()),
                _ if theirs > size => Err(format!("it has {theirs} records, the log {size}")),
                _ => Err("the records up to it are not what they were".to_owned()),
            }
        });
        let witnesses = witnesses.collect();
        let bodies = self.scan.compare_bodies(&blobs);
        let mut differences = std::mem::take(&mut self.scan.differences);
        differences.sort_by_key(order);
        Findings {
            size,
            root: self.scan.root(),
            keys: self.scan.keys,
            sent,
            bodies,
            torn_bytes: self.scan.torn_bytes,
            witnesses,
            differences,
        }
    }

    /// Says of each witness whether a key of this log signed it; one that does not count is a
    /// difference, since the log may have been put into another's place.
    fn judge(&mut self, witnesses: &[Witness]) -> Vec<Result<(), String>> {
        let mut judged = Vec::with_capacity(witnesses.len());
        for Witness { name, signed } in witnesses {
            let verified = signed.verified_by(&self.scan.keys);
            if let Err(error) = &verified {
                let origin = &signed.checkpoint().origin;
                let what = format!("{name} (of {origin}) does not count: {error}");
                self.scan.differs(Difference::whole(what));
            }
            judged.push(verified.map_err(|error| error.to_string()));
        }
        judged
    }
}

fn named(witness: &Witness) -> (String, Checkpoint) {
    let checkpoint = witness.signed.checkpoint().clone();
    (witness.name.clone(), checkpoint)
}

/// Exact positions before ranges, ranges before what is about the whole; early before late.
fn order(difference: &Difference) -> (u8, Option<Position>, Option<Position>) {
    let rank = match (difference.first, difference.last) {
        (None, _) => 2,
        (first, last) if first == last => 0,
        _ => 1,
    };
    (rank, difference.first, difference.last)
}
