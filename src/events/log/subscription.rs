//! Reading along: first what is there, then each event as it becomes durable. A subscription reads
//! from the store, never from the writer, so that a slow one holds nobody up.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::events::codec::StoredRecord;
use crate::events::event::Recorded;
use crate::events::id::Position;
use crate::events::keys::KeyRing;
use crate::events::log::store::Store;
use crate::events::log::{Head, ReadError, sealing};

/// Records read from the store at once, per subscription.
const READ_AHEAD_MAX: usize = 256;

/// A place in the log that moves forward.
#[derive(Debug)]
pub struct Subscription {
    store: Arc<dyn Store>,
    head: watch::Receiver<Head>,
    keys: Option<Arc<KeyRing>>,
    read: Position,
    waiting: VecDeque<StoredRecord>,
}

impl Subscription {
    pub(super) fn new(
        store: Arc<dyn Store>,
        head: watch::Receiver<Head>,
        keys: Option<Arc<KeyRing>>,
        after: Position,
    ) -> Self {
        Self {
            store,
            head,
            keys,
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
        loop {
            if let Some(recorded) = self.try_next()? {
                return Ok(Some(recorded));
            }
            if self.head.changed().await.is_err() {
                return self.try_next();
            }
        }
    }

    /// As [`Self::next`], but the record as it is stored.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`] when the store fails.
    pub async fn next_stored(&mut self) -> Result<Option<StoredRecord>, ReadError> {
        loop {
            if let Some(record) = self.take_waiting()? {
                return Ok(Some(record));
            }
            if self.head.changed().await.is_err() {
                return self.take_waiting();
            }
        }
    }

    /// Returns the next event if it is already durable.
    ///
    /// # Errors
    /// [`ReadError`]; the same position is tried again by the next call.
    pub fn try_next(&mut self) -> Result<Option<Recorded>, ReadError> {
        self.read_ahead()?;
        let Some(record) = self.waiting.front() else {
            return Ok(None);
        };
        // A record that does not read is not passed over: whoever goes on after it has a gap.
        let recorded = sealing::decode(self.keys.as_deref(), record)?;
        self.take_waiting()?;
        Ok(Some(recorded))
    }

    fn take_waiting(&mut self) -> Result<Option<StoredRecord>, ReadError> {
        self.read_ahead()?;
        let record = self.waiting.pop_front();
        if let Some(record) = &record {
            self.read = record.position;
        }
        Ok(record)
    }

    fn read_ahead(&mut self) -> Result<(), ReadError> {
        if !self.waiting.is_empty() {
            return Ok(());
        }
        let durable = self.head.borrow_and_update().position;
        let missing = usize::try_from(durable.0.saturating_sub(self.read.0));
        let limit = missing.unwrap_or(READ_AHEAD_MAX).min(READ_AHEAD_MAX);
        if limit > 0 {
            self.waiting = self.store.read(self.read, limit)?.into();
        }
        Ok(())
    }
}
