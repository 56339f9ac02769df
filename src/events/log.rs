//! The event log: append, read and subscribe are the only doors to the store.
//!
//! [`Log`] holds the rules (gapless positions, expected versions, idempotency keys, group commit,
//! subscriptions); a [`store`] keeps bytes: [`sled`] on disk, [`memory`] in memory with faults.

use std::sync::Arc;

use crate::events::event::{Event, Recorded};
use crate::events::id::{Actor, AtMs, Position, Sha256, StreamId, StreamVersion};

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
    /// The time, from the caller.
    pub at: AtMs,
    /// Who causes the events.
    pub actor: Actor,
    /// The event that led to them.
    pub causation: Option<Position>,
    /// A conversation's id, or empty.
    pub correlation: String,
}

/// Events that become durable together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Conditions; all must hold.
    pub expected: Vec<(StreamId, Expected)>,
    /// The events in order, each with its stream.
    pub events: Vec<(StreamId, Event)>,
    /// When given: an append with the same key and the same events returns the first one's
    /// positions, with other events it is refused.
    pub key: Option<String>,
    /// Circumstances.
    pub context: Context,
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
    /// An event is longer than `EVENT_BYTES_MAX`: put its body into a blob.
    #[error("{name} takes {bytes} bytes, more than the limit of {max}")]
    TooLarge {
        /// Kind of the event.
        name: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The log cannot be written: stop accepting; nothing was appended.
    #[error("the log cannot be written: {0}")]
    Unwritable(String),
    /// The log is closed because the service ends.
    #[error("the log is closed")]
    Closed,
}

/// Why reading failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A record is damaged: run `airut verify`.
    #[error("the record at position {position} is damaged: {detail}")]
    Damaged {
        /// Its position.
        position: Position,
        /// What is wrong.
        detail: String,
    },
    /// A record was written by a newer Airut: update this one.
    #[error(
        "the record at position {position} is of kind {kind} version {version}, which this version does not know"
    )]
    Newer {
        /// Its position.
        position: Position,
        /// Number of its kind.
        kind: u16,
        /// Version of its payload.
        version: u16,
    },
    /// The store failed.
    #[error("the log cannot be read: {0}")]
    Unreadable(String),
}

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Position of the last durable event; 0 for an empty log.
    pub position: Position,
    /// RFC 6962 root over all records up to it.
    pub root: Sha256,
}

/// Keeps `Arc` used until the store lands.
pub type SharedEvent = Arc<Recorded>;
