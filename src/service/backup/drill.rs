//! The restore drill: a backup that nobody ever restored is none, so it is restored on trial into a
//! directory that is removed again, and the result goes into the log.

use std::path::Path;

use crate::events::log::key;
use crate::service::backup::restore::{Accept, RestoreError, Restored, build};
use crate::service::backup::staging::{self, Staging};
use crate::service::backup::{BackupDirectory, BackupError};
use crate::service::look::log_directory;

/// What came back on trial.
pub type Drilled = Result<Restored, RestoreError>;

/// Restores the backup in a directory on trial, with the key of the log below a state directory;
/// what it needs of the disk is there for that long.
///
/// # Errors
/// [`RestoreError`], as a real restore would have it.
pub async fn drill(directory: &Path, state_dir: &Path) -> Drilled {
    let own = log_directory(state_dir);
    let key = key::read(&own)?.ok_or(BackupError::NoKey(own))?;
    let staging = Staging::new(state_dir, staging::DRILL)?;
    let (log, blobs) = (staging.path().join("log"), staging.path().join("blobs"));
    let accept = Accept {
        loss: false,
        new_key: false,
    };
    let backup = BackupDirectory(directory.to_owned());
    build(&backup, &log, &blobs, key, accept).await
}
