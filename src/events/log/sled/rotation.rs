//! Changing the key of a log that is closed. The event that names the new key is appended between
//! the two steps; each step may be done again after a crash.

use std::path::Path;

use crate::events::checkpoint::{LogKey, Verifier};
use crate::events::log::key;
use crate::events::log::sled::anchor::AnchorFile;
use crate::events::log::sled::lock::lock;
use crate::events::log::sled::{OpenError, SledStore};
use crate::events::log::store::StoreError;

impl SledStore {
    /// Returns the log's key and the one that is to follow it, which is durable, but not in force.
    ///
    /// # Errors
    /// [`OpenError::Disk`] when there is no log or no key can be kept.
    pub fn prepare_rotation(path: &Path) -> Result<(LogKey, Verifier), OpenError> {
        let disk = |source| OpenError::Disk {
            path: path.to_owned(),
            source,
        };
        let old = key::read(path).map_err(disk)?;
        let old = old.ok_or_else(|| disk(StoreError("it has no key".to_owned())))?;
        let next = key::read_or_make_next(path, old.origin()).map_err(disk)?;
        Ok((old, next.verifier()))
    }

    /// Puts the prepared key in force: it signs the anchor, and the old private key is removed.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while a daemon runs, [`OpenError::Disk`] when it cannot be done.
    pub fn complete_rotation(path: &Path) -> Result<(), OpenError> {
        let lock = lock(path)?;
        let disk = |source| OpenError::Disk {
            path: path.to_owned(),
            source,
        };
        let anchored = AnchorFile::open(path).and_then(|file| file.read());
        let anchored = anchored.map_err(disk)?;
        let next = key::read_next(path).map_err(disk)?;
        if let (Some(anchor), Some(next)) = (anchored, next) {
            let signing = AnchorFile::signing_with(path, next);
            signing.write(&anchor).map_err(disk)?;
            key::take_next(path).map_err(disk)?;
        }
        drop(lock);
        Ok(())
    }
}
