//! Files that a process left which ended in the middle of writing a body. They have names that no body
//! has, and nothing refers to them.

use std::fs::DirEntry;
use std::io::ErrorKind;
use std::path::Path;

use crate::events::blobs::{BlobError, Blobs, disk};

/// What stands in the name of every file that is still being written, and in that of no body.
pub(super) const NEW: &str = "new-";

impl Blobs {
    /// Removes what an earlier process left half written, and returns how many files that were. Only whoever
    /// has the log's lock may call it, and before anything is kept: of another process it would remove what
    /// that is writing.
    ///
    /// # Errors
    /// [`BlobError::Disk`].
    pub fn sweep(&self) -> Result<u64, BlobError> {
        let mut swept = remove_new(&self.directory)?;
        for entry in entries(&self.directory)? {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                swept += remove_new(&entry.path())?;
            }
        }
        Ok(swept)
    }
}

fn remove_new(directory: &Path) -> Result<u64, BlobError> {
    let mut removed = 0;
    for entry in entries(directory)? {
        let name = entry.file_name();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && name.to_string_lossy().contains(NEW) {
            std::fs::remove_file(entry.path()).map_err(disk(directory))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn entries(directory: &Path) -> Result<Vec<DirEntry>, BlobError> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(disk(directory)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(disk(directory)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::seal::Owner;
    use crate::events::seal::stream::PIECE_BYTES;

    #[test]
    fn what_a_killed_process_left_half_written_is_swept_and_bodies_stay() {
        let directory = tempfile::TempDir::new().unwrap();
        let blobs = Blobs::open(&directory.path().join("blobs")).unwrap();
        let short = blobs.put(Owner::Service, b"short", "text/plain").unwrap();
        let long = vec![7; PIECE_BYTES + 1];
        let kept = blobs.put(Owner::Service, &long, "text/plain").unwrap();
        let path = blobs.path(short.sha256);
        std::fs::write(path.with_extension(format!("{NEW}4711-0")), b"sh").unwrap();
        let half = blobs.directory.join(format!("{NEW}4711-1"));
        std::fs::write(half, &long[..9]).unwrap();
        assert_eq!(blobs.sweep().unwrap(), 2);
        assert_eq!(blobs.sweep().unwrap(), 0);
        assert_eq!(blobs.get(&short).unwrap(), b"short");
        assert!(blobs.get(&kept).unwrap() == long);
        let nowhere = Blobs::of(&directory.path().join("nowhere"));
        assert_eq!(nowhere.sweep().unwrap(), 0);
    }
}
