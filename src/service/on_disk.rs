//! Recording something in a log that no daemon has open.

use std::path::Path;

use crate::clock;
use crate::events::id::AtMs;
use crate::events::log::{Append, AppendError};
use crate::service::look::{self, LookError};

/// Why something is not in the log.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The log could not be opened.
    #[error(transparent)]
    Look(#[from] LookError),
    /// It could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Appends what is made for the present moment to the log below a state directory.
///
/// # Errors
/// [`RecordError`].
pub async fn record(
    state_dir: &Path,
    append: impl FnOnce(AtMs) -> Append,
) -> Result<(), RecordError> {
    let log = look::open(state_dir)?;
    let appended = log.append(append(clock::now())).await;
    log.close().await;
    appended?;
    Ok(())
}
