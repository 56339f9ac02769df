//! Sealing: what a message and all that came of it says is kept under a key of its own, and gone for
//! good when that key is destroyed. XChaCha20-Poly1305 (RFC 8439 with the extended nonce of
//! draft-irtf-cfrg-xchacha-03). Pure; it knows no file and no event.
//!
//! The nonce is a keyed digest of what is sealed, so that the same text under the same key gives the
//! same bytes: an append that is repeated after a crash must say the same. Whoever lacks the key
//! learns the length, and whether two texts of one key are equal.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, AeadInOut as _, Payload};
use chacha20poly1305::{KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use zeroize::Zeroizing;

use crate::events::id::TaskId;

pub mod stream;

/// Length of a key in bytes.
pub const KEY_BYTES: usize = 32;

/// What sealing adds to a body, in bytes: its header, the nonce and the tag.
pub const BODY_OVERHEAD_BYTES: u64 = (BODY_HEADER_BYTES + NONCE_BYTES + TAG_BYTES) as u64;

/// What is shown in the place of a text whose key is gone.
pub const ERASED: &str = "[erased]";

/// What a sealed body begins with; behind it stands its owner.
const BODY_MAGIC: &[u8] = b"airut-body-1\n";

/// What a sealed text is bound to beside its owner.
const TEXT_MAGIC: &[u8] = b"airut-text-1\n";

/// What a sealed text begins with; Base64 follows.
const TEXT_PREFIX: &str = "sealed:1:";

const OWNER_BYTES: usize = 8;
const BODY_HEADER_BYTES: usize = BODY_MAGIC.len() + OWNER_BYTES;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Whose something is: with the owner's key it can be read, and without it no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A message, the task it became and everything that came of it. The key of each belongs to one
    /// conversation only.
    Task(TaskId),
    /// Nobody: allowlists, and what else is of no conversation. Its key is never destroyed.
    Service,
}

impl Owner {
    /// Returns the number that stands for it in sealed bodies.
    fn number(self) -> u64 {
        match self {
            Self::Task(task) => task.0,
            // A task's id has 48 bits.
            Self::Service => u64::MAX,
        }
    }

    fn from_number(number: u64) -> Self {
        match number {
            u64::MAX => Self::Service,
            task => Self::Task(TaskId(task)),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Task(task) => write!(formatter, "{task}"),
            Self::Service => formatter.write_str("service"),
        }
    }
}

/// A key; it prints nothing of itself and leaves nothing in memory.
pub struct SealKey {
    encryption: Zeroizing<[u8; KEY_BYTES]>,
    nonces: Zeroizing<[u8; KEY_BYTES]>,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealKey")
    }
}

impl SealKey {
    /// Returns the key that is made of these random bytes.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self {
            encryption: Zeroizing::new(keyed_digest(bytes, &[b"airut seal 1: encryption"])),
            nonces: Zeroizing::new(keyed_digest(bytes, &[b"airut seal 1: nonces"])),
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.encryption).into())
    }

    /// Returns nonce, ciphertext and tag; `bound` must be the same again when it is opened.
    fn seal(&self, bound: &[u8], plain: &[u8]) -> Vec<u8> {
        let digest = keyed_digest(&self.nonces, &[bound, plain]);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&digest[..NONCE_BYTES]);
        let payload = Payload {
            msg: plain,
            aad: bound,
        };
        let ciphertext = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a body is far below the 256 GiB that the cipher takes");
        [nonce.as_slice(), &ciphertext].concat()
    }

    fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: ciphertext,
            aad: bound,
        };
        self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

type Digest = Hmac<sha2::Sha256>;

fn keyed_digest(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    begin_digest(key, parts).finalize().into_bytes().into()
}

