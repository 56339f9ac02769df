//! Copying the files of a log that somebody may be writing to: it takes no lock and changes nothing
//! of the log. What a backup is, and when one counts, it does not know.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::events::log::journal::{HEADER, sync_directory};
use crate::events::log::sled::anchor_text as read_anchor;
use crate::events::log::store::StoreError;

/// Name of the journal's file within the log's directory.
pub const JOURNAL_FILE: &str = "journal";

/// Name of the anchor's file within the log's directory.
pub const ANCHOR_FILE: &str = "anchor";

/// Bytes that are compared or copied at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extended {
    /// It is now as long as the journal was asked for; so many bytes were written.
    Written(u64),
    /// It differs at this byte, before what must be there; nothing was changed.
    Differs(u64),
}

/// Returns the text of the anchor of the log in a directory; nothing when there is none.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn anchor_text(directory: &Path) -> Result<Option<String>, StoreError> {
    read_anchor(directory)
}

/// Tells whether the log in a directory has an event, or bytes that may be one.
pub fn has_events(directory: &Path) -> bool {
    let journal = std::fs::metadata(directory.join(JOURNAL_FILE));
    journal.is_ok_and(|journal| journal.len() > HEADER.len() as u64)
}

/// Makes what a journal holds now durable, so that a copy never has what the log may still lose.
///
/// # Errors
/// [`StoreError`] when the disk fails.
pub fn sync_journal(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(JOURNAL_FILE);
    let file = File::open(&path).map_err(named(&path))?;
    file.sync_data().map_err(named(&path))
}

/// Brings a copy of a journal up to `end`, and makes it durable. What it has is compared byte by
/// byte: from the first `kept` bytes nothing may differ; what an interrupted copy left behind them
/// is written again.
///
/// # Errors
/// [`StoreError`] when the disk fails.
pub fn extend_journal(from: &Path, to: &Path, kept: u64, end: u64) -> Result<Extended, StoreError> {
    let (from, to) = (from.join(JOURNAL_FILE), to.join(JOURNAL_FILE));
    let mut source = File::open(&from).map_err(named(&from))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut copy = options.mode(0o600).open(&to).map_err(named(&to))?;
    let length = copy.metadata().map_err(named(&to))?.len().min(end);
    let same = same_bytes(&mut source, &mut copy, length).map_err(named(&to))?;
    if same < length.min(kept) {
        return Ok(Extended::Differs(same));
    }
    let written = write_from(&mut source, &mut copy, same, end);
    written.map_err(named(&to))?;
    sync_directory(&to)?;
    Ok(Extended::Written(end - same))
}

/// Returns how many bytes of the first `length` are the same in both, from the beginning.
fn same_bytes(source: &mut File, copy: &mut File, length: u64) -> std::io::Result<u64> {
    let (mut ours, mut theirs) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut same = 0;
    while same < length {
        let chunk = CHUNK_BYTES.min(usize::try_from(length - same).unwrap_or(CHUNK_BYTES));
        let (ours, theirs) = (&mut ours[..chunk], &mut theirs[..chunk]);
        source.read_exact(ours)?;
        copy.read_exact(theirs)?;
        if ours != theirs {
            let pairs = ours.iter().zip(theirs.iter());
            let equal = pairs.take_while(|(our, their)| our == their).count();
            return Ok(same + equal as u64);
        }
        same += chunk as u64;
    }
    Ok(same)
}

fn write_from(source: &mut File, copy: &mut File, start: u64, end: u64) -> std::io::Result<()> {
    copy.set_len(start)?;
    source.seek(SeekFrom::Start(start))?;
    copy.seek(SeekFrom::Start(start))?;
    let copied = std::io::copy(&mut source.take(end - start), copy)?;
    copy.sync_all()?;
    if copied < end - start {
        let what = "the journal became shorter while it was copied";
        return Err(std::io::Error::other(what));
    }
    Ok(())
}

/// Replaces a small file durably and at once: whoever reads it finds the old text or the new one.
///
/// # Errors
/// [`StoreError`] when the disk fails.
pub fn replace_file(path: &Path, text: &str) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new).map_err(named(&new))?;
    file.write_all(text.as_bytes()).map_err(named(&new))?;
    file.sync_all().map_err(named(&new))?;
    std::fs::rename(&new, path).map_err(named(path))?;
    sync_directory(path)
}

/// Gives a directory another name, durably.
///
/// # Errors
/// [`StoreError`] when something with that name is in the way, or the disk fails.
pub fn rename_directory(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(named(to))?;
    sync_directory(to)
}

/// Makes a directory that only its owner reads, and those above it.
///
/// # Errors
/// [`StoreError`] when it cannot be made.
pub fn make_directory(path: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(named(path))
}

fn named(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.display().to_string();
    move |error| StoreError(format!("{path}: {error}"))
}
