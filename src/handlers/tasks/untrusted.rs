//! Files in directories that an agent writes to, too. Whatever lies there may be a link, a pipe or
//! a million entries, and may change while it is looked at: no link is followed, nothing waits, and
//! everything is counted.
//!
//! The directories themselves are mounted into the container one by one, so that no agent can put
//! something else in their place; hard links from one mount into another are refused by the kernel.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Returns whether a regular file lies there, and no link to one.
pub(super) fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Returns whether a directory lies there, and no link to one.
pub(super) fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns at most `entries_max` paths of a directory, sorted, and whether they are all.
pub(super) fn entries(directory: &Path, entries_max: usize) -> (Vec<PathBuf>, bool) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let entries = entries.map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.take(entries_max + 1).collect();
    let is_whole = paths.len() <= entries_max;
    paths.truncate(entries_max);
    paths.sort();
    (paths, is_whole)
}

/// Reads a regular file of at most `bytes_max` bytes; a link or pipe that took its place is refused.
pub(super) fn read_file(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = flags.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(std::io::Error::other("too large"));
    }
    Ok(bytes)
}

/// Returns whether a regular file with exactly these bytes lies there.
pub(super) fn has_content(path: &Path, bytes: &[u8]) -> bool {
    is_file(path) && read_file(path, bytes.len() as u64).is_ok_and(|there| there == bytes)
}

/// Puts a file where nothing lies yet; returns whether it is there now. It is written in `safe`, a
/// directory of the same disk that no agent sees, and moved without following or replacing anything.
pub(super) fn put_new(safe: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<bool> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    let unfinished = safe.join("incoming.new");
    // What a crash left behind gives way.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .open(&unfinished)?;
    file.write_all(bytes)?;
    match renameat_with(CWD, &unfinished, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
