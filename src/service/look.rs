//! Looking at a log: as it was at a moment, and whether it ended in good order. It changes nothing.
//!
//! [`when`] names the moment, [`view`] what is looked at, [`transcript`] and [`reach`] tell of one
//! conversation or task, [`diff`] compares two moments, [`item`] is the form of exports.

pub mod agent_line;
pub mod board;
pub mod diff;
pub mod item;
pub mod reach;
pub mod text;
pub mod transcript;
pub mod view;
pub mod waiting;
pub mod when;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::events::blobs::{BlobError, Blobs};
use crate::events::codec::StoredRecord;
use crate::events::event::ServiceEvent;
use crate::events::id::{AtMs, BlobRef, Position, StreamId, StreamVersion, TaskId};
use crate::events::keys::KeyRing;
use crate::events::log::sealing;
use crate::events::log::sled::{OpenError, SledStore};
use crate::events::log::{Log, ReadError};
use crate::events::seal::Owner;
use crate::events::{Event, Recorded};
use crate::projections::audit::{Audit, Subject};
use crate::projections::views::Views;
use crate::projections::{Feed, Projection as _};

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
/// [`BlobError`] when it is missing, erased or damaged.
pub fn body(state_dir: &Path, body: &BlobRef) -> Result<String, BlobError> {
    let bytes = Blobs::open(&state_dir.join("blobs"))?.get(body)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns whether what a conversation or task said is erased by now, whenever it is looked at.
pub fn is_erased(state_dir: &Path, replay: &Replay, subject: Subject) -> bool {
    let keys = KeyRing::of_state(state_dir);
    let conversations = &replay.views().state.conversations;
    let is_destroyed = |task: &TaskId| sealing::is_erased(&keys, Owner::Task(*task));
    match subject {
        Subject::Task(task) => is_destroyed(&task),
        Subject::Conversation(id) => match conversations.get(id) {
            Some(conversation) => conversation.tasks.iter().any(is_destroyed),
            None => conversations.is_forgotten(id),
        },
    }
}

/// Opens the log of a service that does not run.
///
/// # Errors
/// [`LookError`]; a running service has the log to itself, and its socket must be asked instead.
pub fn open(state_dir: &Path) -> Result<Log, LookError> {
    let store = SledStore::open(&log_directory(state_dir))?;
    Ok(Log::open(Arc::new(store))?.with_keys(Arc::new(KeyRing::of_state(state_dir))))
}

/// Reads records that came from elsewhere with the keys of a state directory.
#[derive(Debug)]
pub struct Decoder {
    keys: KeyRing,
}

impl Decoder {
    /// Returns one with the keys of a state directory.
    pub fn of(state_dir: &Path) -> Self {
        let keys = KeyRing::of_state(state_dir);
        Self { keys }
    }

    /// Returns the recorded event of a record, its content opened as far as the keys allow.
    ///
    /// # Errors
    /// [`ReadError`] naming its position.
    pub fn decode(&self, record: &StoredRecord) -> Result<Recorded, ReadError> {
        sealing::decode(Some(&self.keys), record)
    }
}

/// Everything people look at, folded from records in order, and the record of one subject.
#[derive(Debug, Default)]
pub struct Replay {
    views: Feed<Views>,
    audit: Audit,
    at: AtMs,
}

impl Replay {
    /// Returns a replay that also keeps the record of a subject.
    pub fn about(subject: Option<Subject>) -> Self {
        Self {
            audit: subject.map(Audit::of).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Takes the next record in.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.views.apply(recorded);
        self.audit.apply(recorded);
        self.at = recorded.at;
    }

    /// Returns what was true after the last record.
    pub fn views(&self) -> &Views {
        self.views.view()
    }

    /// Returns the record of the subject up to there.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Returns the last record's position; 0 before the first.
    pub fn position(&self) -> Position {
        self.views.position()
    }

    /// Returns when the last record was recorded.
    pub fn at(&self) -> AtMs {
        self.at
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
