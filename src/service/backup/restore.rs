//! Putting a backup in the place of a log that is not there. Everything is made and compared beside
//! that place, and gets its name at the end; the backup is only read.

use std::path::{Path, PathBuf};

use crate::events::blobs::{BlobError, Blobs};
use crate::events::checkpoint::{Checkpoint, CheckpointError, LogKey, Verifier};
use crate::events::id::{Position, Sha256};
use crate::events::log::audit;
use crate::events::log::backup as files;
use crate::events::log::key;
use crate::events::log::sled::{OpenError, SledStore};
use crate::events::log::store::StoreError;
use crate::service::backup::staging::{self, Staging};
use crate::service::backup::{BackupDirectory, BackupError, Lacking};
use crate::service::look::{self, LookError, Replay, log_directory};

/// Records that are replayed at once.
const REPLAY_BATCH: usize = 1024;

/// Which key signs the log from now on.
#[derive(Debug, Clone)]
pub enum KeyChoice {
    /// The one in the backup, or the one that lies in the place of the log already.
    Found,
    /// The one in this file.
    File(PathBuf),
    /// A new one, because the log's own is lost.
    New,
}

/// Why nothing was restored; the place of the log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A log is there: it is never replaced.
    #[error(
        "there is a log with events at {0}; it is never replaced: move the directory away before a \
         backup is restored"
    )]
    NotEmpty(PathBuf),
    /// The directory is no completed backup: name another.
    #[error(
        "there is no backup at {0}, or its first run was not completed; name another directory"
    )]
    NoBackup(PathBuf),
    /// The key is not there: give it.
    #[error(
        "the backup has no private key, and without it nothing can sign for the log {0}: give the \
         copy that was kept with --key FILE, or give the log another key with --new-key"
    )]
    NoKey(String),
    /// The key is another's: give the right one.
    #[error("the key {given} is not the one in force at the backup's end, {needed}: give that one")]
    WrongKey {
        /// What was given.
        given: Box<Verifier>,
        /// What is needed.
        needed: Box<Verifier>,
    },
    /// The checkpoint was not signed for this log: use another backup.
    #[error("the backup's checkpoint does not count: {0}; use another backup")]
    Checkpoint(CheckpointError),
    /// Events lack or differ: use another backup.
    #[error("the backup was changed or is damaged: {0}; use another backup")]
    Damaged(String),
    /// Bodies lack: use another backup, or do without them.
    #[error(
        "{count} bodies in the backup are missing or damaged ({first}); use another backup, or restore \
         without them with --accept-loss"
    )]
    Bodies {
        /// How many.
        count: usize,
        /// The first one, in words.
        first: String,
    },
    /// The backup cannot be read.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The disk failed.
    #[error("the backup cannot be restored: {0}")]
    Disk(#[from] StoreError),
    /// The index could not be made; the text says what to do.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The restored log does not read; the text says what to do.
    #[error(transparent)]
    Look(#[from] LookError),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Events.
    pub events: u64,
    /// RFC 6962 root over them, which is that of the backup's checkpoint.
    pub root: Sha256,
    /// The key that signs from now on.
    pub key: Verifier,
    /// Bodies that did not come back.
    pub lacking: Lacking,
}

/// Restores the backup in a directory below a state directory that has no events yet.
///
/// # Errors
/// [`RestoreError`].
pub async fn restore(
    directory: &Path,
    state_dir: &Path,
    choice: &KeyChoice,
    accept_loss: bool,
) -> Result<Restored, RestoreError> {
    let place = log_directory(state_dir);
    refuse_events(&place)?;
    let backup = BackupDirectory(directory.to_owned());
    let key = find_key(&backup, &place, choice)?;
    files::make_directory(state_dir)?;
    let staging = Staging::new(state_dir, staging::RESTORING)?;
    let blobs = state_dir.join("blobs");
    let accept = Accept {
        loss: accept_loss,
        new_key: matches!(choice, KeyChoice::New),
    };
    let restored = build(&backup, &staging.path().join("log"), &blobs, key, accept).await?;
    refuse_events(&place)?;
    if place.exists() {
        // A key that was made before, and no event that it signed for.
        files::rename_directory(&place, &state_dir.join("log.before-restore"))?;
    }
    // A worker's checkpoint of an earlier log would be of other events.
    let cache = state_dir.join("checkpoints");
    if cache.exists() {
        std::fs::remove_dir_all(&cache).map_err(StoreError::from)?;
    }
    files::rename_directory(&staging.path().join("log"), &place)?;
    Ok(restored)
}

fn refuse_events(place: &Path) -> Result<(), RestoreError> {
    match files::has_events(place) {
        true => Err(RestoreError::NotEmpty(place.to_owned())),
        false => Ok(()),
    }
}

fn find_key(
    backup: &BackupDirectory,
    place: &Path,
    choice: &KeyChoice,
) -> Result<LogKey, RestoreError> {
    let owner = backup.owner()?;
    let owner = owner.ok_or_else(|| RestoreError::NoBackup(backup.0.clone()))?;
    match choice {
        KeyChoice::File(path) => Ok(key::read_from(path)?),
        KeyChoice::New => Ok(key::replacement(owner.origin())?),
        KeyChoice::Found => {
            let own = key::read(place)?.filter(|own| own.origin() == owner.origin());
            let found = key::read(&backup.log())?.or(own);
            found.ok_or_else(|| RestoreError::NoKey(owner.origin().to_owned()))
        }
    }
}

/// What is taken as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accept {
    /// Bodies that lack.
    pub(super) loss: bool,
    /// A key that nothing vouches for.
    pub(super) new_key: bool,
}

