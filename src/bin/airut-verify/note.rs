//! Signed checkpoints and the keys that sign them (C2SP `signed-note` and `tlog-checkpoint`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::merkle::Hash;

/// Signature lines that are read; a note with more is refused.
const SIGNATURES_MAX: usize = 16;

/// A public key and the name it signs under.
pub(crate) struct Key {
    name: String,
    hash: [u8; 4],
    key: VerifyingKey,
}

impl Key {
    /// Reads `name+hash+base64`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let not = || format!("{text:?} is no key of the form name+hash+base64");
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(not());
        };
        let typed = BASE64_STANDARD.decode(key).map_err(|_| not())?;
        let Some((1, key)) = typed.split_first().map(|(kind, key)| (*kind, key)) else {
            return Err("the key is not of type Ed25519".to_owned());
        };
        let key = key.try_into().map_err(|_| not())?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| not())?;
        let computed = Sha256::new()
            .chain_update(name)
            .chain_update(b"\n")
            .chain_update(&typed);
        let [a, b, c, d, ..]: Hash = computed.finalize().into();
        let named = u32::from_str_radix(hash, 16).map_err(|_| not())?;
        if named.to_be_bytes() != [a, b, c, d] || name.is_empty() || hash.len() != 8 {
            return Err(format!(
                "{text:?}: the hash in it is not that of its name and key"
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            hash: [a, b, c, d],
            key,
        })
    }
}

/// A checkpoint as it was read; it counts once [`Note::signed_by`] says who signed it.
pub(crate) struct Note {
    origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
    text: String,
    signatures: Vec<(String, [u8; 4], [u8; 64])>,
}

impl Note {
    /// Reads a note.
    pub(crate) fn parse(note: &str) -> Result<Self, String> {
        let not = |what: &str| format!("this is no signed checkpoint: {what}");
        let end = note
            .rfind("\n\n")
            .ok_or_else(|| not("an empty line is missing"))?;
        let text = &note[..=end];
        let signed = note[end + 2..]
            .strip_suffix('\n')
            .ok_or_else(|| not("its end is missing"))?;
        let lines: Vec<&str> = text.lines().collect();
        let [origin, size, root, ..] = lines.as_slice() else {
            return Err(not("it has fewer than three lines"));
        };
        let number: u64 = size.parse().map_err(|_| not("its size is no number"))?;
        if number.to_string() != *size || origin.is_empty() {
            return Err(not("its size or origin is not in the one form"));
        }
        let root = BASE64_STANDARD
            .decode(root)
            .map_err(|_| not("its root is not base64"))?;
        let root = root.try_into().map_err(|_| not("its root is no SHA-256"))?;
        let lines: Vec<&str> = signed.split('\n').collect();
        if lines.len() > SIGNATURES_MAX {
            return Err(not("it has too many signatures"));
        }
        let mut signatures = Vec::new();
        for line in lines {
            let signature = signature(line).ok_or_else(|| not("a signature line is malformed"))?;
            signatures.extend(signature);
        }
        Ok(Self {
            origin: (*origin).to_owned(),
            size: number,
            root,
            text: text.to_owned(),
            signatures,
        })
    }

    /// Returns the name of the log, if one of the keys signed this for it.
    pub(crate) fn signed_by(&self, keys: &[Key]) -> Result<&str, String> {
        for (name, hash, signature) in &self.signatures {
            let named = |key: &&Key| key.name == *name && key.hash == *hash;
            let Some(key) = keys.iter().find(named) else {
                continue;
            };
            let signature = Signature::from_bytes(signature);
            let verified = key.key.verify_strict(self.text.as_bytes(), &signature);
            verified.map_err(|_| format!("the signature of {name} is WRONG"))?;
            if key.name == self.origin {
                return Ok(&self.origin);
            }
        }
        Err(format!("none of the given keys signed for {}", self.origin))
    }
}

/// Reads a signature line; nothing inside for one of another type, which is to be passed over.
#[expect(
    clippy::type_complexity,
    reason = "malformed, of another type, or read"
)]
fn signature(line: &str) -> Option<Option<(String, [u8; 4], [u8; 64])>> {
    let (name, base64) = line.strip_prefix("— ")?.split_once(' ')?;
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let (hash, signature) = bytes.split_first_chunk::<4>()?;
    let signature: Option<[u8; 64]> = signature.try_into().ok();
    Some(signature.map(|signature| (name.to_owned(), *hash, signature)))
}
