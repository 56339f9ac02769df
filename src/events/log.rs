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
use crate::events::event::Recorded;
use crate::events::id::{AtMs, Position, Sha256, StreamId, StreamVersion};
use crate::events::keys::KeyRing;
use crate::events::tree::CompactRange;

mod append;
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

pub use append::{Append, AppendError, Appended, Context, Expected};
pub use journal::DISK_FORMAT;
pub use subscription::Subscription;
pub use writer::{
    APPEND_EVENTS_MAX, APPENDS_WAITING_MAX, GROUP_APPENDS_MAX, GROUP_BYTES_MAX, KEY_BYTES_MAX,
};

use store::{Store, StoreError};
use writer::{Prepared, Request, WriterHandle};

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
