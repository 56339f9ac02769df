//! The log's private key, a file beside the log that only its owner reads. It signs the anchor and
//! every checkpoint. It knows no log.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::events::checkpoint::LogKey;
use crate::events::log::journal::{replace_file, sync_directory};
use crate::events::log::store::StoreError;

/// Name of the key's file within the log's directory.
pub const KEY_FILE: &str = "log.key";

/// Name of the file that holds the next key while a rotation is under way.
const NEXT_FILE: &str = "log.key.next";

/// Returns the key of the log in a directory, or makes its first one.
///
/// # Errors
/// [`StoreError`] when the file holds no key, or cannot be read or made.
pub fn read_or_make(directory: &Path) -> Result<LogKey, StoreError> {
    match read(directory)? {
        Some(key) => Ok(key),
        None => {
            let made = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory);
            made?;
            let key = LogKey::first(seed()?);
            write(&directory.join(KEY_FILE), &key)?;
            Ok(key)
        }
    }
}

/// Returns the key of the log in a directory, if there is one.
///
/// # Errors
/// [`StoreError`] when the file holds no key or cannot be read.
pub fn read(directory: &Path) -> Result<Option<LogKey>, StoreError> {
    read_file(&directory.join(KEY_FILE))
}

/// Keeps a key as that of the log in a directory, which is made when it is not there.
///
/// # Errors
/// [`StoreError`] when it cannot be kept.
pub fn keep(directory: &Path, key: &LogKey) -> Result<(), StoreError> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made?;
    write(&directory.join(KEY_FILE), key)
}

/// Returns the key in a file, wherever it lies.
///
/// # Errors
/// [`StoreError`] when there is no such file, or it holds no key.
pub fn read_from(path: &Path) -> Result<LogKey, StoreError> {
    read_file(path)?.ok_or_else(|| StoreError(format!("{}: there is no such file", path.display())))
}

/// Returns a new key for the log of this origin, which nothing vouches for.
///
/// # Errors
/// [`StoreError`] when the machine gives no randomness.
pub fn replacement(origin: &str) -> Result<LogKey, StoreError> {
    Ok(LogKey::later(origin, seed()?))
}

/// Returns the key that will follow, when a rotation was begun and not ended.
pub(super) fn read_next(directory: &Path) -> Result<Option<LogKey>, StoreError> {
    read_file(&directory.join(NEXT_FILE))
}

/// Returns the key that will follow, making it unless an interrupted rotation left one.
pub(super) fn read_or_make_next(directory: &Path, origin: &str) -> Result<LogKey, StoreError> {
    if let Some(next) = read_next(directory)? {
        return Ok(next);
    }
    let next = LogKey::later(origin, seed()?);
    write(&directory.join(NEXT_FILE), &next)?;
    Ok(next)
}

/// Puts the next key into the place of the key; the old private key is gone then.
pub(super) fn take_next(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(KEY_FILE);
    std::fs::rename(directory.join(NEXT_FILE), &path)?;
    sync_directory(&path)
}

fn seed() -> Result<[u8; 32], StoreError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| StoreError(error.to_string()))?;
    Ok(seed)
}

fn read_file(path: &Path) -> Result<Option<LogKey>, StoreError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError(format!("{}: {error}", path.display()))),
    };
    let key = LogKey::from_private_text(&text);
    key.map(Some)
        .map_err(|error| StoreError(format!("{}: {error}", path.display())))
}

/// A crash in between leaves no half key: the file gets its name when it is whole.
fn write(path: &Path, key: &LogKey) -> Result<(), StoreError> {
    replace_file(path, key.to_private_text().as_bytes())
}
