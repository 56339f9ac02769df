//! The port between the log's rules and the bytes on disk. A store decides nothing: it keeps what
//! the writer gives it, all of a [`Group`] or nothing of it.

use std::fmt::Debug;
use std::io::ErrorKind;

use crate::events::checkpoint::LogKey;
use crate::events::codec::{Payload, StoredRecord};
use crate::events::id::{Position, Sha256, StreamId, StreamVersion};
use crate::events::tree::CompactRange;

/// What is kept for an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEntry {
    /// Position of the first event appended under the key.
    pub first: Position,
    /// How many events were appended with it.
    pub count: u32,
    /// Digest of their streams, kinds and payloads.
    pub digest: Sha256,
}

/// Where a record stands in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// The stream.
    pub stream: StreamId,
    /// The record's place in it.
    pub version: StreamVersion,
    /// The record's place in the log.
    pub position: Position,
}

/// Returns the digest of streams, kinds and payloads, as kept for an idempotency key.
pub fn digest_of<'a>(parts: impl Iterator<Item = (&'a StreamId, &'a Payload)>) -> Sha256 {
    let mut bytes = Vec::new();
    for (stream, payload) in parts {
        let part = Sha256::of_parts(&[
            stream.as_str().as_bytes(),
            &payload.kind.to_le_bytes(),
            &payload.version.to_le_bytes(),
            &payload.bytes,
        ]);
        bytes.extend(part.0);
    }
    Sha256::of(&bytes)
}

/// Everything one flush makes durable.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// The records, positions consecutive and following the last stored one.
    pub records: Vec<StoredRecord>,
    /// One entry for each record.
    pub streams: Vec<StreamEntry>,
    /// Entries of the appends that have a key.
    pub keys: Vec<(String, KeyEntry)>,
    /// The Merkle tree after the last record.
    pub range: CompactRange,
}

/// Why a store failed. After a failed commit the store is poisoned: it refuses every later one, so
/// that nothing can be acknowledged on top of bytes that may be missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self(told(&error))
    }
}

/// The kernel's number of an I/O error, which has no kind of its own in the standard library.
const EIO: i32 = 5;

/// Returns what a disk says, and what an operator does about it where that is known.
pub fn told(error: &std::io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(EIO) => "; the disk fails, or the kernel closed it: see dmesg",
        _ => remedy(error.kind()),
    };
    format!("{error}{remedy}")
}

/// Returns whether something failed for a reason that lies with the disk or its owner, and passes with
/// it: nothing that is on it is to blame.
pub fn passes_with_the_disk(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(EIO) || !remedy(error.kind()).is_empty()
}

/// What an operator does about failures of the disk; the others depend.
const REMEDIES: [(ErrorKind, &str); 5] = [
    (ErrorKind::StorageFull, "; make room on its file system"),
    (ErrorKind::QuotaExceeded, "; make room on its file system"),
    (
        ErrorKind::FileTooLarge,
        "; raise the limit on the length of files (ulimit -f)",
    ),
    (
        ErrorKind::ReadOnlyFilesystem,
        "; make its file system writable (after an error the kernel itself closes it: see dmesg)",
    ),
    (
        ErrorKind::PermissionDenied,
        "; run it as the user that owns the directory",
    ),
];

fn remedy(kind: ErrorKind) -> &'static str {
    let found = REMEDIES.iter().find(|(known, _)| *known == kind);
    found.map_or("", |(_, remedy)| remedy)
}

/// Keeps the bytes of the log.
pub trait Store: Send + Sync + Debug {
    /// Makes a group durable, all of it; returns once it is.
    ///
    /// # Errors
    /// [`StoreError`]; the group must then be taken as not stored.
    fn commit(&self, group: &Group) -> Result<(), StoreError>;

    /// Returns up to `limit` records after a position, in order.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn read(&self, after: Position, limit: usize) -> Result<Vec<StoredRecord>, StoreError>;

    /// Returns the number of events in a stream.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError>;

    /// Returns the positions of up to `limit` events of a stream after a version, in order.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError>;

    /// Returns the entry of an idempotency key.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn find_key(&self, key: &str) -> Result<Option<KeyEntry>, StoreError>;

    /// Returns the Merkle tree over all stored records; its size is the last position.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn range(&self) -> Result<CompactRange, StoreError>;

    /// Returns the key that signs this log's checkpoints.
    fn key(&self) -> Option<&LogKey> {
        None
    }

    /// Called once when the log is closed, after the last commit.
    ///
    /// # Errors
    /// [`StoreError`] when what remains cannot be written.
    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
