//! Checkpoints and proofs for others, in text forms that `airut-verify` and other programs read.
//! Nothing is signed that was not checked just before.
//!
//! An inclusion proof is C2SP's `tlog-proof`, with the record's bytes as its extra data. A
//! consistency proof has the same form with other first lines:
//!
//! ```text
//! airut/consistency-proof@v1
//! old 1200
//! (one hash of the proof in Base64 on each line)
//!
//! (the checkpoint of the new size)
//! ```

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::events::checkpoint::LogKey;
use crate::events::id::{Position, Sha256};
use crate::events::log::audit::{self, Scan};
use crate::events::log::key;
use crate::events::log::store::StoreError;
use crate::events::tree::proof;
use crate::service::audit::AuditError;
use crate::service::look::log_directory;

/// Why nothing was proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The log could not be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The log is not what it was: see `airut verify`.
    #[error("nothing is signed, because the log differs {0}; see airut verify")]
    Differs(String),
    /// There are not so many records.
    #[error("the log has {size} records, not {asked}")]
    Beyond {
        /// How many there are.
        size: u64,
        /// How many were asked for.
        asked: u64,
    },
    /// Positions count from 1, and an old size is not above the new one.
    #[error("{0}")]
    Nonsense(&'static str),
}

impl From<StoreError> for ProveError {
    fn from(error: StoreError) -> Self {
        AuditError::Store(error).into()
    }
}

/// A log that was checked, with its key.
#[derive(Debug)]
pub struct Prover {
    key: LogKey,
    scan: Scan,
    directory: std::path::PathBuf,
}

impl Prover {
    /// Reads and checks a log.
    ///
    /// # Errors
    /// [`ProveError`]; [`ProveError::Differs`] when it is not what its anchor or a checkpoint that
    /// was sent says.
    pub fn read(state_dir: &Path) -> Result<Self, ProveError> {
        let directory = log_directory(state_dir);
        let key = key::read(&directory)?.ok_or_else(|| AuditError::NoKey(directory.clone()))?;
        let mut scan = audit::scan(&directory, &key.verifier())?;
        let mut checkpoints = scan.sent_checkpoints();
        checkpoints.extend(scan.anchored());
        scan.compare_checkpoints(&checkpoints);
        match scan.differences.first() {
            Some(difference) => Err(ProveError::Differs(difference.to_string())),
            None => Ok(Self {
                key,
                scan,
                directory,
            }),
        }
    }

    /// Returns the signed checkpoint of the first `size` records, or of all.
    ///
    /// # Errors
    /// [`ProveError::Beyond`].
    pub fn checkpoint(&self, size: Option<u64>) -> Result<String, ProveError> {
        let size = size.unwrap_or_else(|| self.scan.size());
        let asked = size;
        let root = self.scan.root_at(size);
        let root = root.ok_or_else(|| ProveError::Beyond {
            size: self.scan.size(),
            asked,
        })?;
        Ok(self.key.checkpoint(size, root).to_note())
    }

    /// Returns the proof that a record is in the log.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn inclusion(&self, position: Position, size: Option<u64>) -> Result<String, ProveError> {
        let size = size.unwrap_or_else(|| self.scan.size());
        let leaves = self.leaves(size)?;
        let index = position.0.checked_sub(1);
        let index = index.ok_or(ProveError::Nonsense("positions count from 1"))?;
        let path = usize::try_from(index).ok();
        let path = path.and_then(|index| proof::inclusion(leaves, index));
        let asked = position.0;
        let path = path.ok_or(ProveError::Beyond { size, asked })?;
        let record = audit::read_record(&self.directory, position)?;
        let record = BASE64_STANDARD.encode(record);
        let (hashes, checkpoint) = (lines(&path), self.checkpoint(Some(size))?);
        Ok(format!(
            "c2sp.org/tlog-proof@v1\nextra {record}\nindex {index}\n{hashes}\n{checkpoint}"
        ))
    }

    /// Returns the proof that the first `old` records are the beginning of the first `new`.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn consistency(&self, old: u64, new: u64) -> Result<String, ProveError> {
        let leaves = self.leaves(new)?;
        let words = "the old size is not above the new one, and not 0";
        let nonsense = ProveError::Nonsense(words);
        let path = usize::try_from(old).ok().filter(|old| *old > 0);
        let path = path.and_then(|old| proof::consistency(leaves, old));
        let (hashes, checkpoint) = (lines(&path.ok_or(nonsense)?), self.checkpoint(Some(new))?);
        Ok(format!(
            "airut/consistency-proof@v1\nold {old}\n{hashes}\n{checkpoint}"
        ))
    }

    fn leaves(&self, size: u64) -> Result<&[Sha256], ProveError> {
        let leaves = usize::try_from(size).ok();
        let leaves = leaves.and_then(|size| self.scan.leaves.get(..size));
        leaves.ok_or_else(|| ProveError::Beyond {
            size: self.scan.size(),
            asked: size,
        })
    }
}

fn lines(hashes: &[Sha256]) -> String {
    let line = |hash: &Sha256| format!("{}\n", BASE64_STANDARD.encode(hash.0));
    hashes.iter().map(line).collect()
}
