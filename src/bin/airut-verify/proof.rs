//! Proofs as text: a first line that says which, a few fields, hashes, an empty line, a checkpoint.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::merkle::{Hash, is_consistent, leaf, root_from_inclusion};
use crate::note::Note;

/// Hashes of a proof; no tree of this world needs more.
const HASHES_MAX: usize = 128;

/// That a record is in a log (C2SP `tlog-proof`).
pub(crate) struct Inclusion {
    pub(crate) record: Vec<u8>,
    pub(crate) index: u64,
    path: Vec<Hash>,
    pub(crate) checkpoint: Note,
}

/// That a log is the beginning of another.
pub(crate) struct Consistency {
    old: u64,
    path: Vec<Hash>,
    pub(crate) checkpoint: Note,
}

impl Inclusion {
    /// Reads it; it says nothing before [`Self::check`].
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (head, checkpoint) = split(text, "c2sp.org/tlog-proof@v1")?;
        let (record, rest) = field(&head, "extra")?;
        let (index, rest) = field(rest, "index")?;
        let record = BASE64_STANDARD.decode(record);
        Ok(Self {
            record: record.map_err(|_| "the record is not base64")?,
            index: number(index)?,
            path: hashes(rest)?,
            checkpoint: Note::parse(checkpoint)?,
        })
    }

    /// Checks that the record leads to the checkpoint's root.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Note { size, root, .. } = &self.checkpoint;
        let led_to = root_from_inclusion(leaf(&self.record), self.index, *size, &self.path);
        match led_to {
            Some(led_to) if led_to == *root => Ok(()),
            _ => Err("the record is NOT in the log: it does not lead to the root".to_owned()),
        }
    }
}

impl Consistency {
    /// Reads it; it says nothing before [`Self::check`].
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (head, checkpoint) = split(text, "airut/consistency-proof@v1")?;
        let (old, rest) = field(&head, "old")?;
        Ok(Self {
            old: number(old)?,
            path: hashes(rest)?,
            checkpoint: Note::parse(checkpoint)?,
        })
    }

    /// Checks that the old checkpoint's log is the beginning of the new one's.
    pub(crate) fn check(&self, old: &Note) -> Result<(), String> {
        if old.size != self.old {
            let (asked, proved) = (old.size, self.old);
            return Err(format!(
                "the proof is for {proved} records, the old checkpoint has {asked}"
            ));
        }
        let new = &self.checkpoint;
        let consistent = is_consistent((old.size, &old.root), (new.size, &new.root), &self.path);
        let words = "the new log does NOT begin with the old one: the past was changed";
        consistent.then_some(()).ok_or_else(|| words.to_owned())
    }
}

/// Returns the lines before the first empty one, without the first, and what follows.
fn split<'a>(text: &'a str, first: &str) -> Result<(Vec<&'a str>, &'a str), String> {
    let (head, rest) = text
        .split_once("\n\n")
        .ok_or("the proof has no checkpoint")?;
    let mut lines = head.lines();
    if lines.next() != Some(first) {
        return Err(format!("the proof does not begin with {first}"));
    }
    Ok((lines.collect(), rest))
}

fn field<'a, 'b>(lines: &'b [&'a str], name: &str) -> Result<(&'a str, &'b [&'a str]), String> {
    let value = lines.split_first().and_then(|(line, rest)| {
        let value = line.strip_prefix(name)?.strip_prefix(' ')?;
        Some((value, rest))
    });
    value.ok_or_else(|| format!("the proof lacks {name}"))
}

fn number(text: &str) -> Result<u64, String> {
    let number: Option<u64> = text.parse().ok();
    let canonical = number.filter(|number| number.to_string() == text);
    canonical.ok_or_else(|| format!("{text:?} is no number"))
}

fn hashes(lines: &[&str]) -> Result<Vec<Hash>, String> {
    if lines.len() > HASHES_MAX {
        return Err("the proof has too many hashes".to_owned());
    }
    let hash = |line: &&str| BASE64_STANDARD.decode(line).ok()?.try_into().ok();
    let hashes: Option<Vec<Hash>> = lines.iter().map(hash).collect();
    hashes.ok_or_else(|| "a hash of the proof is malformed".to_owned())
}
