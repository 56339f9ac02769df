//! Reading along: first what is there, then each event as it becomes durable. A subscription reads
//! from the store, never from the writer, so that a slow one holds nobody up.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::events::codec::{self, StoredRecord};
use crate::events::event::Recorded;
use crate::events::id::Position;
use crate::events::log::store::Store;
use crate::events::log::{Head, ReadError};

/// Records read from the store at once, per subscription.
const READ_AHEAD_MAX: usize = 256;

/// A place in the log that moves forward.
#[derive(Debug)]
pub struct Subscription {
    store: Arc<dyn Store>,
    head: watch::Receiver<Head>,
    read: Position,
    waiting: VecDeque<StoredRecord>,
}

impl Subscription {
    pub(super) fn new(store: Arc<dyn Store>, head: watch::Receiver<Head>, after: Position) -> Self {
        Self {
            store,
            head,
            read: after,
            waiting: VecDeque::new(),
        }
    }

    /// Returns the next event as soon as it is durable; nothing once the log is closed and read.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ReadError`]; the same position is tried again by the next call.
    pub async fn next(&mut self) -> Result<Option<Recorded>, ReadError> {
        match self.next_stored().await? {
            Some(record) => codec::decode(&record).map(Some),
            None => Ok(None),
        }
    }

    /// As [`Self::next`], but the record as it is stored.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`] when the store fails.
    pub async fn next_stored(&mut self) -> Result<Option<StoredRecord>, ReadError> {
        loop {
            if let Some(record) = self.next_waiting()? {
                return Ok(Some(record));
            }
            if self.head.changed().await.is_err() {
                return self.next_waiting();
            }
        }
    }

    /// Returns the next event if it is already durable.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn try_next(&mut self) -> Result<Option<Recorded>, ReadError> {
        self.next_waiting()?.as_ref().map(codec::decode).transpose()
    }

    fn next_waiting(&mut self) -> Result<Option<StoredRecord>, ReadError> {
        if self.waiting.is_empty() {
            let durable = self.head.borrow_and_update().position;
            let missing = usize::try_from(durable.0.saturating_sub(self.read.0));
            let limit = missing.unwrap_or(READ_AHEAD_MAX).min(READ_AHEAD_MAX);
            if limit == 0 {
                return Ok(None);
            }
            self.waiting = self.store.read(self.read, limit)?.into();
        }
        let record = self.waiting.pop_front();
        if let Some(record) = &record {
            self.read = record.position;
        }
        Ok(record)
    }
}
