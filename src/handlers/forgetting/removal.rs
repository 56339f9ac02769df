//! Removing what a conversation left on the disk. What an agent wrote is not trusted: no link is
//! followed, and directories that it closed are opened again.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Removes a directory with everything in it; returns the bytes of its files, 0 when it was not there.
pub(super) fn remove_tree(root: &Path) -> Result<u64> {
    let bytes = match open_and_measure(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        measured => measured?,
    };
    fs::remove_dir_all(root).map_err(|error| {
        let advice = "remove it by hand (podman unshare rm -r for files of other users)";
        Error::new(error.kind(), format!("{error}; {advice}"))
    })?;
    Ok(bytes)
}

/// Without recursion: an agent may nest directories as deep as it likes.
fn open_and_measure(root: &Path) -> Result<u64> {
    let mut bytes = 0;
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let metadata = fs::symlink_metadata(&directory)?;
        let mode = metadata.permissions().mode();
        if mode & 0o700 != 0o700 {
            // Of another user's directory this fails, and then its removal says so.
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode | 0o700)).ok();
        }
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let metadata = fs::symlink_metadata(entry.path())?;
            if metadata.is_dir() {
                directories.push(entry.path());
            } else {
                bytes += metadata.len();
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_goes_with_closed_directories_and_what_links_lead_to_stays() {
        let directory = tempfile::TempDir::new().unwrap();
        let (root, outside) = (
            directory.path().join("root"),
            directory.path().join("outside"),
        );
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), b"kept").unwrap();
        fs::write(root.join("a/b/file"), b"12345").unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        let freed = remove_tree(&root).unwrap();
        assert!(freed >= 5, "{freed}");
        assert!(!root.exists() && outside.join("kept").exists());
        assert_eq!(remove_tree(&root).unwrap(), 0);
    }
}
