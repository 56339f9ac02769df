//! Bodies for the asynchronous shell: the blob store's files are read and written on threads that
//! may wait for the disk. It knows no event.

use std::sync::Arc;

use crate::events::blobs::{BlobError, Blobs};
use crate::events::id::{BlobRef, StoredFile};
use crate::events::keys::KeyRing;
use crate::events::seal::Owner;
use crate::handlers::channels::Attachment;
use crate::tasks;

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
}

impl Bodies {
    /// Returns the asynchronous side of a blob store.
    pub fn new(blobs: Arc<Blobs>) -> Self {
        Self { blobs }
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
