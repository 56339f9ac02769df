//! Backups: a copy of the log up to a checkpoint, with the bodies that it refers to, taken beside a
//! running daemon and extended by what is new. It knows no task and no workspace.
//!
//! ```text
//! public-key   whose log this is; it is written first, and makes the directory a backup
//! keys/        the keys that open the bodies; what was destroyed is destroyed here too
//! blobs/       the bodies, sealed, by content
//! log/journal  the journal up to its last whole group
//! log/anchor   so that `airut verify --state` checks the backup where it lies
//! log/log.key  the private key, only when it was asked for
//! checkpoint   what all this comes to, signed; it is replaced last
//! ```
//!
//! Whatever interrupts a backup, the checkpoint in it is one whose events and bodies are all there.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::events::blobs::{BlobError, Blobs};
use crate::events::checkpoint::{LogKey, SignedCheckpoint, Verifier};
use crate::events::id::{Position, Sha256};
use crate::events::log::audit::{self, Scan};
use crate::events::log::backup::{self as files, Extended};
use crate::events::log::key;
use crate::events::log::store::StoreError;
use crate::service::look::log_directory;

mod drill;
pub mod nightly;
mod restore;
mod staging;

pub use drill::{Drilled, drill};
pub use restore::{KeyChoice, RestoreError, Restored, restore};
pub use staging::sweep;

/// Bodies that are named when they lack; more are only counted.
pub const LACKING_NAMED_MAX: usize = 10;

/// Why a directory was not brought up to the log; what it was before, it still is.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to sign the checkpoint with: see `airut init`, or restore the key.
    #[error("there is no key beside the log at {0}; put it back before anything is backed up")]
    NoKey(PathBuf),
    /// The log is damaged or was changed: see `airut verify`, keep the backup.
    #[error("nothing was backed up, because the log differs {0}; see airut verify")]
    LogDiffers(String),
    /// The directory is somebody else's: name another.
    #[error("{0} holds other things and is no backup; name an empty directory")]
    NotABackup(PathBuf),
    /// The directory is of another log: name another.
    #[error("{directory} is a backup of the log {theirs}, not of {ours}; name another directory")]
    OtherLog {
        /// The backup.
        directory: PathBuf,
        /// Whose it is.
        theirs: String,
        /// Which log was to be backed up.
        ours: String,
    },
    /// The log lost what is in the backup: keep the backup, and restore it.
    #[error(
        "the log has {ours} events and the backup {theirs}: the log was cut off or rolled back; the \
         backup was left as it is, so restore it or name another directory"
    )]
    RolledBack {
        /// Events of the log.
        ours: u64,
        /// Events of the backup.
        theirs: u64,
    },
    /// The log was changed since: keep the backup, see `airut verify`.
    #[error(
        "the first {0} events of the log are not those of the backup's checkpoint: the log was \
         rewritten; the backup was left as it is (airut verify --from-checkpoint says where)"
    )]
    Rewritten(u64),
    /// The backup was changed since: begin another.
    #[error("the backup {what}: it was changed or is damaged; begin another in an empty directory")]
    Changed {
        /// What differs.
        what: String,
    },
    /// Another backup into the directory is under way: wait for it.
    #[error("another backup into {0} is under way; wait for it")]
    Busy(PathBuf),
    /// The disk failed.
    #[error("the backup failed: {0}")]
    Disk(#[from] StoreError),
}

/// What a backup came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// Events in the backup.
    pub events: u64,
    /// RFC 6962 root over them.
    pub root: Sha256,
    /// Bytes of the journal that were written this time.
    pub journal_bytes: u64,
    /// Bodies that were written this time.
    pub bodies: usize,
    /// Their bytes.
    pub body_bytes: u64,
    /// Bytes of bodies that the backup had and whose conversation is forgotten since.
    pub erased_bytes: u64,
    /// Bodies that the log itself lost, so that they are not in the backup either.
    pub lacking: Lacking,
}

/// Bodies that are not there, or not whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// How many.
    pub count: usize,
    /// The first of them, in words.
    pub named: Vec<String>,
}

