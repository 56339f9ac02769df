//! Records for the tests of projections.

use crate::events::id::{Actor, AtMs, Position, StreamId, StreamVersion};
use crate::events::{Event, Recorded};

/// Returns `events` as a log would hold them, one second apart.
pub(crate) fn recorded(events: Vec<Event>) -> Vec<Recorded> {
    let record = |(index, event): (usize, Event)| Recorded {
        position: Position(index as u64 + 1),
        stream: StreamId::service(),
        stream_version: StreamVersion(index as u64 + 1),
        at: AtMs(1000 * (index as u64 + 1)),
        actor: Actor::System,
        causation: None,
        correlation: String::new(),
        event,
    };
    events.into_iter().enumerate().map(record).collect()
}
