//! Changing the log's key, while no daemon runs: the log says who follows, signed by the old key,
//! before the new one is in force.

use std::path::Path;

use crate::clock;
use crate::events::checkpoint::{Verifier, rotation_text};
use crate::events::id::{Actor, StreamId};
use crate::events::log::sled::{OpenError, SledStore};
use crate::events::log::{Append, AppendError, Context};
use crate::events::service::LogKeyRotated;
use crate::service::look::{self, LookError};

/// Why the key was not changed; running it again goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The log could not be opened; the text says what to do.
    #[error(transparent)]
    Look(#[from] LookError),
    /// The keys cannot be read or kept.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The change could not be recorded.
    #[error("the change of the key cannot be recorded: {0}")]
    Append(#[from] AppendError),
}

/// Changes the key; returns the old and the new one.
///
/// # Errors
/// [`RotateError`].
pub async fn rotate_key(
    state_dir: &Path,
    operator: String,
) -> Result<(Verifier, Verifier), RotateError> {
    let directory = look::log_directory(state_dir);
    let log = look::open(state_dir)?;
    let (old, new) = SledStore::prepare_rotation(&directory)?;
    let (old_key, new_key) = (old.verifier().to_string(), new.to_string());
    let signature = old.sign(rotation_text(&old_key, &new_key).as_bytes());
    let rotated = LogKeyRotated {
        signature: hex::encode(signature),
        old_key,
        new_key,
    };
    let context = Context {
        actor: Actor::Operator(operator),
        ..Context::system(clock::now())
    };
    let key = format!("rotate-key:{new}");
    let append = Append::to(&StreamId::log(), vec![rotated.into()], context).once(key);
    let appended = log.append(append).await;
    log.close().await;
    drop(log);
    appended?;
    SledStore::complete_rotation(&directory)?;
    Ok((old.verifier(), new))
}
