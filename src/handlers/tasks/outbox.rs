//! The outbox of a conversation, worked on by threads that may wait for the disk. It knows no answer.

use crate::handlers::tasks::directories::{Directories, OutboxContents};
use crate::tasks;

/// Reads what the agent put there; nothing when the disk does not answer.
pub(super) async fn read_outbox(directories: &Directories) -> OutboxContents {
    let directories = directories.clone();
    let read = tasks::apart(move || directories.read_outbox()).await;
    read.unwrap_or_default()
}

/// Removes what was sent.
pub(super) async fn clear_outbox(directories: &Directories, names: Vec<String>) {
    let directories = directories.clone();
    let clear = tasks::apart(move || directories.clear_outbox(&names));
    // What stays is removed before the next run.
    if let Err(error) = clear.await {
        tracing::warn!(%error, "the outbox was not cleared");
    }
}
