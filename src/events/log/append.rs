//! What an append is, what its caller may believe of the log, and what becomes of it. Plain data.

use crate::events::event::Event;
use crate::events::id::{Actor, AtMs, Position, StreamId, StreamVersion};

/// What the caller believes of a stream when it appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// The stream has no event.
    NoStream,
    /// The stream's last event has this version.
    Version(StreamVersion),
}

/// The circumstances that all events of one append share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The time, from the caller; the log records its own newest time in the place of an earlier one,
    /// so that times never go back where positions go on.
    pub at: AtMs,
    /// Who causes the events.
    pub actor: Actor,
    /// The event that led to them.
    pub causation: Option<Position>,
    /// A conversation's id, or empty.
    pub correlation: String,
}

impl Context {
    /// Returns the circumstances of something the service itself does.
    pub fn system(at: AtMs) -> Self {
        Self {
            at,
            actor: Actor::System,
            causation: None,
            correlation: String::new(),
        }
    }
}

/// Events that become durable together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Conditions; all must hold.
    pub expected: Vec<(StreamId, Expected)>,
    /// The events in order, each with its stream.
    pub events: Vec<(StreamId, Event)>,
    /// When given: an append with the same key and the same events returns the first one's
    /// positions, with other events it is refused. At most `KEY_BYTES_MAX` bytes.
    pub key: Option<String>,
    /// Circumstances.
    pub context: Context,
}

impl Append {
    /// Returns an append of `events` to one stream, without conditions.
    pub fn to(stream: &StreamId, events: Vec<Event>, context: Context) -> Self {
        let events = events
            .into_iter()
            .map(|event| (stream.clone(), event))
            .collect();
        Self {
            expected: vec![],
            events,
            key: None,
            context,
        }
    }

    /// Adds a condition.
    #[must_use]
    pub fn expecting(mut self, stream: StreamId, expected: Expected) -> Self {
        self.expected.push((stream, expected));
        self
    }

    /// Sets the idempotency key.
    #[must_use]
    pub fn once(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// The positions of an append's events, all consecutive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first event.
    pub first: Position,
    /// Position of the last event.
    pub last: Position,
    /// Whether the key was known and nothing was written.
    pub repeated: bool,
}

/// Why an append did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A condition does not hold: read the stream again and decide again.
    #[error("stream {stream} is at version {actual}, not at the expected one")]
    WrongVersion {
        /// The stream.
        stream: StreamId,
        /// Its version.
        actual: StreamVersion,
    },
    /// The key was used for other events: the caller met the same thing in another form.
    #[error("idempotency key was used at position {first} for other events")]
    KeyReused {
        /// Position of the first event appended under the key.
        first: Position,
    },
    /// An event is longer than `RECORD_BYTES_MAX`: put its body into a blob.
    #[error("{name} takes {bytes} bytes, more than the limit of {max}")]
    TooLarge {
        /// Kind of the event, or `append` when there are too many events.
        name: &'static str,
        /// Its length, or the number of events.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An append without events is a mistake of the caller.
    #[error("an append must have an event")]
    Empty,
    /// The log cannot be written: stop accepting; nothing was promised.
    #[error("the log cannot be written: {0}")]
    Unwritable(String),
    /// The log is closed because the service ends.
    #[error("the log is closed")]
    Closed,
}