impl Lacking {
    fn add(&mut self, position: Position, error: &BlobError) {
        self.count += 1;
        if self.named.len() < LACKING_NAMED_MAX {
            self.named.push(format!("event {position}: {error}"));
        }
    }
}

/// The directory of a backup.
#[derive(Debug, Clone)]
pub(in crate::service) struct BackupDirectory(PathBuf);

impl BackupDirectory {
    fn public_key(&self) -> PathBuf {
        self.0.join("public-key")
    }

    fn checkpoint_file(&self) -> PathBuf {
        self.0.join("checkpoint")
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    /// Returns whose backup it is; nothing when it is none.
    fn owner(&self) -> Result<Option<Verifier>, BackupError> {
        let path = self.public_key();
        let Some(text) = read_text(&path)? else {
            return Ok(None);
        };
        let parsed = text.parse().map(Some);
        parsed.map_err(|error| {
            self.changed(&format!("has in public-key what cannot be read: {error}"))
        })
    }

    /// Returns the checkpoint it was taken at; nothing while the first one was not completed.
    fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, BackupError> {
        let Some(text) = read_text(&self.checkpoint_file())? else {
            return Ok(None);
        };
        let parsed = SignedCheckpoint::from_note(&text).map(Some);
        parsed.map_err(|error| self.changed(&format!("has in checkpoint: {error}")))
    }

    fn changed(&self, what: &str) -> BackupError {
        let what = format!("at {} {what}", self.0.display());
        BackupError::Changed { what }
    }

    /// Refuses a directory that holds anything but a backup of this log, and marks an empty one.
    fn claim(&self, ours: &Verifier) -> Result<File, BackupError> {
        files::make_directory(&self.0)?;
        let owner = self.owner()?;
        let holds = |error: std::io::Error| StoreError(format!("{}: {error}", self.0.display()));
        let mut entries = std::fs::read_dir(&self.0).map_err(holds)?;
        let is_ours = |name: &std::ffi::OsStr| name == "lock" || name == "public-key.new";
        let foreign = entries.any(|entry| entry.is_ok_and(|entry| !is_ours(&entry.file_name())));
        match owner {
            None if foreign => return Err(BackupError::NotABackup(self.0.clone())),
            Some(theirs) if theirs.origin() != ours.origin() => {
                return Err(BackupError::OtherLog {
                    directory: self.0.clone(),
                    theirs: theirs.origin().to_owned(),
                    ours: ours.origin().to_owned(),
                });
            }
            None | Some(_) => {}
        }
        let lock = self.lock()?;
        if !self.public_key().exists() {
            files::replace_file(&self.public_key(), &format!("{ours}\n"))?;
        }
        files::make_directory(&self.log())?;
        Ok(lock)
    }

    fn lock(&self) -> Result<File, BackupError> {
        let path = self.0.join("lock");
        let disk = |error: std::io::Error| StoreError(format!("{}: {error}", path.display()));
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(disk)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(BackupError::Busy(self.0.clone())),
            Err(TryLockError::Error(error)) => Err(disk(error).into()),
        }
    }
}

fn read_text(path: &Path) -> Result<Option<String>, StoreError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError(format!("{}: {error}", path.display()))),
    }
}

