//! Keeping long bodies without holding them sealed in memory: they are gone through twice, a piece at a
//! time, and get their name when all of them is on the disk.

use std::fs::File;
use std::io::{BufWriter, Error, Write as _};
use std::sync::atomic::Ordering;

use sha2::Digest as _;

use crate::events::blobs::leftovers::NEW;
use crate::events::blobs::spool::Spool;
use crate::events::blobs::{BlobError, Blobs, disk, new_file, within_limit};
use crate::events::id::{BlobRef, Sha256};
use crate::events::seal::stream::{FirstPass, PIECE_BYTES};
use crate::events::seal::{Owner, SealKey};

impl Blobs {
    /// Returns an empty spool for a body that comes piece by piece.
    ///
    /// # Errors
    /// [`BlobError::Disk`].
    pub fn spool(&self) -> Result<Spool, BlobError> {
        Spool::new(&self.directory).map_err(disk(&self.directory))
    }

    /// Keeps an owner's body that has come, as [`Self::put`] does.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn put_spooled(
        &self,
        owner: Owner,
        spool: &Spool,
        media_type: &str,
    ) -> Result<BlobRef, BlobError> {
        let body = Body {
            bytes: spool.bytes(),
            each_piece: &|take| spool.each_piece(take),
        };
        self.put_streamed(owner, &body, media_type)
    }

    /// Keeps a long body that is in memory, without a second copy of it.
    pub(super) fn put_long(
        &self,
        owner: Owner,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<BlobRef, BlobError> {
        let each_piece = |take: &mut Take<'_>| {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            bytes.chunks(PIECE_BYTES).try_for_each(|part| {
                piece.clear();
                piece.extend_from_slice(part);
                take(&mut piece)
            })
        };
        let body = Body {
            bytes: bytes.len() as u64,
            each_piece: &each_piece,
        };
        self.put_streamed(owner, &body, media_type)
    }

    fn put_streamed(
        &self,
        owner: Owner,
        body: &Body<'_>,
        media_type: &str,
    ) -> Result<BlobRef, BlobError> {
        within_limit(body.bytes)?;
        let key = self.keys.get_or_make(owner)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let new = self
            .directory
            .join(format!("{NEW}{}-{number}", std::process::id()));
        let named = write_sealed(&new, &key, owner, body).and_then(|sha256| {
            let path = self.path(sha256);
            self.make_parent(&path)?;
            std::fs::rename(&new, path)?;
            Ok(sha256)
        });
        let sha256 = named.map_err(|error| {
            // What is left of it has a name that no blob has; the error matters more.
            let _leftover = std::fs::remove_file(&new);
            disk(&new)(error)
        })?;
        self.sync_name(&self.path(sha256))?;
        Ok(BlobRef {
            sha256,
            bytes: body.bytes,
            media_type: media_type.to_owned(),
        })
    }
}

type Take<'a> = dyn FnMut(&mut [u8]) -> Result<(), Error> + 'a;

/// A body that can be gone through more than once.
struct Body<'a> {
    bytes: u64,
    each_piece: &'a dyn Fn(&mut Take<'_>) -> Result<(), Error>,
}

/// Writes a sealed body, durably, and returns the digest of the file.
fn write_sealed(
    path: &std::path::Path,
    key: &SealKey,
    owner: Owner,
    body: &Body<'_>,
) -> Result<Sha256, Error> {
    let mut first = FirstPass::new(key, owner, body.bytes);
    (body.each_piece)(&mut |piece| {
        first.read(piece);
        Ok(())
    })?;
    let (header, mut second) = first.end(key);
    let mut file = Digested::new(new_file(path)?);
    file.write_all(&header)?;
    (body.each_piece)(&mut |piece| {
        second.seal(piece);
        file.write_all(piece)
    })?;
    file.write_all(&second.end())?;
    file.end()
}

/// A file whose digest is found while it is written.
struct Digested {
    file: BufWriter<File>,
    digest: sha2::Sha256,
}

impl Digested {
    fn new(file: File) -> Self {
        Self {
            file: BufWriter::new(file),
            digest: sha2::Sha256::new(),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.digest.update(bytes);
        self.file.write_all(bytes)
    }

    fn end(self) -> Result<Sha256, Error> {
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(Sha256(self.digest.finalize().into()))
    }
}
