//! The environment: the process's own, and `.env` files beside it (spec row CFG-05). The only file
//! that reads environment variables.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may read the environment"
)]

use std::path::{Path, PathBuf};

use crate::config::resolve::Variables;

/// Returns an environment variable that is set, not empty and text.
pub fn get(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
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

/// Returns the process's environment, completed by `.env` in the configuration directory and then
/// in the working directory; what is set already stays as it is.
pub fn read(config_directory: &Path) -> Variables {
    let mut variables: Variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    for file in [config_directory.join(".env"), PathBuf::from(".env")] {
        // Most installations have none.
        if let Ok(text) = std::fs::read_to_string(file) {
            for (name, value) in parse(&text) {
                variables.entry(name).or_insert(value);
            }
        }
    }
    variables
}

/// Reads the text of a `.env` file: `export`, quotes, escapes, comments, quoted line breaks.
pub fn parse(text: &str) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let assignment = line.trim_start();
        let assignment = assignment
            .strip_prefix("export ")
            .unwrap_or(assignment)
            .trim_start();
        let named = assignment
            .split_once('=')
            .filter(|(name, _)| is_name(name.trim()));
        let Some((name, value)) = named.filter(|_| !assignment.starts_with('#')) else {
            rest = after;
            continue;
        };
        let value_at =
            rest.len() - after.len() - usize::from(line.len() < rest.len()) - value.len();
        let (value, end) = read_value(&rest[value_at..]);
        variables.push((name.trim().to_owned(), value));
        let behind = &rest[value_at + end..];
        rest = behind.split_once('\n').map_or("", |(_, after)| after);
    }
    variables
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns a value and how many bytes of the text it takes.
fn read_value(text: &str) -> (String, usize) {
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    let quoted = &text[start..];
    match quoted.chars().next() {
        Some(quote @ ('"' | '\'')) => match read_quoted(&quoted[1..], quote) {
            Some((value, length)) => (value, start + 1 + length),
            None => plain(text),
        },
        _ => plain(text),
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
            F=\"two\nlines\"\nnot an assignment\n1X=no\nG=a#b";
        let read: Vec<(String, String)> = parse(text);
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
}
