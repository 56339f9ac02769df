//! Looking at a log: as it was at a position, and whether it ended in good order. It changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::events::blobs::{BlobError, Blobs};
use crate::events::event::ServiceEvent;
use crate::events::id::{BlobRef, Position, StreamId, StreamVersion};
use crate::events::log::sled::{OpenError, SledStore};
use crate::events::log::{Log, ReadError};
use crate::events::{Event, Recorded};
use crate::projections::Feed;
use crate::projections::views::Views;

/// Events read at once while looking.
const READ_MAX: usize = 4096;

/// Why a log could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It does not read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Returns where the log lies below the state directory.
pub fn log_directory(state_dir: &Path) -> PathBuf {
    state_dir.join("log")
}

/// Reads a text that an event refers to; a running service does not mind.
///
/// # Errors
/// [`BlobError`] when it is missing or damaged.
pub fn text(state_dir: &Path, body: &BlobRef) -> Result<String, BlobError> {
    let bytes = Blobs::open(&state_dir.join("blobs"))?.get(body)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens the log of a service that does not run.
///
/// # Errors
/// [`LookError`]; a running service has the log to itself, and its socket must be asked instead.
pub fn open(state_dir: &Path) -> Result<Log, LookError> {
    let store = SledStore::open(&log_directory(state_dir))?;
    Ok(Log::open(Arc::new(store))?)
}

/// Everything people look at, folded from records in order.
#[derive(Debug, Default)]
pub struct Replay {
    views: Feed<Views>,
}

impl Replay {
    /// Takes the next record in.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.views.apply(recorded);
    }

    /// Returns what was true after the last record.
    pub fn views(&self) -> &Views {
        self.views.view()
    }

    /// Returns the last record's position.
    pub fn position(&self) -> Position {
        self.views.position()
    }
}

/// Folds a log up to a position.
///
/// # Errors
/// [`ReadError`] naming the first position that does not read.
pub fn replay(log: &Log, to: Position) -> Result<Replay, ReadError> {
    let mut replay = Replay::default();
    loop {
        let events = log.read(replay.position(), READ_MAX)?;
        if events.is_empty() {
            return Ok(replay);
        }
        for recorded in events {
            if recorded.position > to {
                return Ok(replay);
            }
            replay.apply(&recorded);
        }
    }
}

/// Returns whether the service that wrote to this log before ended in good order; true before the
/// first start.
///
/// # Errors
/// [`ReadError`] when the log does not read.
pub fn stopped_cleanly(log: &Log) -> Result<bool, ReadError> {
    let stream = StreamId::service();
    let version = log.stream_version(&stream)?;
    let before = StreamVersion(version.0.saturating_sub(1));
    let last = log.read_stream(&stream, before, 1)?.pop();
    Ok(last.is_none_or(|last| matches!(last.event, Event::Service(ServiceEvent::Stopped(_)))))
}