/// Brings the backup in a directory up to the log below a state directory. With `with_key` the
/// private key goes with it, and whoever has the backup can then sign for the log.
///
/// # Errors
/// [`BackupError`]; the directory then is the backup that it was.
pub fn back_up(
    state_dir: &Path,
    directory: &Path,
    with_key: bool,
) -> Result<BackedUp, BackupError> {
    let source = log_directory(state_dir);
    let key = key::read(&source)?.ok_or_else(|| BackupError::NoKey(source.clone()))?;
    // The anchor is read before the journal, which may only grow in between.
    let anchor = files::anchor_text(&source)?;
    let scan = scan_whole(&source, &key)?;
    let backup = BackupDirectory(directory.to_owned());
    let _lock = backup.claim(&key.verifier())?;
    let kept = kept_bytes(&backup, &source, &scan)?;
    let mut done = copy_bodies(&scan, state_dir, &backup)?;
    files::sync_journal(&source)?;
    done.journal_bytes =
        match files::extend_journal(&source, &backup.log(), kept, scan.whole_bytes)? {
            Extended::Written(bytes) => bytes,
            Extended::Differs(offset) => {
                let what = format!("differs from the log at byte {offset} of log/journal");
                return Err(backup.changed(&what));
            }
        };
    if let Some(anchor) = anchor {
        files::replace_file(&backup.log().join(files::ANCHOR_FILE), &anchor)?;
    }
    // A key that was asked for once follows the log's, so that no former one is left behind.
    if with_key || backup.log().join(key::KEY_FILE).exists() {
        key::keep(&backup.log(), &key)?;
    }
    let checkpoint = key.checkpoint(done.events, done.root);
    files::replace_file(&backup.checkpoint_file(), &checkpoint.to_note())?;
    // After a change of the key the journal leads from the former one to this one.
    files::replace_file(&backup.public_key(), &format!("{}\n", key.verifier()))?;
    Ok(done)
}

/// Reads the log, and refuses one that is not what it was: damage must not reach the backup.
fn scan_whole(source: &Path, key: &LogKey) -> Result<Scan, BackupError> {
    let mut scan = audit::scan(source, &key.verifier())?;
    let mut checkpoints = scan.sent_checkpoints();
    checkpoints.extend(scan.anchored());
    scan.compare_checkpoints(&checkpoints);
    match scan.differences.first() {
        Some(difference) => Err(BackupError::LogDiffers(difference.to_string())),
        None => Ok(scan),
    }
}

/// Returns how many bytes of the backup's journal are promised by its checkpoint, which must be one
/// of this log's past.
fn kept_bytes(backup: &BackupDirectory, source: &Path, scan: &Scan) -> Result<u64, BackupError> {
    let Some(signed) = backup.checkpoint()? else {
        return Ok(0);
    };
    let verified = signed.verified_by(&scan.keys);
    verified.map_err(|error| {
        backup.changed(&format!("has a checkpoint that does not count: {error}"))
    })?;
    let theirs = signed.checkpoint().size;
    let root = scan
        .root_at(theirs)
        .ok_or_else(|| BackupError::RolledBack {
            ours: scan.size(),
            theirs,
        })?;
    if root != signed.checkpoint().root {
        return Err(BackupError::Rewritten(theirs));
    }
    let offset = audit::offset_behind(source, Position(theirs))?;
    offset.ok_or(BackupError::Rewritten(theirs))
}

fn copy_bodies(
    scan: &Scan,
    state_dir: &Path,
    backup: &BackupDirectory,
) -> Result<BackedUp, BackupError> {
    let disk = |error: BlobError| StoreError(error.to_string());
    let source = Blobs::of(&state_dir.join("blobs"));
    let copy = Blobs::open(&backup.blobs()).map_err(disk)?;
    let mut done = BackedUp {
        events: scan.size(),
        root: scan.root(),
        journal_bytes: 0,
        bodies: 0,
        body_bytes: 0,
        erased_bytes: 0,
        lacking: Lacking::default(),
    };
    let followed = copy.keys().follow(source.keys());
    followed.map_err(|error| StoreError(error.to_string()))?;
    for (position, blob) in scan.bodies.values() {
        if scan.erasure_of(blob).is_some() {
            done.erased_bytes += copy.remove(blob).map_err(disk)?;
            continue;
        }
        match copy.copy_from(&source, blob) {
            Ok(0) => {}
            Ok(bytes) => {
                done.bodies += 1;
                done.body_bytes += bytes;
            }
            // What the log lost cannot be copied; everything else still is.
            Err(error @ (BlobError::Missing(_) | BlobError::Damaged(_))) => {
                done.lacking.add(*position, &error);
            }
            Err(error) => return Err(disk(error).into()),
        }
    }
    Ok(done)
}
