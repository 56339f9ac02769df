//! The environment: the process's own, and `.env` files beside it (spec row CFG-05). The only file
//! that reads environment variables.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may read the environment"
)]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::resolve::Variables;

/// Returns an environment variable that is set, not empty and text.
pub fn get(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the process's environment alone; what is no text is left out.
pub fn of_process() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The directories of this user, by the XDG Base Directory Specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// `$XDG_CONFIG_HOME/airut`, by default `~/.config/airut`.
    pub config: PathBuf,
    /// `$XDG_STATE_HOME/airut`, by default `~/.local/state/airut`.
    pub state: PathBuf,
    /// `$XDG_RUNTIME_DIR/airut`, or `run` in the state directory where there is none.
    pub runtime: PathBuf,
}

/// Returns this user's directories; without a home everything is below the working directory.
pub fn directories() -> Directories {
    let home = get("HOME").map(PathBuf::from).unwrap_or_default();
    let base = |name: &str, fallback: &str| {
        let set = get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        set.unwrap_or_else(|| home.join(fallback)).join("airut")
    };
    let state = base("XDG_STATE_HOME", ".local/state");
    let runtime = get("XDG_RUNTIME_DIR").map(|directory| Path::new(&directory).join("airut"));
    Directories {
        config: base("XDG_CONFIG_HOME", ".config"),
        runtime: runtime.unwrap_or_else(|| state.join("run")),
        state,
    }
}

/// Why the environment is not known.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// A `.env` file cannot be read: see its permissions and its encoding.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the disk says.
        error: std::io::Error,
    },
    /// A line is no assignment.
    #[error("{path}:{line}: a line must be NAME=value, empty, or a comment that begins with #")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

/// Returns the process's environment, completed by `.env` in the directory of the configuration
/// file and then in the working directory; what is set already stays as it is.
///
/// # Errors
/// [`EnvError`]: a file that is there is read whole or not at all.
pub fn read(directory: &Path) -> Result<Variables, EnvError> {
    let mut variables = of_process();
    for path in [directory.join(".env"), PathBuf::from(".env")] {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            // Most installations have none.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(EnvError::Unreadable { path, error }),
        };
        let read = parse(&text).map_err(|line| EnvError::Malformed { path, line })?;
        for (name, value) in read {
            variables.entry(name).or_insert(value);
        }
    }
    Ok(variables)
}

/// Reads the text of a `.env` file: `export`, quotes, escapes, comments, quoted line breaks.
///
/// # Errors
/// The number of the first line that is none of these.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut variables = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let assignment = line.trim();
        if assignment.is_empty() || assignment.starts_with('#') {
            rest = after;
            continue;
        }
        let malformed = 1 + text[..text.len() - rest.len()].matches('\n').count();
        let assignment = assignment
            .strip_prefix("export ")
            .unwrap_or(assignment)
            .trim_start();
        let (name, _) = assignment
            .split_once('=')
            .filter(|(name, _)| is_name(name.trim()))
            .ok_or(malformed)?;
        let value_at = line.find('=').map_or(line.len(), |at| at + 1);
        let (value, end) = read_value(&rest[value_at..]).ok_or(malformed)?;
        variables.push((name.trim().to_owned(), value));
        let behind = &rest[value_at + end..];
        rest = behind.split_once('\n').map_or("", |(_, after)| after);
    }
    Ok(variables)
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns a value and how many bytes of the text it takes; nothing when a quote does not end.
fn read_value(text: &str) -> Option<(String, usize)> {
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    let quoted = &text[start..];
    match quoted.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (value, length) = read_quoted(&quoted[1..], quote)?;
            Some((value, start + 1 + length))
        }
        _ => Some(plain(text)),
    }
}

/// Returns a value up to its closing quote; nothing when there is none.
fn read_quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            return Some((value, at + 1));
        }
        if character != '\\' || quote == '\'' {
            value.push(character);
            continue;
        }
        match characters.next()?.1 {
            'n' => value.push('\n'),
            't' => value.push('\t'),
            escaped @ ('\\' | '"' | '$') => value.push(escaped),
            other => value.extend(['\\', other]),
        }
    }
    None
}

fn plain(text: &str) -> (String, usize) {
    let line = text.split('\n').next().unwrap_or_default();
    let value = line.split(" #").next().unwrap_or_default();
    (value.trim().to_owned(), line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_are_read_as_shells_write_them() {
        let text = "# comment\nA=1\nexport B='two words' # why\nC=\"a\\n\\\"b\\\" \\$x\"\nD = spaced # not this\nE=\n\
            F=\"two\nlines\"\n  \nG=a#b";
        let read: Vec<(String, String)> = parse(text).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            read,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", "a\n\"b\" $x"),
                ("D", "spaced"),
                ("E", ""),
                ("F", "two\nlines"),
                ("G", "a#b"),
            ]
        );
    }

    #[test]
    fn a_line_that_is_no_assignment_is_named() {
        for (text, line) in [
            ("A=1\nnot an assignment\n", 2),
            ("A=\"two\nlines\"\n1X=no", 3),
            ("A='open\nB=1\n", 1),
            ("=x", 1),
        ] {
            assert_eq!(parse(text), Err(line), "{text}");
        }
    }
}