/// Makes a log in a directory of its own from a backup, and compares it with the checkpoint.
pub(super) async fn build(
    backup: &BackupDirectory,
    log: &Path,
    blobs: &Path,
    key: LogKey,
    accept: Accept,
) -> Result<Restored, RestoreError> {
    let no_backup = || RestoreError::NoBackup(backup.0.clone());
    let (owner, signed) = (backup.owner()?, backup.checkpoint()?);
    let (owner, signed) = owner.zip(signed).ok_or_else(no_backup)?;
    let checkpoint = signed.checkpoint();
    copy_journal(backup, log, checkpoint)?;
    // A key from elsewhere is worth more than what the backup says of itself.
    let trusted = if accept.new_key {
        owner
    } else {
        key.verifier()
    };
    let scan = audit::scan(log, &trusted)?;
    signed
        .verified_by(&scan.keys)
        .map_err(|error| wrong(&scan.keys, &trusted, error))?;
    if scan.root() != checkpoint.root || scan.size() != checkpoint.size {
        let (size, root, there) = (checkpoint.size, checkpoint.root, scan.root());
        let what = format!("its {size} events have the root {there}, its checkpoint says {root}");
        return Err(RestoreError::Damaged(what));
    }
    if !accept.new_key && scan.keys.last() != Some(&trusted) {
        return Err(wrong(&scan.keys, &trusted, CheckpointError::UnknownKey));
    }
    let lacking = copy_bodies(&scan, backup, blobs)?;
    if let Some(first) = lacking.named.first().filter(|_| !accept.loss) {
        let (count, first) = (lacking.count, first.clone());
        return Err(RestoreError::Bodies { count, first });
    }
    key::keep(log, &key)?;
    SledStore::rebuild(log, true)?;
    replay(log, checkpoint).await?;
    Ok(Restored {
        events: checkpoint.size,
        root: checkpoint.root,
        key: key.verifier(),
        lacking,
    })
}

/// Returns what to say of a checkpoint that no key of the log signed, or of a key that is older.
fn wrong(keys: &[Verifier], given: &Verifier, error: CheckpointError) -> RestoreError {
    match keys.last().filter(|newest| *newest != given) {
        Some(needed) => RestoreError::WrongKey {
            given: Box::new(given.clone()),
            needed: Box::new(needed.clone()),
        },
        None => RestoreError::Checkpoint(error),
    }
}

/// Copies as much of the journal as the checkpoint counts; what an interrupted backup left behind
/// that is not taken.
fn copy_journal(
    backup: &BackupDirectory,
    log: &Path,
    checkpoint: &Checkpoint,
) -> Result<(), RestoreError> {
    let size = checkpoint.size;
    let end = audit::offset_behind(&backup.log(), Position(size))?;
    let end = end.ok_or_else(|| {
        let what = format!("its journal is broken or ends before event {size}, its last one");
        RestoreError::Damaged(what)
    })?;
    files::make_directory(log)?;
    // Of a copy that is new there is nothing to differ from.
    files::extend_journal(&backup.log(), log, 0, end)?;
    Ok(())
}

fn copy_bodies(
    scan: &audit::Scan,
    backup: &BackupDirectory,
    blobs: &Path,
) -> Result<Lacking, RestoreError> {
    let disk = |error: BlobError| StoreError(error.to_string());
    let kept = Blobs::of(&backup.blobs());
    let copy = Blobs::open(blobs).map_err(disk)?;
    let mut lacking = Lacking::default();
    let followed = copy.keys().follow(kept.keys());
    followed.map_err(|error| StoreError(error.to_string()))?;
    let needed = scan.bodies.values();
    for (position, blob) in needed.filter(|(_, blob)| scan.erasure_of(blob).is_none()) {
        match copy.copy_from(&kept, blob) {
            Ok(_bytes) => {}
            Err(error @ (BlobError::Missing(_) | BlobError::Damaged(_))) => {
                lacking.add(*position, &error);
            }
            Err(error) => return Err(disk(error).into()),
        }
    }
    Ok(lacking)
}

/// Opens the log as a daemon does, folds every event, and compares the root.
async fn replay(log: &Path, checkpoint: &Checkpoint) -> Result<(), RestoreError> {
    let state_dir = log.parent().unwrap_or(log);
    let opened = look::open(state_dir)?;
    let mut replay = Replay::default();
    let folded = loop {
        match opened.read(replay.position(), REPLAY_BATCH) {
            Ok(events) if events.is_empty() => break Ok(()),
            Ok(events) => events.iter().for_each(|event| replay.apply(event)),
            Err(error) => break Err(LookError::from(error)),
        }
    };
    let head = opened.head();
    opened.close().await;
    folded?;
    if replay.position().0 != checkpoint.size || head.root != checkpoint.root {
        let (position, root) = (replay.position(), head.root);
        let what = format!("replayed, it ends at {position} with the root {root}");
        return Err(RestoreError::Damaged(what));
    }
    Ok(())
}
