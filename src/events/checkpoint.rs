//! Checkpoints: a log's size and root, signed, in the form that transparency logs share (C2SP
//! `signed-note` and `tlog-checkpoint`), and the keys that sign and verify them. Pure; it knows no
//! file and no event.
//!
//! ```text
//! note   origin \n · size \n · base64 root \n · \n · signature+
//! sig    "— " name " " base64(key hash ‖ Ed25519 signature of the text before the empty line) \n
//! key    name "+" hex key hash "+" base64(0x01 ‖ public key)
//! hash   SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)[..4]
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::events::id::Sha256;

/// Signatures read of one note; a note with more is refused.
pub const SIGNATURES_MAX: usize = 16;

/// Longest note in bytes; a longer one is refused.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// What a signature line begins with.
const SIGNATURE_START: &str = "— ";

/// What the file of a private key begins with, as Go's `note` package writes it.
const PRIVATE_START: &str = "PRIVATE+KEY+";

/// The signature type of Ed25519.
const ED25519: u8 = 1;

/// Why a key or checkpoint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The text is no key of this form: check how it was copied.
    #[error("this is no key of the form name+hash+base64")]
    NotAKey,
    /// The text is no signed checkpoint: check how it was copied.
    #[error("this is no signed checkpoint: {0}")]
    NotACheckpoint(&'static str),
    /// None of the keys signed it: it is another log's, or a forgery.
    #[error("it is not signed by a key of this log")]
    UnknownKey,
    /// It names one of the keys, but the signature is wrong: a forgery, or damaged.
    #[error("its signature is wrong: it was changed, or another key signed it")]
    WrongSignature,
}

/// A private key with the name of the log that it signs for.
#[derive(Clone)]
pub struct LogKey {
    origin: String,
    key: SigningKey,
}

/// The public side of a [`LogKey`]; printed and read as C2SP's verifier key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    origin: String,
    key: VerifyingKey,
}

impl fmt::Debug for LogKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LogKey({})", self.verifier())
    }
}

impl LogKey {
    /// Returns the first key of a log; the log's name, its origin, is derived from it and stays.
    pub fn first(seed: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        let digest = Sha256::of(key.verifying_key().as_bytes()).to_string();
        let origin = format!("airut-log/{}", &digest[..16]);
        Self { origin, key }
    }

    /// Returns a later key of the log of this origin.
    pub fn later(origin: &str, seed: [u8; 32]) -> Self {
        let (origin, key) = (origin.to_owned(), SigningKey::from_bytes(&seed));
        Self { origin, key }
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the public side.
    pub fn verifier(&self) -> Verifier {
        Verifier {
            origin: self.origin.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// Returns the signature of some bytes.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }

    /// Returns a signed checkpoint of this log.
    pub fn checkpoint(&self, size: u64, root: Sha256) -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size,
            root,
        };
        let text = checkpoint.text();
        let signature = NoteSignature {
            name: self.origin.clone(),
            key_hash: self.verifier().hash(),
            signature: self.sign(text.as_bytes()),
        };
        SignedCheckpoint {
            checkpoint,
            text,
            signatures: vec![signature],
        }
    }

    /// Returns the private key's stored form. It goes into a file that only its owner reads.
    pub fn to_private_text(&self) -> String {
        let mut key = vec![ED25519];
        key.extend(self.key.to_bytes());
        let hash = hex::encode(self.verifier().hash());
        let key = BASE64_STANDARD.encode(key);
        format!("{PRIVATE_START}{}+{hash}+{key}\n", self.origin)
    }

    /// Reads the stored form of a private key.
    ///
    /// # Errors
    /// [`CheckpointError::NotAKey`].
    pub fn from_private_text(text: &str) -> Result<Self, CheckpointError> {
        let text = text.trim_end().strip_prefix(PRIVATE_START);
        let (origin, hash, seed) = split_key(text.ok_or(CheckpointError::NotAKey)?)?;
        let key = Self::later(origin, seed);
        let fits = key.verifier().hash() == hash;
        fits.then_some(key).ok_or(CheckpointError::NotAKey)
    }
}

/// Returns the text that an old key signs when a new one follows.
pub fn rotation_text(old_key: &str, new_key: &str) -> String {
    format!("airut log key rotation 1\n{old_key}\n{new_key}\n")
}

/// Splits `name+hash+key`; the key's bytes come without their type.
fn split_key(text: &str) -> Result<(&str, [u8; 4], [u8; 32]), CheckpointError> {
    let split = || {
        // Base64 may contain a plus sign, a name may not.
        let (name, rest) = text.split_once('+')?;
        let (hash, key) = rest.split_once('+')?;
        let hash = hex::decode(hash).ok()?.try_into().ok()?;
        let key = BASE64_STANDARD.decode(key).ok()?;
        let (kind, key) = key.split_first()?;
        let usable = *kind == ED25519 && is_name(name);
        usable.then_some((name, hash, key.try_into().ok()?))
    };
    split().ok_or(CheckpointError::NotAKey)
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.chars().all(plain)
}

impl Verifier {
    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns what names this key in a signature line.
    pub fn hash(&self) -> [u8; 4] {
        let named = [self.origin.as_bytes(), &[b'\n', ED25519]].concat();
        let digest = Sha256::of(&[&named, self.key.as_bytes().as_slice()].concat());
        let [a, b, c, d, ..] = digest.0;
        [a, b, c, d]
    }

