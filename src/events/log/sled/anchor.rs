//! The anchor: a small signed file that says how far the journal certainly reached. A journal that
//! is shorter, or another one, does not pass for it. It knows no sled.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::events::checkpoint::{LogKey, Verifier};
use crate::events::id::Sha256;
use crate::events::log::journal::{Journal, replace_file};
use crate::events::log::key;
use crate::events::log::store::StoreError;
use crate::events::tree::CompactRange;

const TITLE: &str = "airut anchor 1";

/// How far the journal certainly reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::events::log) struct Anchor {
    /// The Merkle tree up to there.
    pub(in crate::events::log) range: CompactRange,
    /// Leaf hash of the last record.
    pub(in crate::events::log) last_leaf: Sha256,
    /// Offset in the journal behind it.
    pub(in crate::events::log) journal_end: u64,
}

impl Anchor {
    /// The anchor of an empty log.
    pub(super) fn empty() -> Self {
        let range = CompactRange::default();
        Self {
            range,
            last_leaf: Sha256([0; 32]),
            journal_end: Journal::start(),
        }
    }

    fn text(&self) -> String {
        let (size, root) = (self.range.size(), self.range.root());
        let range = hex::encode(self.range.to_bytes());
        let Self {
            last_leaf,
            journal_end,
            ..
        } = self;
        format!(
            "{TITLE}\nsize {size}\nroot {root}\nleaf {last_leaf}\njournal {journal_end}\n\
             range {range}\n"
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == TITLE).then_some(())?;
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let (_size, _root) = (field("size")?, field("root")?);
        let last_leaf = Sha256(hex::decode(field("leaf")?).ok()?.try_into().ok()?);
        let journal_end = field("journal")?.parse().ok()?;
        let range = CompactRange::from_bytes(&hex::decode(field("range")?).ok()?)?;
        Some(Self {
            range,
            last_leaf,
            journal_end,
        })
    }
}

/// The anchor's file and the key that signs it.
#[derive(Debug)]
pub(super) struct AnchorFile {
    path: PathBuf,
    key: LogKey,
    /// Public keys whose signature counts: the key's own and, while a rotation is under way, the
    /// one that follows it.
    verifiers: Vec<Verifier>,
}

impl AnchorFile {
    /// Reads the key in the log's directory, or makes it.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let key = key::read_or_make(directory)?;
        let mut verifiers = vec![key.verifier()];
        verifiers.extend(key::read_next(directory)?.map(|next| next.verifier()));
        Ok(Self {
            path: path_in(directory),
            key,
            verifiers,
        })
    }

    /// Returns the file, to be signed with a given key.
    pub(super) fn signing_with(directory: &Path, key: LogKey) -> Self {
        Self {
            path: path_in(directory),
            verifiers: vec![key.verifier()],
            key,
        }
    }

    /// Returns the key that signs.
    pub(super) fn key(&self) -> &LogKey {
        &self.key
    }

    /// Returns the anchor, its signature verified; nothing when there is no file.
    pub(super) fn read(&self) -> Result<Option<Anchor>, StoreError> {
        read(&self.path, &self.verifiers)
    }

    /// Replaces the file, durably.
    pub(super) fn write(&self, anchor: &Anchor) -> Result<(), StoreError> {
        let mut text = anchor.text();
        let signature = self.key.sign(text.as_bytes());
        let signature = hex::encode(signature);
        text = format!("{text}signature {signature}\n");
        replace_file(&self.path, text.as_bytes())
    }
}

/// Returns where the anchor of the log in a directory lies.
pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join("anchor")
}

/// Returns an anchor that one of the keys signed; nothing when there is no file.
fn read(path: &Path, verifiers: &[Verifier]) -> Result<Option<Anchor>, StoreError> {
    let Some(text) = read_text(path)? else {
        return Ok(None);
    };
    let path = path.display();
    verify(&text, verifiers)
        .map(Some)
        .ok_or_else(|| StoreError(format!("{path} is not signed by this log's key")))
}

/// Returns the anchor's text; nothing when there is no file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, StoreError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the anchor in a text, if one of the keys signed it.
pub(super) fn verify(text: &str, verifiers: &[Verifier]) -> Option<Anchor> {
    let (signed, signature) = text.rsplit_once("signature ")?;
    let signature = hex::decode(signature.trim_end()).ok()?.try_into().ok()?;
    let mut verifiers = verifiers.iter();
    let verified = verifiers.any(|key| key.verifies(signed.as_bytes(), &signature));
    verified.then(|| Anchor::parse(signed))?
}
