//! Sealing a body piece by piece, so that a long one is never in memory as a whole. The bytes are those
//! of [`seal_body`](super::seal_body): the body is gone through twice, because the nonce in front of it
//! is a digest of all of it. Pure; it knows no file.
//!
//! The construction is AEAD_CHACHA20_POLY1305 (RFC 8439, section 2.8) with the extended nonce: a key for
//! the tag is the beginning of the key stream, and the text is encrypted from its next block on.

use chacha20::cipher::{KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};
use chacha20::{XChaCha20, XNonce};
use hmac::Mac as _;
use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit as _, UniversalHash as _};
use zeroize::Zeroizing;

use crate::events::seal::{
    BODY_MAGIC, Digest, NONCE_BYTES, Owner, SealKey, TAG_BYTES, begin_digest, bound_to,
};

/// Length of every piece but the last, in bytes.
pub const PIECE_BYTES: usize = 1 << 20;

/// Length of a block of the key stream (RFC 8439, section 2.3).
const CIPHER_BLOCK_BYTES: u64 = 64;

/// The first way through a body, which finds the nonce.
pub struct FirstPass {
    bound: Vec<u8>,
    digest: Digest,
}

impl FirstPass {
    /// Begins with an owner's body of so many bytes.
    pub fn new(key: &SealKey, owner: Owner, bytes: u64) -> Self {
        let bound = bound_to(BODY_MAGIC, owner);
        let mut digest = begin_digest(&key.nonces, &[&bound]);
        digest.update(&bytes.to_be_bytes());
        Self { bound, digest }
    }

    /// Reads the next piece.
    pub fn read(&mut self, piece: &[u8]) {
        self.digest.update(piece);
    }

    /// Returns what the file begins with, and the second way through the same body.
    pub fn end(self, key: &SealKey) -> (Vec<u8>, SecondPass) {
        let digest: [u8; 32] = self.digest.finalize().into_bytes().into();
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&digest[..NONCE_BYTES]);
        let header = [self.bound.as_slice(), &nonce].concat();
        (header, SecondPass::new(key, &self.bound, nonce))
    }
}

/// The second way through a body, which seals it.
pub struct SecondPass {
    cipher: XChaCha20,
    tag: Poly1305,
    bound_bytes: u64,
    sealed_bytes: u64,
}

impl SecondPass {
    fn new(key: &SealKey, bound: &[u8], nonce: [u8; NONCE_BYTES]) -> Self {
        let mut cipher = XChaCha20::new((&*key.encryption).into(), &XNonce::from(nonce));
        let mut tag_key = Zeroizing::new([0; 32]);
        cipher.apply_keystream(&mut *tag_key);
        cipher.seek(CIPHER_BLOCK_BYTES);
        let mut tag = Poly1305::new((&*tag_key).into());
        tag.update_padded(bound);
        Self {
            cipher,
            tag,
            bound_bytes: bound.len() as u64,
            sealed_bytes: 0,
        }
    }

    /// Seals the next piece in its place; every piece but the last has [`PIECE_BYTES`].
    ///
    /// # Panics
    /// When a piece follows one of another length: the tag would be wrong.
    pub fn seal(&mut self, piece: &mut [u8]) {
        let is_at_border = self.sealed_bytes.is_multiple_of(PIECE_BYTES as u64);
        assert!(is_at_border, "only the last piece is shorter");
        self.cipher.apply_keystream(piece);
        // What is padded is a part of a block, which only the last piece has.
        self.tag.update_padded(piece);
        self.sealed_bytes += piece.len() as u64;
    }

    /// Returns what the file ends with.
    pub fn end(mut self) -> [u8; TAG_BYTES] {
        let mut lengths = [0; TAG_BYTES];
        lengths[..8].copy_from_slice(&self.bound_bytes.to_le_bytes());
        lengths[8..].copy_from_slice(&self.sealed_bytes.to_le_bytes());
        self.tag.update_padded(&lengths);
        self.tag.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::id::TaskId;
    use crate::events::seal::{KEY_BYTES, seal_body};

    fn streamed(key: &SealKey, owner: Owner, plain: &[u8]) -> Vec<u8> {
        let mut first = FirstPass::new(key, owner, plain.len() as u64);
        plain
            .chunks(PIECE_BYTES)
            .for_each(|piece| first.read(piece));
        let (mut file, mut second) = first.end(key);
        for piece in plain.chunks(PIECE_BYTES) {
            let mut piece = piece.to_vec();
            second.seal(&mut piece);
            file.extend(piece);
        }
        file.extend(second.end());
        file
    }

    #[test]
    fn a_body_sealed_in_pieces_is_the_body_sealed_at_once() {
        let key = SealKey::new(&[9; KEY_BYTES]);
        let long: Vec<u8> = (0..PIECE_BYTES + 17).map(|at| (at % 251) as u8).collect();
        let lengths = [0, 1, 15, 16, 17, 64, 1_000];
        let around = [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, long.len()];
        for length in lengths.into_iter().chain(around) {
            let (owner, plain) = (Owner::Task(TaskId(0xa)), &long[..length]);
            let same = streamed(&key, owner, plain) == seal_body(&key, owner, plain);
            assert!(same, "{length} bytes");
        }
    }
}
