//! The worker's memory: what is true, folded from the log, and how far it was read. So that a start
//! need not read the whole log, a snapshot of it is kept; one that does not fit the log is not used.

use crate::events::Recorded;
use crate::events::id::Position;
use crate::events::log::{Log, ReadError, Subscription};
use crate::events::tree::leaf_hash;
use crate::handlers::snapshots::{Snapshot, Snapshots};
use crate::projections::projection::Checkpoint;
use crate::projections::state::State;
use crate::projections::{Feed, Projection as _};
use crate::tasks;

/// Events after which the memory is kept anew; at a start about so many are folded again.
pub const CHECKPOINT_EVENTS: u64 = 4096;

/// Events read from the log at once while it is folded.
const READ_MAX: usize = 1024;

/// What is true, and the place in the log that it was read up to.
#[derive(Debug)]
pub struct Memory {
    state: Feed<State>,
    subscription: Subscription,
    snapshots: Snapshots,
    kept_at: Position,
}

impl Memory {
    /// Folds the log up to its end, from its snapshot if that fits.
    ///
    /// # Errors
    /// [`ReadError`] when the log does not read.
    pub fn open(log: &Log, snapshots: Snapshots) -> Result<Self, ReadError> {
        let restored = match snapshots.read() {
            Some(snapshot) => continued(log, snapshot)?,
            None => None,
        };
        let kept_at = restored
            .as_ref()
            .map_or(Position(0), |(kept_at, _)| *kept_at);
        let state = restored.map_or_else(Feed::new, |(_, state)| state);
        let mut memory = Self {
            subscription: log.subscribe(state.position()),
            state,
            snapshots,
            kept_at,
        };
        memory.catch_up(log.head().position)?;
        Ok(memory)
    }

    /// Returns what is true.
    pub fn state(&self) -> &State {
        self.state.view()
    }

    /// Returns the last position taken in.
    pub fn position(&self) -> Position {
        self.state.position()
    }

    /// Returns everything that is remembered, byte for byte.
    pub fn checkpoint(&self) -> Checkpoint {
        self.state.checkpoint()
    }

    /// Waits for the next event; nothing once the log is closed.
    ///
    /// # Errors
    /// [`ReadError`] when the log does not read.
    pub async fn next(&mut self) -> Result<Option<Recorded>, ReadError> {
        self.subscription.next().await
    }

    /// Takes an event in; returns whether it may change what there is to do.
    pub fn take_in(&mut self, recorded: &Recorded) -> bool {
        self.state.apply(recorded);
        State::is_concerned(&recorded.event)
    }

    /// Takes in everything up to a position; returns whether it may change what there is to do.
    ///
    /// # Errors
    /// [`ReadError`] when the log does not read.
    pub fn catch_up(&mut self, position: Position) -> Result<bool, ReadError> {
        let mut concerned = false;
        while self.position() < position
            && let Some(recorded) = self.subscription.try_next()?
        {
            concerned |= self.take_in(&recorded);
        }
        Ok(concerned)
    }

    /// Returns whether so much was taken in that the memory should be kept again.
    pub fn is_due(&self) -> bool {
        self.position().0 - self.kept_at.0 >= CHECKPOINT_EVENTS
    }

    /// Keeps the memory in its file, if the log has not gone on meanwhile. That it cannot be written
    /// is no failure: the next start reads more of the log.
    pub async fn keep(&mut self, log: &Log) {
        let range = match log.range() {
            Ok(range) if range.size() == self.position().0 => range,
            Ok(_) | Err(_) => return,
        };
        let (snapshots, checkpoint) = (self.snapshots.clone(), self.checkpoint());
        let position = self.position();
        let written = tasks::apart(move || {
            snapshots.write(&range, &checkpoint)?;
            snapshots.retire::<State>()
        });
        match written.await {
            Ok(Ok(())) => self.kept_at = position,
            Ok(Err(error)) => {
                let name = State::NAME;
                tracing::warn!(%error, name, "the snapshot could not be kept");
            }
            Err(_) => {}
        }
    }
}

/// Folds on from a snapshot to the end of the log; nothing when the log is not the one it was
/// taken from.
fn continued(
    log: &Log,
    snapshot: Snapshot<State>,
) -> Result<Option<(Position, Feed<State>)>, ReadError> {
    let Snapshot {
        mut range,
        mut feed,
    } = snapshot;
    let (kept_at, head) = (feed.position(), log.head());
    while feed.position() < head.position {
        let missing = head.position.0 - feed.position().0;
        let limit = usize::try_from(missing).unwrap_or(READ_MAX).min(READ_MAX);
        let records = log.read_stored(feed.position(), limit)?;
        if records.is_empty() {
            return Ok(None);
        }
        for record in &records {
            range.push(leaf_hash(&record.bytes));
            feed.apply(&log.decode(record)?);
        }
    }
    if feed.position() != head.position || range.root() != head.root {
        tracing::warn!("the snapshot is not of this log; the log is folded from its beginning");
        return Ok(None);
    }
    Ok(Some((kept_at, feed)))
}

#[cfg(test)]
mod tests;
