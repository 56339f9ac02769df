//! The lock of a log's directory: one process at a time. The kernel keeps it and lets go of it
//! however the process ends; the number in the file is only there to be told. It knows no log.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::events::log::sled::OpenError;

/// Most bytes of the file that are looked at; a process id has fewer.
const PID_BYTES_MAX: u64 = 16;

/// Takes the directory's lock, making the directory when there is none. Nothing else in it may be
/// touched before.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let disk = |error: std::io::Error| OpenError::Disk {
        path: path.to_owned(),
        source: error.into(),
    };
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(disk)?;
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).read(true).write(true);
    let mut file = options.mode(0o600).open(path.join("lock")).map_err(disk)?;
    match file.try_lock() {
        Ok(()) => {
            // A disk without room for a number still has room for a lock.
            write_pid(&mut file).ok();
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            path: path.to_owned(),
            holder: read_pid(&mut file),
        }),
        Err(TryLockError::Error(error)) => Err(disk(error)),
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Returns who has the lock; nothing while it has not said so yet.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_another_process_left_behind_does_not_keep_the_lock() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("lock");
        // That of a process that runs, of one that cannot, and no number at all.
        for left in ["1\n", "4194305\n", "", "what is this"] {
            std::fs::write(&file, left).unwrap();
            let held = lock(directory.path()).unwrap();
            let own = std::process::id();
            let told = lock(directory.path()).unwrap_err().to_string();
            assert!(told.contains(&format!("(process {own})")), "{told}");
            drop(held);
        }
    }

    #[test]
    fn a_holder_that_has_not_said_who_it_is_has_the_lock_all_the_same() {
        let directory = tempfile::TempDir::new().unwrap();
        let held = lock(directory.path()).unwrap();
        held.set_len(0).unwrap();
        let told = lock(directory.path()).unwrap_err().to_string();
        assert!(told.starts_with("another Airut process has"), "{told}");
    }
}
