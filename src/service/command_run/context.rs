//! What an image is made of, read from a directory of the working copy. It knows no git: what lies
//! there is what is built.

use std::path::{Path, PathBuf};

use crate::sandbox::git::{CONTEXT_BYTES_MAX, CONTEXT_FILES_MAX};

/// A Dockerfile and the files beside and below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The Dockerfile's bytes.
    pub dockerfile: Vec<u8>,
    /// The other files by their path, `/` between its parts.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Why an image's files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// See the path and its permissions; another Dockerfile is named with --dockerfile.
    #[error("{path}: {error}")]
    Unreadable {
        /// What cannot be read.
        path: PathBuf,
        /// What the disk says.
        error: std::io::Error,
    },
    /// Name a smaller directory with --context-dir.
    #[error("{path} holds more than {what}: name a smaller directory with --context-dir")]
    TooLarge {
        /// The directory.
        path: PathBuf,
        /// The limit.
        what: String,
    },
}

/// Reads a Dockerfile and the directory around it; links and what is no file are left out, and so is
/// whatever is named `Dockerfile` at its top.
///
/// # Errors
/// [`ContextError`]; a directory that is not there is an empty one.
pub fn read(dockerfile: &Path, directory: &Path) -> Result<Context, ContextError> {
    let mut context = Context {
        dockerfile: std::fs::read(dockerfile).map_err(|error| unreadable(dockerfile, error))?,
        files: Vec::new(),
    };
    let mut open = if directory.is_dir() {
        vec![directory.to_owned()]
    } else {
        Vec::new()
    };
    let too_large = |what: String| ContextError::TooLarge {
        path: directory.to_owned(),
        what,
    };
    let mut bytes_left = CONTEXT_BYTES_MAX;
    while let Some(path) = open.pop() {
        for entry in std::fs::read_dir(&path).map_err(|error| unreadable(&path, error))? {
            let entry = entry.map_err(|error| unreadable(&path, error))?;
            let path = entry.path();
            let facts = entry.metadata().map_err(|error| unreadable(&path, error))?;
            if facts.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(directory).ok().and_then(Path::to_str);
            let Some(name) = name.filter(|name| facts.is_file() && *name != "Dockerfile") else {
                continue;
            };
            if context.files.len() == CONTEXT_FILES_MAX {
                return Err(too_large(format!("{CONTEXT_FILES_MAX} files")));
            }
            bytes_left = bytes_left
                .checked_sub(facts.len())
                .ok_or_else(|| too_large(format!("{CONTEXT_BYTES_MAX} bytes")))?;
            let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, error))?;
            context.files.push((name.to_owned(), bytes));
        }
    }
    context.files.sort();
    Ok(context)
}

fn unreadable(path: &Path, error: std::io::Error) -> ContextError {
    ContextError::Unreadable {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_with_their_paths_and_links_are_left_out() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        std::fs::create_dir(path("sub")).unwrap();
        for name in ["Dockerfile", "b", "a", "sub/Dockerfile"] {
            std::fs::write(path(name), name).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", path("link")).unwrap();
        let context = read(&path("Dockerfile"), home.path()).unwrap();
        assert_eq!(context.dockerfile, b"Dockerfile");
        let names: Vec<&str> = context
            .files
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["a", "b", "sub/Dockerfile"]);
        assert_eq!(read(&path("Dockerfile"), &path("none")).unwrap().files, []);
        let error = read(&path("none"), home.path()).unwrap_err().to_string();
        assert!(error.contains("/none: "), "{error}");
    }

    #[test]
    fn a_directory_with_more_files_than_an_image_may_have_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let add = |name: &str| std::fs::write(home.path().join(name), b"").unwrap();
        add("Dockerfile");
        (0..CONTEXT_FILES_MAX).for_each(|number| add(&number.to_string()));
        let dockerfile = home.path().join("Dockerfile");
        assert_eq!(
            read(&dockerfile, home.path()).unwrap().files.len(),
            CONTEXT_FILES_MAX
        );
        add("one-more");
        let error = read(&dockerfile, home.path()).unwrap_err().to_string();
        assert!(error.contains("1000 files: name a smaller"), "{error}");
    }
}
