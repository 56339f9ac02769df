//! A body that is still coming, and has no name yet: a file without a name on the disk of the blobs. Its
//! pieces are sealed with a key that is in this process's memory alone, so that nothing of it can be
//! read once the process has ended, and nothing is left of it. It knows no owner.

use std::fs::File;
use std::io::{Error, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::events::blobs::{BlobError, disk};
use crate::events::seal::KEY_BYTES;
use crate::events::seal::stream::PIECE_BYTES;

const TAG_BYTES: usize = 16;

/// A body that is still coming.
pub struct Spool {
    file: File,
    /// Where it lies without a name, for errors.
    directory: PathBuf,
    key: LessSafeKey,
    /// What has come since the last whole piece.
    pending: Vec<u8>,
    pieces: u64,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Spool({} bytes)", self.bytes())
    }
}

impl Spool {
    /// Makes an empty one.
    pub(super) fn new(directory: &Path) -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key).map_err(Error::other)?;
        Ok(Self {
            file: tempfile::tempfile_in(directory)?,
            directory: directory.to_owned(),
            key: LessSafeKey::new(
                UnboundKey::new(&CHACHA20_POLY1305, &*key).map_err(Error::other)?,
            ),
            pending: Vec::with_capacity(PIECE_BYTES),
            pieces: 0,
        })
    }

    /// Returns how many bytes have come.
    pub fn bytes(&self) -> u64 {
        self.pieces * PIECE_BYTES as u64 + self.pending.len() as u64
    }

    /// Takes the next bytes in.
    ///
    /// # Errors
    /// [`BlobError::Disk`]; the body cannot be used any more.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        while !bytes.is_empty() {
            let room = PIECE_BYTES - self.pending.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == PIECE_BYTES {
                self.put_piece().map_err(disk(&self.directory))?;
            }
        }
        Ok(())
    }

    fn put_piece(&mut self) -> Result<(), Error> {
        let nonce = nonce(self.pieces);
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::empty(), &mut self.pending);
        let tag = sealed.map_err(Error::other)?;
        self.file.write_all(&self.pending)?;
        self.file.write_all(tag.as_ref())?;
        self.pending.clear();
        self.pieces += 1;
        Ok(())
    }

    /// Goes through the whole body, a piece of [`PIECE_BYTES`] at a time; it may be changed in its
    /// place, and is as it was the next time.
    ///
    /// # Errors
    /// What the disk or `take` says.
    pub(super) fn each_piece(
        &self,
        take: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut sealed = vec![0; PIECE_BYTES + TAG_BYTES];
        for number in 0..self.pieces {
            let place = number * (PIECE_BYTES + TAG_BYTES) as u64;
            self.file.read_exact_at(&mut sealed, place)?;
            let opened = self
                .key
                .open_in_place(nonce(number), Aad::empty(), &mut sealed);
            take(opened.map_err(Error::other)?)?;
        }
        let mut piece = self.pending.clone();
        take(&mut piece)
    }
}

/// Each piece has a nonce of its own, and the key is used for this body alone.
fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_any_pieces_is_read_in_even_ones_as_often_as_it_is_wanted() {
        let directory = tempfile::TempDir::new().unwrap();
        let body: Vec<u8> = (0..3 * PIECE_BYTES + 5)
            .map(|at| (at % 253) as u8)
            .collect();
        for length in [
            0,
            1,
            PIECE_BYTES - 1,
            PIECE_BYTES,
            PIECE_BYTES + 1,
            body.len(),
        ] {
            let mut spool = Spool::new(directory.path()).unwrap();
            for part in body[..length].chunks(700_001) {
                spool.write(part).unwrap();
            }
            assert_eq!(spool.bytes(), length as u64);
            for _ in 0..2 {
                let mut read = Vec::new();
                let mut take = |piece: &mut [u8]| {
                    read.extend_from_slice(piece);
                    piece.fill(0);
                    Ok(())
                };
                spool.each_piece(&mut take).unwrap();
                assert!(read == body[..length], "{length} bytes");
            }
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
