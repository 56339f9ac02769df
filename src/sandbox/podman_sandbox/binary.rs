//! Claude Code's program in the cache: `<directory>/<version>/claude` (spec row SBX-17).

use std::path::{Path, PathBuf};

use crate::sandbox::port::RunFailure;

/// Returns the program of a version; `latest` and `stable` are the newest that is there.
pub(super) fn find(directory: &Path, version: &str) -> Result<PathBuf, RunFailure> {
    let program = |version: &str| directory.join(version).join("claude");
    if !matches!(version, "latest" | "stable") {
        let path = program(version);
        let plain = !version.contains('/') && !version.starts_with('.');
        return if plain && path.is_file() {
            Ok(path)
        } else {
            Err(missing(directory, version))
        };
    }
    let entries = std::fs::read_dir(directory).map_err(|_| missing(directory, version))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest = names
        .filter(|name| program(name).is_file())
        .max_by_key(|name| numbers(name));
    newest
        .map(|name| program(&name))
        .ok_or_else(|| missing(directory, version))
}

fn numbers(version: &str) -> Vec<u64> {
    let part = |part: &str| {
        part.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    };
    version
        .split('.')
        .map(|p| part(p).parse().unwrap_or_default())
        .collect()
}

fn missing(directory: &Path, version: &str) -> RunFailure {
    let place = directory.join(version).join("claude");
    RunFailure::Setup(format!(
        "Claude Code {version} is not installed: put its program at {}",
        place.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_one_with_the_highest_numbers() {
        let directory = tempfile::TempDir::new().unwrap();
        for version in ["2.1.9", "2.1.330", "2.0.77", ".tmp"] {
            std::fs::create_dir(directory.path().join(version)).unwrap();
            std::fs::write(directory.path().join(version).join("claude"), "").unwrap();
        }
        let found = |version: &str| find(directory.path(), version);
        assert!(found("latest").unwrap().ends_with("2.1.330/claude"));
        assert!(found("2.1.9").unwrap().ends_with("2.1.9/claude"));
        assert!(
            found("9.9.9")
                .unwrap_err()
                .to_string()
                .contains("9.9.9/claude")
        );
        assert!(found("../2.1.9").is_err());
    }
}
