//! Snapshots: what a projection was at a position, in a file of its own, so that a start need not
//! read the whole log. Each is kept by the projection's name and the number of its code: those of two
//! versions of Airut lie side by side, and neither reads nor replaces the other's. Nothing is
//! believed of such a file: with it goes the Merkle tree of the records it was folded from, and one
//! that is damaged or does not fit the log is not used. It knows no particular projection.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::events::id::{Position, Sha256};
use crate::events::tree::CompactRange;
use crate::projections::{Checkpoint, Feed, Projection};

/// What a file holds between the digest of what follows it and the value, each on a line of its own: so
/// the value, which is as long as all that is remembered, is written and read without another copy of it.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// The Merkle tree up to the checkpoint's position, in hexadecimal digits.
    range: String,
    name: String,
    code_version: u32,
    position: Position,
}

/// A projection's value, and the tree of the records it was folded from.
#[derive(Debug)]
pub struct Snapshot<P> {
    /// The tree.
    pub range: CompactRange,
    /// The value and its position.
    pub feed: Feed<P>,
}

/// A snapshot that lies there, of whatever version of Airut.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The projection's name.
    pub name: String,
    /// The number of its code.
    pub code_version: u32,
    /// The last position it takes into account; nothing when it is damaged.
    pub position: Option<Position>,
}

/// The snapshots of the service in a state directory.
#[derive(Debug, Clone)]
pub struct Snapshots {
    directory: PathBuf,
}

impl Snapshots {
    /// Returns the snapshots below a state directory; nothing is made yet.
    pub fn below(state_dir: &Path) -> Self {
        Self {
            directory: state_dir.join("checkpoints"),
        }
    }

    /// Returns where they lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the file of a projection's snapshot.
    pub fn file(&self, name: &str, code_version: u32) -> PathBuf {
        self.directory.join(format!("{name}.v{code_version}.json"))
    }

    /// Returns the snapshot that this program's version of a projection can go on from, if there is
    /// a whole one. Whether it is of this log is for the caller to compare.
    pub fn read<P: Projection>(&self) -> Option<Snapshot<P>> {
        let (head, value) = read(&self.file(P::NAME, P::CODE_VERSION))?;
        let range = CompactRange::from_bytes(&hex::decode(head.range).ok()?)?;
        let feed = Feed::restore(&Checkpoint {
            name: head.name,
            code_version: head.code_version,
            position: head.position,
            value,
        })?;
        (range.size() == feed.position().0).then_some(Snapshot { range, feed })
    }

    /// Keeps a snapshot, beside those of other versions; a crash leaves the former one or the new one
    /// whole.
    ///
    /// # Errors
    /// What the disk says. Nothing is lost: the next start reads more of the log.
    pub fn write(&self, range: &CompactRange, checkpoint: &Checkpoint) -> std::io::Result<()> {
        let file = self.file(&checkpoint.name, checkpoint.code_version);
        let head = serde_json::to_string(&Head {
            range: hex::encode(range.to_bytes()),
            name: checkpoint.name.clone(),
            code_version: checkpoint.code_version,
            position: checkpoint.position,
        })?;
        std::fs::create_dir_all(&self.directory)?;
        let new = file.with_extension("new");
        let mut opened = std::fs::File::create(&new)?;
        writeln!(opened, "{}\n{head}", digest(&head, &checkpoint.value))?;
        opened.write_all(checkpoint.value.as_bytes())?;
        opened.sync_all()?;
        std::fs::rename(new, file)
    }

    /// Removes the snapshots of a projection's older versions but the newest of them, to which
    /// whoever goes back to the Airut before this one returns. Those of newer versions stay.
    ///
    /// # Errors
    /// What the disk says.
    pub fn retire<P: Projection>(&self) -> std::io::Result<()> {
        let numbers = self.named()?.into_iter();
        let mut older: Vec<u32> = numbers
            .filter(|(name, number)| name == P::NAME && *number < P::CODE_VERSION)
            .map(|(_, number)| number)
            .collect();
        older.sort_unstable();
        older.pop();
        let mut files = older.iter().map(|number| self.file(P::NAME, *number));
        files.try_for_each(std::fs::remove_file)
    }

    /// Returns every snapshot that lies there, by name and number.
    ///
    /// # Errors
    /// What the disk says.
    pub fn found(&self) -> std::io::Result<Vec<Found>> {
        let named = self.named()?.into_iter();
        let mut found: Vec<Found> = named
            .map(|(name, code_version)| {
                let kept = read(&self.file(&name, code_version));
                Found {
                    position: kept.map(|(head, _)| head.position),
                    name,
                    code_version,
                }
            })
            .collect();
        found.sort();
        Ok(found)
    }

    fn named(&self) -> std::io::Result<Vec<(String, u32)>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut named = Vec::new();
        for entry in entries {
            let file = entry?.file_name();
            named.extend(file.to_str().and_then(name_and_number));
        }
        Ok(named)
    }
}

/// Reads `state.v5.json`; other files are nobody's snapshot.
fn name_and_number(file: &str) -> Option<(String, u32)> {
    let (name, number) = file.strip_suffix(".json")?.rsplit_once(".v")?;
    Some((name.to_owned(), number.parse().ok()?))
}

fn read(file: &Path) -> Option<(Head, String)> {
    let mut text = std::fs::read_to_string(file).ok()?;
    let (said, rest) = text.split_once('\n')?;
    let (head, value) = rest.split_once('\n')?;
    (*said == digest(head, value).to_string()).then_some(())?;
    let (head, start) = (serde_json::from_str(head).ok()?, text.len() - value.len());
    text.drain(..start);
    Some((head, text))
}

fn digest(head: &str, value: &str) -> Sha256 {
    let mut digest = sha2::Sha256::new();
    for part in [head, "\n", value] {
        digest.update(part.as_bytes());
    }
    Sha256(digest.finalize().into())
}

#[cfg(test)]
mod tests;
