//! The one place where payloads of older versions become current ones. Every step is pure: it
//! takes the struct of one version and returns the struct of the next.
//!
//! To change a payload: keep the old struct in its family's module under its old version's name
//! (`TaskQueuedV1`), raise the version in the catalogue, add an arm here and bless a golden file.

use crate::events::codec::{Frame, PayloadError};
use crate::events::event::Event;

/// Returns the current event for a payload of an older version.
///
/// # Errors
/// [`PayloadError::Unknown`] when that version was never released.
pub(in crate::events::codec) fn decode(frame: Frame<'_>) -> Result<Event, PayloadError> {
    // No kind has a second version yet; each will be an arm `(kind, version) => upcast(…)`.
    match (frame.kind, frame.version) {
        // Released versions begin with 1: what tests take for an older one is nobody's.
        #[cfg(test)]
        (4, 0) => tests::upcast_drain_started(frame),
        _ => Err(frame.unknown()),
    }
}

#[cfg(test)]
mod tests;
