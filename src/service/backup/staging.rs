//! Directories beside the log in which a backup is restored before it counts. A killed process leaves
//! them behind; the next start removes those that nobody works in.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::events::log::store::{StoreError, told};

/// What the names of such directories begin with: of a restore, and of a drill.
pub(super) const RESTORING: &str = "restoring-";
pub(super) const DRILL: &str = "drill-";

/// A directory that is removed when this is dropped, and swept when that did not come to pass.
#[derive(Debug)]
pub(super) struct Staging {
    directory: tempfile::TempDir,
    /// Held while somebody works in it; the kernel lets go of it at any kind of end.
    _lock: File,
}

impl Staging {
    /// Makes a directory of its own below another.
    pub(super) fn new(parent: &Path, prefix: &str) -> Result<Self, StoreError> {
        let disk = |error| StoreError(format!("{}: {}", parent.display(), told(&error)));
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
        let directory = made.map_err(disk)?;
        let lock = lock_file(directory.path()).map_err(disk)?;
        // A sweep that came in between has the lock, and takes the directory away.
        let swept = |_| {
            StoreError(format!(
                "{} was swept; try again",
                directory.path().display()
            ))
        };
        lock.try_lock().map_err(swept)?;
        Ok(Self {
            directory,
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn lock_file(directory: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    options.open(directory.join("lock"))
}

/// Removes what killed restores and drills left below a state directory; returns how many there were.
/// What cannot be removed stays, and is told.
pub fn sweep(state_dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(state_dir) else {
        return 0;
    };
    let mut swept = 0;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(RESTORING) && !name.starts_with(DRILL) {
            continue;
        }
        match remove(&entry.path()) {
            Ok(removed) => swept += usize::from(removed),
            Err(error) => tracing::warn!(%name, %error, "what a killed restore left stays"),
        }
    }
    swept
}

/// Removes a directory, unless somebody works in it.
fn remove(directory: &Path) -> std::io::Result<bool> {
    let lock = lock_file(directory)?;
    if lock.try_lock().is_err() {
        return Ok(false);
    }
    std::fs::remove_dir_all(directory)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_drill_left_is_swept_and_what_somebody_works_in_stays() {
        let state = tempfile::TempDir::new().unwrap();
        let left = state.path().join("drill-left/log");
        std::fs::create_dir_all(&left).unwrap();
        std::fs::create_dir_all(state.path().join("restoring-left")).unwrap();
        std::fs::create_dir_all(state.path().join("log")).unwrap();
        let working = Staging::new(state.path(), DRILL).unwrap();
        assert_eq!(sweep(state.path()), 2);
        assert!(working.path().exists());
        assert!(state.path().join("log").exists());
        assert!(!left.exists());
        drop(working);
        assert_eq!(sweep(state.path()), 0);
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 1);
    }
}