fn begin_digest(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> Digest {
    let digest = <Digest as hmac::KeyInit>::new_from_slice(key);
    let mut digest = digest.expect("HMAC takes a key of any length");
    for part in parts {
        // With their lengths, so that no two lists of parts read the same.
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest
}

/// Returns a body as its file holds it: magic, owner, nonce, ciphertext and tag.
pub fn seal_body(key: &SealKey, owner: Owner, plain: &[u8]) -> Vec<u8> {
    let mut file = bound_to(BODY_MAGIC, owner);
    let sealed = key.seal(&file, plain);
    file.extend(sealed);
    file
}

/// Returns whose a sealed body is; nothing when it is none.
pub fn owner_of_body(file: &[u8]) -> Option<Owner> {
    let rest = file.strip_prefix(BODY_MAGIC)?;
    let number = rest.first_chunk()?;
    Some(Owner::from_number(u64::from_be_bytes(*number)))
}

/// Returns what a sealed body says, in its own memory; nothing when it is none, or not of this key.
pub fn open_body(key: &SealKey, mut file: Vec<u8>) -> Option<Vec<u8>> {
    owner_of_body(&file)?;
    let (header, sealed) = file.split_at_mut(BODY_HEADER_BYTES);
    let (nonce, ciphertext) = sealed.split_first_chunk_mut::<NONCE_BYTES>()?;
    let (text, tag) = ciphertext.split_last_chunk_mut::<TAG_BYTES>()?;
    let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
    let opened = key
        .cipher()
        .decrypt_inout_detached(&nonce, header, text.into(), &tag);
    opened.ok()?;
    file.truncate(file.len() - TAG_BYTES);
    file.drain(..BODY_HEADER_BYTES + NONCE_BYTES);
    Some(file)
}

/// Returns a text as it stands in the log. An empty one stays empty.
pub fn seal_text(key: &SealKey, owner: Owner, plain: &str) -> String {
    if plain.is_empty() {
        return String::new();
    }
    let sealed = key.seal(&bound_to(TEXT_MAGIC, owner), plain.as_bytes());
    format!("{TEXT_PREFIX}{}", BASE64_STANDARD_NO_PAD.encode(sealed))
}

/// Returns whether a text has the form of a sealed one.
pub fn is_sealed_text(text: &str) -> bool {
    text.starts_with(TEXT_PREFIX)
}

/// Returns what a sealed text says; nothing when it is none, or not of this key and owner.
pub fn open_text(key: &SealKey, owner: Owner, sealed: &str) -> Option<String> {
    let base64 = sealed.strip_prefix(TEXT_PREFIX)?;
    let sealed = BASE64_STANDARD_NO_PAD.decode(base64).ok()?;
    let plain = key.open(&bound_to(TEXT_MAGIC, owner), &sealed)?;
    String::from_utf8(plain).ok()
}

fn bound_to(magic: &[u8], owner: Owner) -> Vec<u8> {
    let mut bound = magic.to_vec();
    bound.extend(owner.number().to_be_bytes());
    bound
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWNER: Owner = Owner::Task(TaskId(0xa));

    proptest! {
        #[test]
        fn what_is_sealed_opens_is_always_the_same_and_shows_nothing_of_itself(
            key: [u8; KEY_BYTES],
            plain in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let key = SealKey::new(&key);
            let sealed = seal_body(&key, OWNER, &plain);
            prop_assert_eq!(&seal_body(&key, OWNER, &plain), &sealed);
            prop_assert_eq!(sealed.len() as u64, plain.len() as u64 + BODY_OVERHEAD_BYTES);
            prop_assert_eq!(owner_of_body(&sealed), Some(OWNER));
            prop_assert_eq!(open_body(&key, sealed.clone()), Some(plain.clone()));
            let shown = plain.len() >= 8 && sealed.windows(8).any(|part| part == &plain[..8]);
            prop_assert!(!shown);
        }

        #[test]
        fn any_flipped_bit_another_key_and_another_owner_are_refused(
            bytes: [u8; KEY_BYTES],
            plain in "[a-z ]{1,60}",
            place: prop::sample::Index,
            bit in 0u32..8,
        ) {
            let key = SealKey::new(&bytes);
            let mut sealed = seal_body(&key, OWNER, plain.as_bytes());
            let place = place.index(sealed.len());
            sealed[place] ^= 1u8 << bit;
            prop_assert_eq!(open_body(&key, sealed), None);
            let text = seal_text(&key, OWNER, &plain);
            prop_assert_eq!(open_text(&key, OWNER, &text), Some(plain));
            prop_assert_eq!(open_text(&key, Owner::Service, &text), None);
            let mut other = bytes;
            other[0] ^= 1;
            prop_assert_eq!(open_text(&SealKey::new(&other), OWNER, &text), None);
        }
    }

    #[test]
    fn a_text_that_is_none_is_told_apart_and_an_empty_one_stays_empty() {
        let key = SealKey::new(&[7; KEY_BYTES]);
        assert_eq!(seal_text(&key, OWNER, ""), "");
        assert!(is_sealed_text(&seal_text(&key, OWNER, "x")));
        for no_text in ["", "x", "sealed:1:", "sealed:1:%", "sealed:1:AAAA"] {
            assert_eq!(open_text(&key, OWNER, no_text), None, "{no_text}");
        }
        for no_body in [b"".as_slice(), b"airut-body-1\n", b"airut-body-2\n12345678"] {
            assert_eq!(open_body(&key, no_body.to_vec()), None);
        }
        assert_eq!(format!("{key:?}"), "SealKey");
    }
}
