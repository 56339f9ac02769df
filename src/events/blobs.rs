//! Bodies outside the log: a sealed file for each, named by the SHA-256 of what it holds, so that it
//! can be checked without its key. It knows no event.
//!
//! A blob is durable when [`Blobs::put`] returns, and so is the key that opens it: an event may refer
//! to it from then on. A blob that no event refers to, because the process died in between, is
//! harmless; one that was not whole yet is swept when the next process begins. The keys lie in the directory `keys` beside that of the blobs.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::events::id::{BlobRef, Sha256};
use crate::events::keys::{DIRECTORY, KeyError, KeyRing};
use crate::events::seal::stream::PIECE_BYTES;
use crate::events::seal::{BODY_OVERHEAD_BYTES, Owner, open_body, owner_of_body, seal_body};

mod leftovers;
mod spool;
mod streamed;

use leftovers::NEW;

pub use spool::Spool;

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
    /// It is not there: its conversation was forgotten, or the disk lost it.
    #[error("the body {0} is not there")]
    Missing(Sha256),
    /// It cannot be read any more: the key is gone, or it is gone with its key.
    #[error("[erased] the body {0}")]
    Erased(Sha256),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
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
    keys: Arc<KeyRing>,
    written: AtomicU64,
}

impl Blobs {
    /// Opens the directory, making it when there is none.
    ///
    /// # Errors
    /// [`BlobError::Disk`] when it cannot be made.
    pub fn open(directory: &Path) -> Result<Self, BlobError> {
        let keys = Arc::new(KeyRing::of(&directory.with_file_name(DIRECTORY)));
        Self::open_with(directory, keys)
    }

    /// Opens the directory with a key ring that is shared with others.
    ///
    /// # Errors
    /// [`BlobError::Disk`] when it cannot be made.
    pub fn open_with(directory: &Path, keys: Arc<KeyRing>) -> Result<Self, BlobError> {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.map_err(disk(directory))?;
        Ok(Self {
            keys,
            ..Self::of(directory)
        })
    }

    /// Returns the blobs in a directory for reading; it is not made when it is not there.
    pub fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            keys: Arc::new(KeyRing::of(&directory.with_file_name(DIRECTORY))),
            written: AtomicU64::new(0),
        }
    }

    /// Returns the keys that open the bodies.
    pub fn keys(&self) -> &Arc<KeyRing> {
        &self.keys
    }

    /// Keeps an owner's body, sealed, and returns its name; the same body of the same owner is not
    /// written again.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::Key`] when the owner's key is gone or failed, or
    /// [`BlobError::Disk`] when it could not be made durable.
    pub fn put(&self, owner: Owner, bytes: &[u8], media_type: &str) -> Result<BlobRef, BlobError> {
        let length = bytes.len() as u64;
        within_limit(length)?;
        if bytes.len() > PIECE_BYTES {
            return self.put_long(owner, bytes, media_type);
        }
        let file = seal_body(&*self.keys.get_or_make(owner)?, owner, bytes);
        let sha256 = Sha256::of(&file);
        let path = self.path(sha256);
        if !path.exists() {
            self.write(&path, &file)?;
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
    /// [`BlobError::Missing`], [`BlobError::Erased`], [`BlobError::Damaged`], [`BlobError::Key`] or
    /// [`BlobError::Disk`].
    pub fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, BlobError> {
        let file = self.get_sealed(blob)?;
        let damaged = || BlobError::Damaged(blob.sha256);
        let owner = owner_of_body(&file).ok_or_else(damaged)?;
        let key = self.keys.get(owner)?;
        let key = key.ok_or(BlobError::Erased(blob.sha256))?;
        open_body(&key, file).ok_or_else(damaged)
    }

    /// Checks a body as far as that goes without its key: its digest and its length.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Damaged`] or [`BlobError::Disk`].
    pub fn check(&self, blob: &BlobRef) -> Result<(), BlobError> {
        self.get_sealed(blob).map(|_file| ())
    }

    fn get_sealed(&self, blob: &BlobRef) -> Result<Vec<u8>, BlobError> {
        let path = self.path(blob.sha256);
        let file = std::fs::read(&path).map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                BlobError::Missing(blob.sha256)
            } else {
                let path = path.clone();
                BlobError::Disk { path, error }
            }
        })?;
        let has_length = file.len() as u64 == blob.bytes.saturating_add(BODY_OVERHEAD_BYTES);
        if Sha256::of(&file) != blob.sha256 || !has_length {
            return Err(BlobError::Damaged(blob.sha256));
        }
        Ok(file)
    }

    /// Copies a body from elsewhere, sealed as it is, unless it is here, as long as it should be;
    /// returns the bytes that were written. What is copied was verified.
    ///
    /// # Errors
    /// [`BlobError`] when there it is missing or damaged, or here it could not be made durable.
    pub fn copy_from(&self, other: &Self, blob: &BlobRef) -> Result<u64, BlobError> {
        let path = self.path(blob.sha256);
        let length = blob.bytes.saturating_add(BODY_OVERHEAD_BYTES);
        let there = std::fs::metadata(&path).is_ok_and(|file| file.len() == length);
        if there {
            return Ok(0);
        }
        let file = other.get_sealed(blob)?;
        self.write(&path, &file)?;
        Ok(file.len() as u64)
    }

    /// Removes a body; returns the bytes that became free, 0 when it was not there.
    ///
    /// # Errors
    /// [`BlobError::Disk`].
    pub fn remove(&self, blob: &BlobRef) -> Result<u64, BlobError> {
        let path = self.path(blob.sha256);
        let length = match std::fs::metadata(&path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(disk(&path)(error)),
        };
        std::fs::remove_file(&path).map_err(disk(&path))?;
        Ok(length)
    }

    /// Returns where a body lies: 256 directories keep each of them small.
    fn path(&self, sha256: Sha256) -> PathBuf {
        let name = sha256.to_string();
        self.directory.join(&name[..2]).join(name)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), BlobError> {
        self.make_parent(path).map_err(disk(path))?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let new = path.with_extension(format!("{NEW}{}-{number}", std::process::id()));
        let written = write_synced(&new, bytes).and_then(|()| std::fs::rename(&new, path));
        if let Err(error) = written {
            // What is left of it has a name that no blob has; the error matters more.
            let _leftover = std::fs::remove_file(&new);
            return Err(BlobError::Disk {
                path: path.to_owned(),
                error,
            });
        }
        self.sync_name(path)
    }

    fn make_parent(&self, path: &Path) -> std::io::Result<()> {
        let parent = path.parent().unwrap_or(&self.directory);
        let mut directory = std::fs::DirBuilder::new();
        directory.recursive(true).mode(0o700).create(parent)
    }

    /// Makes the name of a file durable.
    fn sync_name(&self, path: &Path) -> Result<(), BlobError> {
        for directory in [path.parent().unwrap_or(&self.directory), &self.directory] {
            let synced = File::open(directory).and_then(|directory| directory.sync_all());
            synced.map_err(disk(directory))?;
        }
        Ok(())
    }
}