    /// Tells whether this key made a signature.
    pub fn verifies(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.key.verify_strict(bytes, &signature).is_ok()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend(self.key.as_bytes());
        let (hash, key) = (hex::encode(self.hash()), BASE64_STANDARD.encode(key));
        write!(formatter, "{}+{hash}+{key}", self.origin)
    }
}

impl FromStr for Verifier {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let (origin, hash, key) = split_key(text.trim())?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| CheckpointError::NotAKey)?;
        let origin = origin.to_owned();
        let verifier = Self { origin, key };
        let fits = verifier.hash() == hash;
        fits.then_some(verifier).ok_or(CheckpointError::NotAKey)
    }
}

/// What a log says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many records it has.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Sha256,
}

impl Checkpoint {
    fn text(&self) -> String {
        let (origin, size) = (&self.origin, self.size);
        let root = BASE64_STANDARD.encode(self.root.0);
        format!("{origin}\n{size}\n{root}\n")
    }

    /// Reads the text; lines behind the third are left to others.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let parsed: u64 = size.parse().ok()?;
        let root = BASE64_STANDARD.decode(root).ok()?.try_into().ok()?;
        // One number has one form: no sign, no leading zero.
        let canonical = parsed.to_string() == size && !origin.is_empty();
        canonical.then(|| Self {
            origin: origin.to_owned(),
            size: parsed,
            root: Sha256(root),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    key_hash: [u8; 4],
    signature: [u8; 64],
}

impl NoteSignature {
    fn base64(&self) -> String {
        let bytes = [self.key_hash.as_slice(), &self.signature].concat();
        BASE64_STANDARD.encode(bytes)
    }

    /// Reads a name and the Base64 behind it; nothing for a signature of another type, which is
    /// longer or shorter and is to be passed over.
    fn parse(name: &str, base64: &str) -> Result<Option<Self>, CheckpointError> {
        let malformed = CheckpointError::NotACheckpoint("a signature line is malformed");
        let bytes = BASE64_STANDARD.decode(base64).ok();
        let split = bytes.as_deref().and_then(<[u8]>::split_first_chunk);
        let Some((key_hash, signature)) = split.filter(|_| is_name(name)) else {
            return Err(malformed);
        };
        Ok(signature.try_into().ok().map(|signature| Self {
            name: name.to_owned(),
            key_hash: *key_hash,
            signature,
        }))
    }
}

/// A checkpoint with its signatures, which are verified when [`Self::verified_by`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedCheckpoint {
    /// Returns what it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the C2SP note.
    pub fn to_note(&self) -> String {
        let line = |signature: &NoteSignature| {
            let (name, base64) = (&signature.name, signature.base64());
            format!("{SIGNATURE_START}{name} {base64}\n")
        };
        let signatures: String = self.signatures.iter().map(line).collect();
        format!("{}\n{signatures}", self.text)
    }

    /// Reads a C2SP note.
    ///
    /// # Errors
    /// [`CheckpointError::NotACheckpoint`].
    pub fn from_note(note: &str) -> Result<Self, CheckpointError> {
        let not = CheckpointError::NotACheckpoint;
        if note.len() > NOTE_BYTES_MAX {
            return Err(not("it is too long"));
        }
        let control = |c: char| c.is_ascii_control() && c != '\n';
        if note.contains(control) {
            return Err(not("it holds control characters"));
        }
        let end = note
            .rfind("\n\n")
            .ok_or_else(|| not("it has no signature"))?;
        let (text, signed) = (&note[..=end], &note[end + 2..]);
        let checkpoint =
            Checkpoint::parse(text).ok_or_else(|| not("its three lines are malformed"))?;
        let signed = signed
            .strip_suffix('\n')
            .ok_or_else(|| not("its end is missing"))?;
        if signed.lines().count() > SIGNATURES_MAX {
            return Err(not("it has too many signatures"));
        }
        let mut signatures = Vec::new();
        for line in signed.split('\n') {
            let signature = line.strip_prefix(SIGNATURE_START);
            let signature = signature.and_then(|rest| rest.split_once(' '));
            let (name, base64) = signature.ok_or_else(|| not("a signature line is malformed"))?;
            signatures.extend(NoteSignature::parse(name, base64)?);
        }
        Ok(Self {
            checkpoint,
            text: text.to_owned(),
            signatures,
        })
    }

    /// Returns the same on one line, for a mail's header: origin, size, root, signature.
    pub fn to_line(&self) -> String {
        let signatures = self.signatures.iter().map(NoteSignature::base64);
        let signatures: Vec<String> = signatures.collect();
        let text = self.text.trim_end().replace('\n', " ");
        format!("{text} {}", signatures.join(" "))
    }

    /// Reads the form on one line; white space may be anything, as mail servers fold headers.
    ///
    /// # Errors
    /// [`CheckpointError::NotACheckpoint`].
    pub fn from_line(line: &str) -> Result<Self, CheckpointError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [origin, size, root, signature] = words.as_slice() else {
            let words = "a line has origin, size, root and signature";
            return Err(CheckpointError::NotACheckpoint(words));
        };
        Self::from_note(&format!(
            "{origin}\n{size}\n{root}\n\n{SIGNATURE_START}{origin} {signature}\n"
        ))
    }

    /// Checks that one of the keys signed it. Signatures of keys that are not given are passed
    /// over; a wrong one of a given key is an error.
    ///
    /// # Errors
    /// [`CheckpointError::UnknownKey`] or [`CheckpointError::WrongSignature`].
    pub fn verified_by(&self, keys: &[Verifier]) -> Result<(), CheckpointError> {
        let mut verified = Err(CheckpointError::UnknownKey);
        for signature in &self.signatures {
            let named =
                |key: &&Verifier| key.origin == signature.name && key.hash() == signature.key_hash;
            let Some(key) = keys.iter().find(named) else {
                continue;
            };
            if !key.verifies(self.text.as_bytes(), &signature.signature) {
                return Err(CheckpointError::WrongSignature);
            }
            // The signature must be for this log, not for another that shares the key.
            if key.origin == self.checkpoint.origin {
                verified = Ok(());
            }
        }
        verified
    }
}

#[cfg(test)]
mod tests;
