//! Reading the configuration from its file.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::config::read;
use crate::config::resolve::Variables;
use crate::config::types::Config;
use crate::config::yaml::Problem;
use crate::events::id::Sha256;

/// Longest configuration file in bytes; a longer one is refused.
pub const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read: see its permissions.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the disk says.
        error: std::io::Error,
    },
    /// The file says something that cannot be acted on; the text says where and what to do.
    #[error("{path}:{problem}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where and what.
        problem: Problem,
    },
}

/// A configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Digest of the file's bytes; nothing when there is no file and the defaults hold.
    pub sha256: Option<Sha256>,
}

/// Reads the configuration at `path`; without a file the defaults hold (spec row CLI-07).
///
/// # Errors
/// [`LoadError`] with file, line, column and what to do.
pub fn load(path: &Path, environment: &Variables) -> Result<Loaded, LoadError> {
    let unreadable = |error| LoadError::Unreadable {
        path: path.to_owned(),
        error,
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Loaded {
                config: read::defaults(system_dns()),
                sha256: None,
            });
        }
        Ok(facts) if facts.len() > CONFIG_BYTES_MAX => {
            let text = format!("it is longer than {CONFIG_BYTES_MAX} bytes");
            return Err(unreadable(std::io::Error::new(
                ErrorKind::FileTooLarge,
                text,
            )));
        }
        Err(error) => return Err(unreadable(error)),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let wrong = |problem| LoadError::Wrong {
        path: path.to_owned(),
        problem,
    };
    let config = read::read(&text, environment, system_dns()).map_err(wrong)?;
    Ok(Loaded {
        config,
        sha256: Some(Sha256::of(text.as_bytes())),
    })
}

/// Returns the first resolver of `/etc/resolv.conf`.
fn system_dns() -> Option<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").ok()?;
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then_some(())?;
        words.next()?.parse::<IpAddr>().ok()
    };
    text.lines()
        .find_map(server)
        .map(|address| SocketAddr::new(address, 53))
}
