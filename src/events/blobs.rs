//! Bodies outside the log: a file for each, named by its SHA-256. It knows no event.
//!
//! A blob is durable when [`Blobs::put`] returns, so that an event may refer to it from then on. A
//! blob that no event refers to, because the process died in between, is harmless.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::events::id::{BlobRef, Sha256};

/// Longest blob in bytes; a longer one is refused.
pub const BLOB_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Why a blob could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is longer than `BLOB_BYTES_MAX`: refuse what it belongs to.
    #[error("a body of {bytes} bytes is beyond the limit of {BLOB_BYTES_MAX}")]
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// It is not there: retention removed it, or the disk lost it.
    #[error("the body {0} is not there")]
    Missing(Sha256),
    /// Its bytes are not those it is named by: restore a backup.
    #[error("the body {0} is damaged")]
    Damaged(Sha256),
    /// The disk failed.
    #[error("the body {path} failed: {error}")]
    Disk {
        /// Its file.
        path: PathBuf,
        /// What failed.
        error: std::io::Error,
    },
}

/// A directory of blobs.
#[derive(Debug)]
pub struct Blobs {
    directory: PathBuf,
    written: AtomicU64,
}

impl Blobs {
    /// Opens the directory, making it when there is none.
    ///
    /// # Errors
    /// [`BlobError::Disk`] when it cannot be made.
    pub fn open(directory: &Path) -> Result<Self, BlobError> {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.map_err(disk(directory))?;
        Ok(Self::of(directory))
    }

    /// Returns the blobs in a directory for reading; it is not made when it is not there.
    pub fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            written: AtomicU64::new(0),
        }
    }

    /// Keeps a body and returns its name; a body that is there already is not written again.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], or [`BlobError::Disk`] when it could not be made durable.
    pub fn put(&self, bytes: &[u8], media_type: &str) -> Result<BlobRef, BlobError> {
        let length = bytes.len() as u64;
        if length > BLOB_BYTES_MAX {
            return Err(BlobError::TooLarge { bytes: length });
        }
        let sha256 = Sha256::of(bytes);
        let path = self.path(sha256);
        if !path.exists() {
            self.write(&path, bytes)?;
        }
        Ok(BlobRef {
            sha256,
            bytes: length,
            media_type: media_type.to_owned(),
        })
    }

    /// Returns a body, its digest verified.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Damaged`] or [`BlobError::Disk`].
    pub fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, BlobError> {
        let path = self.path(blob.sha256);
        let bytes = std::fs::read(&path).map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                BlobError::Missing(blob.sha256)
            } else {
                let path = path.clone();
                BlobError::Disk { path, error }
            }
        })?;
        if Sha256::of(&bytes) != blob.sha256 {
            return Err(BlobError::Damaged(blob.sha256));
        }
        Ok(bytes)
    }

    /// Copies a body from elsewhere unless it is here, as long as it should be; returns the bytes
    /// that were written. What is copied was verified.
    ///
    /// # Errors
    /// [`BlobError`] when there it is missing or damaged, or here it could not be made durable.
    pub fn copy_from(&self, other: &Self, blob: &BlobRef) -> Result<u64, BlobError> {
        let path = self.path(blob.sha256);
        let there = std::fs::metadata(&path).is_ok_and(|file| file.len() == blob.bytes);
        if there {
            return Ok(0);
        }
        let bytes = other.get(blob)?;
        self.write(&path, &bytes)?;
        Ok(bytes.len() as u64)
    }

    /// Returns where a body lies: 256 directories keep each of them small.
    fn path(&self, sha256: Sha256) -> PathBuf {
        let name = sha256.to_string();
        self.directory.join(&name[..2]).join(name)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), BlobError> {
        let parent = path.parent().unwrap_or(&self.directory);
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent);
        made.map_err(disk(parent))?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let new = path.with_extension(format!("new-{}-{number}", std::process::id()));
        let written = write_synced(&new, bytes).and_then(|()| std::fs::rename(&new, path));
        if let Err(error) = written {
            // What is left of it has a name that no blob has; the error matters more.
            let _leftover = std::fs::remove_file(&new);
            return Err(BlobError::Disk {
                path: path.to_owned(),
                error,
            });
        }
        File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(disk(parent))?;
        File::open(&self.directory)
            .and_then(|all| all.sync_all())
            .map_err(disk(&self.directory))
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn disk(path: &Path) -> impl FnOnce(std::io::Error) -> BlobError {
    let path = path.to_owned();
    |error| BlobError::Disk { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_reads_back_and_is_kept_once() {
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        let first = blobs.put(b"body", "text/plain").unwrap();
        assert_eq!(blobs.put(b"body", "text/plain").unwrap(), first);
        assert_eq!(blobs.get(&first).unwrap(), b"body");
        assert_eq!(first.bytes, 4);
    }

    #[test]
    fn a_missing_and_a_damaged_body_are_told_apart() {
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        let blob = blobs.put(b"body", "text/plain").unwrap();
        std::fs::write(blobs.path(blob.sha256), b"b0dy").unwrap();
        assert!(matches!(blobs.get(&blob), Err(BlobError::Damaged(_))));
        std::fs::remove_file(blobs.path(blob.sha256)).unwrap();
        assert!(matches!(blobs.get(&blob), Err(BlobError::Missing(_))));
    }
}
