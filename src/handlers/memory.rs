//! The worker's memory: what is true, folded from the log, and how far it was read. So that a start
//! need not read the whole log, it is kept in a file beside the log, with the Merkle tree of all
//! records it was folded from; a file that does not fit the log is not used.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::events::Recorded;
use crate::events::id::{Position, Sha256};
use crate::events::log::{Log, ReadError, Subscription};
use crate::events::tree::{CompactRange, leaf_hash};
use crate::projections::Feed;
use crate::projections::projection::Checkpoint;
use crate::projections::state::State;
use crate::tasks;

/// Events after which the memory is kept anew; at a start about so many are folded again.
pub const CHECKPOINT_EVENTS: u64 = 4096;

/// Events read from the log at once while it is folded.
const READ_MAX: usize = 1024;

/// What the file holds behind the digest of its text.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The Merkle tree up to the checkpoint's position, in hexadecimal digits.
    range: String,
    checkpoint: Checkpoint,
}

/// What is true, and the place in the log that it was read up to.
#[derive(Debug)]
pub struct Memory {
    state: Feed<State>,
    subscription: Subscription,
    file: PathBuf,
    kept_at: Position,
}

impl Memory {
    /// Returns the file that keeps the memory of the service in a state directory.
    pub fn file(state_dir: &Path) -> PathBuf {
        state_dir.join("checkpoints").join("state.json")
    }

    /// Folds the log up to its end, from the checkpoint in `file` if that fits.
    ///
    /// # Errors
    /// [`ReadError`] when the log does not read.
    pub fn open(log: &Log, file: PathBuf) -> Result<Self, ReadError> {
        let restored = match read(&file) {
            Some((range, feed)) => continued(log, range, feed)?,
            None => None,
        };
        let kept_at = restored
            .as_ref()
            .map_or(Position(0), |(kept_at, _)| *kept_at);
        let state = restored.map_or_else(Feed::new, |(_, state)| state);
        let mut memory = Self {
            subscription: log.subscribe(state.position()),
            state,
            file,
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
        let kept = Kept {
            range: hex::encode(range.to_bytes()),
            checkpoint: self.checkpoint(),
        };
        let (file, position) = (self.file.clone(), self.position());
        let written = tasks::apart(move || write(&file, &kept)).await;
        match written {
            Ok(Ok(())) => self.kept_at = position,
            Ok(Err(error)) => {
                let file = self.file.display();
                tracing::warn!(%error, %file, "the checkpoint could not be kept");
            }
            Err(_) => {}
        }
    }
}

/// Folds on from a checkpoint to the end of the log; nothing when the log is not the one it was
/// taken from.
fn continued(
    log: &Log,
    mut range: CompactRange,
    mut feed: Feed<State>,
) -> Result<Option<(Position, Feed<State>)>, ReadError> {
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
        tracing::warn!("the checkpoint is not of this log; the log is folded from its beginning");
        return Ok(None);
    }
    Ok(Some((kept_at, feed)))
}

fn read(file: &Path) -> Option<(CompactRange, Feed<State>)> {
    let text = std::fs::read_to_string(file).ok()?;
    let (digest, text) = text.split_once('\n')?;
    (digest == Sha256::of(text.as_bytes()).to_string()).then_some(())?;
    let kept: Kept = serde_json::from_str(text).ok()?;
    let range = CompactRange::from_bytes(&hex::decode(kept.range).ok()?)?;
    let feed = Feed::restore(&kept.checkpoint)?;
    (range.size() == feed.position().0).then_some((range, feed))
}

/// Writes the file beside itself first, so that a crash leaves the old one or the new one.
fn write(file: &Path, kept: &Kept) -> std::io::Result<()> {
    let text = serde_json::to_string(kept)?;
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let new = file.with_extension("new");
    let mut opened = std::fs::File::create(&new)?;
    writeln!(opened, "{}", Sha256::of(text.as_bytes()))?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()?;
    std::fs::rename(new, file)
}

#[cfg(test)]
mod tests;