fn within_limit(bytes: u64) -> Result<(), BlobError> {
    match bytes {
        0..=BLOB_BYTES_MAX => Ok(()),
        _ => Err(BlobError::TooLarge { bytes }),
    }
}

/// Makes a file that nobody else can read.
fn new_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600).open(path)
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = new_file(path)?;
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
    use crate::events::id::TaskId;

    const OWNER: Owner = Owner::Task(TaskId(0xa));

    fn blobs(directory: &tempfile::TempDir) -> Blobs {
        Blobs::open(&directory.path().join("blobs")).unwrap()
    }

    #[test]
    fn a_body_reads_back_is_kept_once_and_lies_sealed() {
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = blobs(&directory);
        let first = blobs.put(OWNER, b"the body", "text/plain").unwrap();
        assert_eq!(blobs.put(OWNER, b"the body", "text/plain").unwrap(), first);
        assert_eq!(blobs.get(&first).unwrap(), b"the body");
        assert_eq!(first.bytes, 8);
        let file = std::fs::read(blobs.path(first.sha256)).unwrap();
        assert_eq!(Sha256::of(&file), first.sha256);
        assert!(!file.windows(8).any(|part| part == b"the body"));
        let other = blobs
            .put(Owner::Service, b"the body", "text/plain")
            .unwrap();
        assert_ne!(other.sha256, first.sha256);
    }

    #[test]
    fn a_long_body_has_the_same_name_however_it_came() {
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = blobs(&directory);
        let body: Vec<u8> = (0..2 * PIECE_BYTES).map(|at| (at % 249) as u8).collect();
        for length in [PIECE_BYTES, PIECE_BYTES + 1, body.len()] {
            let body = &body[..length];
            let mut spool = blobs.spool().unwrap();
            spool.write(body).unwrap();
            let spooled = blobs.put_spooled(OWNER, &spool, "text/plain").unwrap();
            let put = blobs.put(OWNER, body, "text/plain").unwrap();
            assert_eq!(spooled, put);
            let at_once = seal_body(&blobs.keys().get_or_make(OWNER).unwrap(), OWNER, body);
            assert_eq!(put.sha256, Sha256::of(&at_once), "{length} bytes");
            assert!(blobs.get(&put).unwrap() == body, "{length} bytes");
        }
        let places = std::fs::read_dir(directory.path().join("blobs")).unwrap();
        let is_directory =
            |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().path().is_dir();
        assert!({ places }.all(is_directory), "nothing is left over");
    }

    #[test]
    fn a_body_beyond_the_limit_is_refused_however_it_comes_and_one_at_it_is_not() {
        within_limit(BLOB_BYTES_MAX).unwrap();
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = blobs(&directory);
        let mut spool = blobs.spool().unwrap();
        let too_long = vec![7; BLOB_BYTES_MAX as usize + 1];
        spool.write(&too_long).unwrap();
        let spooled = blobs.put_spooled(OWNER, &spool, "text/plain");
        for refused in [spooled, blobs.put(OWNER, &too_long, "text/plain")] {
            assert!(
                matches!(refused, Err(BlobError::TooLarge { .. })),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_missing_and_a_damaged_body_are_told_apart() {
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = blobs(&directory);
        let blob = blobs.put(OWNER, b"body", "text/plain").unwrap();
        let longer = BlobRef {
            bytes: 5,
            ..blob.clone()
        };
        assert!(matches!(blobs.check(&longer), Err(BlobError::Damaged(_))));
        std::fs::write(blobs.path(blob.sha256), b"b0dy").unwrap();
        assert!(matches!(blobs.get(&blob), Err(BlobError::Damaged(_))));
        assert!(blobs.remove(&blob).unwrap() > 0);
        assert_eq!(blobs.remove(&blob).unwrap(), 0);
        assert!(matches!(blobs.get(&blob), Err(BlobError::Missing(_))));
    }

    #[test]
    fn without_its_key_a_body_is_whole_and_says_nothing_and_no_other_follows_it() {
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = blobs(&directory);
        let blob = blobs.put(OWNER, b"body", "text/plain").unwrap();
        blobs.keys().destroy(OWNER).unwrap();
        assert!(matches!(blobs.get(&blob), Err(BlobError::Erased(_))));
        blobs.check(&blob).unwrap();
        let refused = blobs.put(OWNER, b"body", "text/plain");
        assert!(matches!(
            refused,
            Err(BlobError::Key(KeyError::Destroyed(_)))
        ));
    }
}
