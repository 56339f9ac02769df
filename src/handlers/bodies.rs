//! Bodies for the asynchronous shell: the blob store's files are read and written on threads that
//! may wait for the disk. It knows no event.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::events::blobs::{BlobError, Blobs, Spool};
use crate::events::id::{BlobRef, StoredFile};
use crate::events::keys::KeyRing;
use crate::events::seal::Owner;
use crate::handlers::channels::Attachment;
use crate::tasks;

/// Bytes of long messages that are read at once; more wait for these. With their files, which are made
/// of them, they take up to three times as much memory.
pub const READING_BYTES_MAX: u64 = 64 << 20;

/// Bytes of long files that are sent at once; more wait for these. With the mail, which is made of them,
/// they take up to six times as much memory.
pub const SENDING_BYTES_MAX: u64 = 32 << 20;

/// Longest body that counts as short, in bytes: of these any number may be in memory.
pub const SHORT_BYTES_MAX: u64 = 1 << 20;

/// What room in memory is wanted for: one that takes long does not hold up the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading a message.
    Reading,
    /// Sending an answer.
    Sending,
}

/// Room in memory, given back when it is dropped; short bodies need none.
#[derive(Debug)]
pub struct Room {
    _room: Option<OwnedSemaphorePermit>,
}

/// Why a body could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The blob store said so.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The thread that worked on it panicked, or the service ends.
    #[error("a body's thread ended early")]
    Thread,
}

/// The blob store, for the asynchronous shell.
#[derive(Debug, Clone)]
pub struct Bodies {
    blobs: Arc<Blobs>,
    reading: Arc<Semaphore>,
    sending: Arc<Semaphore>,
}

impl Bodies {
    /// Returns the asynchronous side of a blob store.
    pub fn new(blobs: Arc<Blobs>) -> Self {
        let room = |bytes| Arc::new(Semaphore::new(in_kib(bytes) as usize));
        Self {
            blobs,
            reading: room(READING_BYTES_MAX),
            sending: room(SENDING_BYTES_MAX),
        }
    }

    /// Waits for room in memory for bodies of so many bytes together. Whoever holds room must not ask
    /// for more.
    ///
    /// # Errors
    /// [`BodyError::Thread`] when the service ends.
    pub async fn room(&self, purpose: Purpose, bytes: u64) -> Result<Room, BodyError> {
        if bytes <= SHORT_BYTES_MAX {
            return Ok(Room { _room: None });
        }
        let (all, most) = match purpose {
            Purpose::Reading => (&self.reading, READING_BYTES_MAX),
            Purpose::Sending => (&self.sending, SENDING_BYTES_MAX),
        };
        // What is longer than all the room there is gets all of it.
        let wanted = in_kib(bytes.min(most));
        let room = Arc::clone(all).acquire_many_owned(wanted).await;
        let room = room.map_err(|_| BodyError::Thread)?;
        Ok(Room { _room: Some(room) })
    }

    /// Returns an empty spool for a body that comes piece by piece.
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn spool(&self) -> Result<Spool, BodyError> {
        let blobs = Arc::clone(&self.blobs);
        let made = tasks::apart(move || blobs.spool());
        Ok(made.await.map_err(|_| BodyError::Thread)??)
    }

    /// Keeps an owner's body that has come into a spool; durable on return.
    ///
    /// # Errors
    /// [`BodyError`] when it is not.
    pub async fn put_spooled(
        &self,
        owner: Owner,
        spool: Spool,
        media_type: &str,
    ) -> Result<BlobRef, BodyError> {
        let (blobs, media_type) = (Arc::clone(&self.blobs), media_type.to_owned());
        let kept = tasks::apart(move || blobs.put_spooled(owner, &spool, &media_type));
        Ok(kept.await.map_err(|_| BodyError::Thread)??)
    }

    /// Returns the keys that open the bodies.
    pub fn keys(&self) -> &Arc<KeyRing> {
        self.blobs.keys()
    }

