//! Mails that somebody saved, as files, in a Maildir or in an mbox file; of each the checkpoint that
//! came with it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::events::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::handlers::channels::email::headers::Headers;
use crate::handlers::channels::email::render::CHECKPOINT_HEADER;

/// Longest file that is read, in bytes; of a longer one the rest is passed over, with a word.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Files that are looked at; more are passed over, with a word.
const FILES_MAX: usize = 1_000_000;

/// A mail or a message, and what it says of the log.
#[derive(Debug, Clone)]
pub struct SavedMessage {
    /// Its file, and its number within it where that holds several.
    pub name: String,
    /// When it was sent, as it says itself.
    pub date: String,
    /// The checkpoint; nothing when it carries none.
    pub checkpoint: Option<Result<SignedCheckpoint, CheckpointError>>,
}

/// Reads all mails in files and directories.
///
/// # Errors
/// Any error of the disk.
pub fn saved_mails(paths: &[PathBuf]) -> std::io::Result<Vec<SavedMessage>> {
    in_files(paths, mails_in)
}

/// Reads what is in files, and in those of directories, with `read`.
pub(super) fn in_files(
    paths: &[PathBuf],
    read: impl Fn(&Path) -> std::io::Result<Vec<SavedMessage>>,
) -> std::io::Result<Vec<SavedMessage>> {
    let mut open: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    let (mut found_in, mut files) = (Vec::new(), 0);
    while let Some(path) = open.pop() {
        let found = std::fs::symlink_metadata(&path)?;
        if found.is_dir() {
            let entries = std::fs::read_dir(&path)?.map(|entry| Ok(entry?.path()));
            let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
            entries.sort_unstable_by(|one, other| other.cmp(one));
            open.extend(entries);
        } else if found.is_file() && files < FILES_MAX {
            files += 1;
            found_in.extend(read(&path)?);
        } else {
            tracing::warn!(path = %path.display(), "passed over");
        }
    }
    Ok(found_in)
}

/// Returns the bytes of a file.
pub(super) fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == FILE_BYTES_MAX {
        tracing::warn!(path = %path.display(), "its end was passed over: it is too long");
    }
    Ok(bytes)
}

fn mails_in(path: &Path) -> std::io::Result<Vec<SavedMessage>> {
    let bytes = bytes_of(path)?;
    let name = path.display().to_string();
    if !bytes.starts_with(b"From ") {
        return Ok(vec![mail(name, &bytes)]);
    }
    let mails = split_mbox(&bytes).into_iter().zip(1..);
    Ok(mails
        .map(|(bytes, number)| mail(format!("{name}#{number}"), bytes))
        .collect())
}

/// Returns the mails of an mbox: each behind a line that begins with `From `, at the file's start or
/// after an empty line.
fn split_mbox(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut starts, mut at, mut after_empty) = (Vec::new(), 0, true);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if after_empty && line.starts_with(b"From ") {
            starts.push((at, at + line.len()));
        }
        after_empty = line == b"\n" || line == b"\r\n";
        at += line.len();
    }
    let ends = starts
        .iter()
        .skip(1)
        .map(|(start, _)| *start)
        .chain([bytes.len()]);
    let ranges = starts.iter().map(|(_, first)| *first).zip(ends);
    ranges.map(|(first, end)| &bytes[first..end]).collect()
}

fn mail(name: String, bytes: &[u8]) -> SavedMessage {
    let headers = Headers::of(bytes);
    let field = CHECKPOINT_HEADER.to_ascii_lowercase();
    SavedMessage {
        name,
        date: headers.first("date").unwrap_or("no date").to_owned(),
        checkpoint: headers.first(&field).map(SignedCheckpoint::from_line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::checkpoint::LogKey;
    use crate::events::id::Sha256;

    #[test]
    fn mails_are_found_in_files_directories_and_an_mbox() {
        let signed = LogKey::first([1; 32]).checkpoint(3, Sha256([2; 32]));
        let folded = signed.to_line().replace(' ', "\r\n ");
        let mail = format!("Date: today\r\nAirut-Checkpoint: {folded}\r\n\r\nHello\r\n");
        let directory = tempfile::TempDir::new().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("Maildir/cur")).unwrap();
        std::fs::write(root.join("Maildir/cur/1:2,S"), &mail).unwrap();
        std::fs::write(
            root.join("none.eml"),
            "Subject: x\r\n\r\nAirut-Checkpoint: y",
        )
        .unwrap();
        let mbox = format!("From a\n{mail}\nFrom b\nDate: later\n\n>From here on\n");
        std::fs::write(root.join("box"), mbox).unwrap();
        let mails = saved_mails(&[root.to_owned()]).unwrap();
        let found = mails.iter().map(|mail| {
            let name = mail.name.strip_prefix(root.to_str().unwrap()).unwrap();
            let checkpoint = mail.checkpoint.clone();
            (
                name,
                mail.date.as_str(),
                checkpoint.map(|read| read.unwrap() == signed),
            )
        });
        let expected = [
            ("/Maildir/cur/1:2,S", "today", Some(true)),
            ("/box#1", "today", Some(true)),
            ("/box#2", "later", None),
            ("/none.eml", "no date", None),
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
