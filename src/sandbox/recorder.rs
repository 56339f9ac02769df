//! The port through which the sandbox says what it does: events that are durable when the call
//! returns. It knows no log; `airut sandbox run` records elsewhere than the daemon.

use std::pin::Pin;

use crate::events::Event;

/// Events that are handed over at once: half of what one append holds, so that a recorder may add
/// some of its own.
pub const RECORD_EVENTS_MAX: usize = crate::events::log::APPEND_EVENTS_MAX / 2;

/// A future that a port returns.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Events could not be made durable: do not go on with what they announce.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot be recorded: {0}")]
pub struct RecordError(pub String);

/// Keeps events.
pub trait Recorder: Send + Sync {
    /// Makes events durable, all of them or none; returns once they are.
    ///
    /// # Errors
    /// [`RecordError`] when they are not; what they announce must not happen then.
    fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>>;
}