    /// Removes a body, on the thread of the caller, which may wait; returns the bytes that became
    /// free.
    ///
    /// # Errors
    /// [`BodyError`] when it is still there.
    pub fn remove(&self, blob: &BlobRef) -> Result<u64, BodyError> {
        Ok(self.blobs.remove(blob)?)
    }

    /// Keeps an owner's body; durable on return.
    ///
    /// # Errors
    /// [`BodyError`] when it is not.
    pub async fn put(
        &self,
        owner: Owner,
        bytes: Vec<u8>,
        media_type: &str,
    ) -> Result<BlobRef, BodyError> {
        let (blobs, media_type) = (Arc::clone(&self.blobs), media_type.to_owned());
        let kept = tasks::apart(move || blobs.put(owner, &bytes, &media_type));
        Ok(kept.await.map_err(|_| BodyError::Thread)??)
    }

    /// Keeps an owner's text as Markdown; durable on return.
    ///
    /// # Errors
    /// [`BodyError`] when it is not.
    pub async fn put_markdown(&self, owner: Owner, text: &str) -> Result<BlobRef, BodyError> {
        let bytes = text.as_bytes().to_vec();
        self.put(owner, bytes, "text/markdown").await
    }

    /// Keeps an owner's file; durable on return.
    ///
    /// # Errors
    /// [`BodyError`] when it is not.
    pub async fn put_file(&self, owner: Owner, file: Attachment) -> Result<StoredFile, BodyError> {
        let blob = self.put(owner, file.bytes, &file.media_type).await?;
        Ok(StoredFile {
            name: file.name,
            blob,
        })
    }

    /// Returns a body.
    ///
    /// # Errors
    /// [`BodyError`] when it is missing, erased or damaged.
    pub async fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, BodyError> {
        let (blobs, blob) = (Arc::clone(&self.blobs), blob.clone());
        let read = tasks::apart(move || blobs.get(&blob));
        Ok(read.await.map_err(|_| BodyError::Thread)??)
    }

    /// Returns a body as text, what is not UTF-8 replaced.
    ///
    /// # Errors
    /// [`BodyError`] when it is missing, erased or damaged.
    pub async fn get_text(&self, blob: &BlobRef) -> Result<String, BodyError> {
        Ok(String::from_utf8_lossy(&self.get(blob).await?).into_owned())
    }

    /// Returns a stored file with its bytes.
    ///
    /// # Errors
    /// [`BodyError`] when it is missing, erased or damaged.
    pub async fn get_file(&self, file: &StoredFile) -> Result<Attachment, BodyError> {
        Ok(Attachment {
            name: file.name.clone(),
            media_type: file.blob.media_type.clone(),
            bytes: self.get(&file.blob).await?,
        })
    }
}

/// Room is counted in KiB, of which a semaphore has enough.
fn in_kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn bodies() -> (tempfile::TempDir, Bodies) {
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = Blobs::open(&directory.path().join("blobs")).unwrap();
        (directory, Bodies::new(Arc::new(blobs)))
    }

    #[tokio::test]
    async fn long_bodies_share_the_room_there_is_and_short_ones_need_none() {
        let (_directory, bodies) = bodies();
        let now = |purpose, bytes| {
            bodies
                .room(purpose, bytes)
                .now_or_never()
                .map(Result::unwrap)
        };
        let half = now(Purpose::Reading, READING_BYTES_MAX / 2).unwrap();
        let other_half = now(Purpose::Reading, READING_BYTES_MAX / 2).unwrap();
        assert!(
            now(Purpose::Reading, SHORT_BYTES_MAX + 1).is_none(),
            "it waits"
        );
        assert!(now(Purpose::Reading, SHORT_BYTES_MAX).is_some());
        assert!(now(Purpose::Sending, SENDING_BYTES_MAX).is_some());
        drop(half);
        assert!(now(Purpose::Reading, READING_BYTES_MAX / 2 + 1).is_none());
        drop(other_half);
        let all = now(Purpose::Reading, READING_BYTES_MAX * 2);
        assert!(all.is_some(), "what is longer than all of it is alone");
        assert!(now(Purpose::Reading, SHORT_BYTES_MAX + 1).is_none());
    }
}
