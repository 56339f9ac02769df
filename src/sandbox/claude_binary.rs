//! Finding Claude Code's program in the cache of versions (spec row SBX-17). It downloads nothing.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// The version is not in the cache; the text says where to put it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Claude Code {version} is not there: put its program at {expected}")]
pub struct NoBinary {
    version: String,
    expected: String,
}

/// Returns the program of a version; of `latest` and `stable` the newest that is there.
///
/// # Errors
/// [`NoBinary`] naming the expected file.
pub fn find(cache: &Path, version: &str) -> Result<PathBuf, NoBinary> {
    let program = |version: &str| cache.join(version).join("claude");
    let newest = matches!(version, "latest" | "stable");
    let found = if newest {
        newest_first(cache)
            .map(|version| program(&version))
            .find(|path| path.is_file())
    } else {
        Some(program(version)).filter(|path| path.is_file() && !version.contains('/'))
    };
    found.ok_or_else(|| NoBinary {
        version: version.to_owned(),
        expected: program(if newest { "<version>" } else { version })
            .to_string_lossy()
            .into_owned(),
    })
}

fn newest_first(cache: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let mut versions: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
        .collect();
    versions.sort_by_key(|version| Reverse(parts(version)));
    versions.into_iter()
}

/// Returns a version's numbers, so that 2.1.9 is older than 2.1.30.
fn parts(version: &str) -> Vec<u64> {
    let numbers = version.split(|c: char| !c.is_ascii_digit());
    numbers.map(|number| number.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_is_the_newest_number_not_the_last_name() {
        let cache = tempfile::TempDir::new().unwrap();
        for version in ["2.1.9", "2.1.30"] {
            std::fs::create_dir(cache.path().join(version)).unwrap();
            std::fs::write(cache.path().join(version).join("claude"), "").unwrap();
        }
        let found = |version| find(cache.path(), version);
        assert_eq!(found("latest").unwrap(), cache.path().join("2.1.30/claude"));
        assert_eq!(found("2.1.9").unwrap(), cache.path().join("2.1.9/claude"));
        assert!(
            found("2.2.0")
                .unwrap_err()
                .to_string()
                .contains("2.2.0/claude")
        );
    }
}
