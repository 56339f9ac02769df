//! The event log: append, read and subscribe are the only doors to the store.
//!
//! [`Log`] is the handle; `writer` holds the rules (gapless positions, expected versions,
//! idempotency keys, group commit, the Merkle tree); a [`store::Store`] keeps bytes: [`sled`] on
//! disk, [`memory`] in memory with faults for the simulator.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::events::checkpoint::SignedCheckpoint;
use crate::events::codec::StoredRecord;
use crate::events::event::{Event, Recorded};
use crate::events::id::{Actor, AtMs, Position, Sha256, StreamId, StreamVersion};
use crate::events::keys::KeyRing;
use crate::events::tree::CompactRange;

pub mod audit;
pub mod backup;
mod journal;
pub mod key;
pub mod memory;
pub mod replay;
pub mod sealing;
pub mod sled;
pub mod store;
mod subscription;
mod writer;

pub use journal::DISK_FORMAT;
pub use subscription::Subscription;
pub use writer::{
    APPEND_EVENTS_MAX, APPENDS_WAITING_MAX, GROUP_APPENDS_MAX, GROUP_BYTES_MAX, KEY_BYTES_MAX,
};

use store::{Store, StoreError};
use writer::{Prepared, Request, WriterHandle};

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

/// Why reading failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A record is damaged: restore a backup or run `airut log rebuild`.
    #[error("the record at position {position} is damaged: {detail}")]
    Damaged {
        /// Its position.
        position: Position,
        /// What is wrong.
        detail: String,
    },
    /// A record was written by a newer Airut: update this one.
    #[error(
        "the record at position {position} is of kind {kind} version {version}, \
         which this version of Airut does not know: update Airut"
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

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Position of the last durable event; 0 for an empty log.
    pub position: Position,
    /// RFC 6962 root over all records up to it.
    pub root: Sha256,
}

/// A handle to the log; clones share it.
#[derive(Debug, Clone)]
pub struct Log {
    store: Arc<dyn Store>,
    writer: Arc<WriterHandle>,
    head: watch::Receiver<Head>,
    keys: Option<Arc<KeyRing>>,
}

impl Log {
    /// Opens the log over a store and starts its writer.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read, or was written by a newer program.
    pub fn open(store: Arc<dyn Store>) -> Result<Self, ReadError> {
        let (writer, head) = WriterHandle::start(Arc::clone(&store))?;
        Ok(Self {
            store,
            writer: Arc::new(writer),
            head,
            keys: None,
        })
    }

    /// Opens the log over a store without a thread for its writer: an append is committed by its
    /// caller, by the same rules and never together with another. For simulations, in which only one
    /// thing may happen at a time.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_inline(store: Arc<dyn Store>) -> Result<Self, ReadError> {
        let (writer, head) = WriterHandle::inline(Arc::clone(&store))?;
        Ok(Self {
            store,
            writer: Arc::new(writer),
            head,
            keys: None,
        })
    }

    /// Seals the content of events with these keys, and opens it again for whoever reads. Without
    /// them content lies in the log as it is; only tests have such a log.
    #[must_use]
    pub fn with_keys(self, keys: Arc<KeyRing>) -> Self {
        Self {
            keys: Some(keys),
            ..self
        }
    }

    /// Returns the keys that its content is sealed with.
    pub fn keys(&self) -> Option<&Arc<KeyRing>> {
        self.keys.as_ref()
    }

    /// Makes events durable together; returns once they are.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was promised then.
    pub async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        if let Some(keys) = &self.keys {
            for (_, event) in &mut append.events {
                let sealed = sealing::seal(keys, event);
                sealed.map_err(|error| AppendError::Unwritable(error.to_string()))?;
            }
        }
        let (answer, answered) = oneshot::channel();
        let prepared = Prepared::new(append)?;
        self.writer.send(Request { prepared, answer }).await?;
        answered.await.map_err(|_| AppendError::Closed)?
    }

    /// Returns up to `limit` events after a position, in order.
    ///
    /// # Errors
    /// [`ReadError`] naming the first position that cannot be read.
    pub fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        self.read_stored(after, limit)?
            .iter()
            .map(|record| self.decode(record))
            .collect()
    }

    /// Returns the recorded event of a record of this log.
    ///
    /// # Errors
    /// [`ReadError`] naming its position.
    pub fn decode(&self, record: &StoredRecord) -> Result<Recorded, ReadError> {
        sealing::decode(self.keys.as_deref(), record)
    }

    /// Returns up to `limit` records after a position, as they are stored.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`] when the store fails.
    pub fn read_stored(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, ReadError> {
        Ok(self.store.read(after, limit)?)
    }

    /// Returns up to `limit` events of a stream after a version, in order.
    ///
    /// # Errors
    /// [`ReadError`] naming the first position that cannot be read.
    pub fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let positions = self.store.stream_positions(stream, after, limit)?;
        let read_one = |position: Position| {
            let before = Position(position.0 - 1);
            let record = self.store.read(before, 1)?.pop();
            let missing = || ReadError::Damaged {
                position,
                detail: "it is missing".to_owned(),
            };
            self.decode(&record.ok_or_else(missing)?)
        };
        positions.into_iter().map(read_one).collect()
    }

    /// Returns the number of events in a stream.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`] when the store fails.
    pub fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, ReadError> {
        Ok(self.store.stream_version(stream)?)
    }

    /// Returns where an append with this idempotency key stands, if there was one.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`] when the store fails.
    pub fn find_key(&self, key: &str) -> Result<Option<Position>, ReadError> {
        Ok(self.store.find_key(key)?.map(|entry| entry.first))
    }

    /// Returns a subscription to all events after a position: first those that are there, then
    /// each as it becomes durable, without gap or duplicate.
    pub fn subscribe(&self, after: Position) -> Subscription {
        let (store, head) = (Arc::clone(&self.store), self.head.clone());
        Subscription::new(store, head, self.keys.clone(), after)
    }

    /// Returns the Merkle tree over all durable records; its size is the last position.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`] when the store fails.
    pub fn range(&self) -> Result<CompactRange, ReadError> {
        Ok(self.store.range()?)
    }

    /// Returns what is cancelled when the log cannot be written any more: nothing will be accepted
    /// from then on, so whoever works on it must end.
    pub fn failure(&self) -> CancellationToken {
        self.writer.failure().happened.clone()
    }

    /// Returns why the log cannot be written any more, and what to do; nothing while it can.
    pub fn why_failed(&self) -> Option<String> {
        self.writer.failure().cause()
    }

    /// Returns when the last event was recorded; nothing for an empty log.
    ///
    /// # Errors
    /// [`ReadError`] when it does not read.
    pub fn newest_time(&self) -> Result<Option<AtMs>, ReadError> {
        let before = Position(self.head().position.0.saturating_sub(1));
        let last = self.read(before, 1)?.pop();
        Ok(last.map(|last| last.at))
    }

    /// Returns where the log ends.
    pub fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Returns a signed checkpoint of everything that is durable now; nothing when the store has no
    /// key.
    pub fn checkpoint(&self) -> Option<SignedCheckpoint> {
        let Head { position, root } = self.head();
        let key = self.store.key()?;
        Some(key.checkpoint(position.0, root))
    }

    /// Lets appends that wait become durable, then closes the log; later appends are refused.
    pub async fn close(&self) {
        self.writer.close().await;
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
