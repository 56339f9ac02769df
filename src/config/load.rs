//! Reading the configuration from its file.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::config::env::{self, EnvError};
use crate::config::read;
use crate::config::types::Config;
use crate::config::yaml::Problem;
use crate::config::zone;
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
    /// The file that was named is not there.
    #[error("{0} is not there; without --config the defaults would hold")]
    Missing(PathBuf),
    /// A file beside it is wrong.
    #[error(transparent)]
    Environment(#[from] EnvError),
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
    /// Keys of the file that are read but not acted on by this version yet.
    pub idle_keys: Vec<&'static str>,
}

/// What holds where there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutFile {
    /// The defaults: the path is the usual one (spec row CLI-07).
    Defaults,
    /// Nothing: somebody named the path.
    Refused,
}

/// Reads the configuration at `path`, and `.env` beside it.
///
/// # Errors
/// [`LoadError`] with file, line, column and what to do.
pub fn load(path: &Path, without_file: WithoutFile) -> Result<Loaded, LoadError> {
    let unreadable = |error| LoadError::Unreadable {
        path: path.to_owned(),
        error,
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if without_file == WithoutFile::Refused {
                return Err(LoadError::Missing(path.to_owned()));
            }
            return Ok(Loaded {
                config: read::defaults(system_dns()),
                sha256: None,
                idle_keys: vec![],
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
    let environment = env::read(path.parent().unwrap_or_else(|| Path::new("")))?;
    let config = read::read(&text, &environment, system_dns()).map_err(wrong)?;
    check_zones(&config, &text).map_err(wrong)?;
    let idle_keys = read::idle_keys(&text).map_err(wrong)?;
    Ok(Loaded {
        config,
        idle_keys,
        sha256: Some(Sha256::of(text.as_bytes())),
    })
}

/// Looks every schedule's zone up in this machine's zone database.
fn check_zones(config: &Config, text: &str) -> Result<(), Problem> {
    for (repo, settings) in &config.repos {
        for (name, schedule) in &settings.schedules {
            let known = schedule.timezone.as_deref().map(zone::named).transpose();
            if let Err(error) = known {
                let keys = ["repos", &repo.0, "schedules", name, "timezone"];
                let place = read::place_of(text, &keys)?;
                return Err(Problem::at(place, error.to_string()));
            }
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(files: &[(&str, &str)], without_file: WithoutFile) -> Result<Loaded, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let loaded = load(&dir.path().join("airut.yaml"), without_file);
        loaded.map_err(|error| error.to_string())
    }

    const CONFIG: (&str, &str) = (
        "airut.yaml",
        "config_version: 5\nnetwork: {upstream_dns: 9.9.9.9}\ncontainer_command: !env ENGINE\n\
         execution: {image_prune: false}\ndashboard: {base_url: https://x.test}\n",
    );

    #[test]
    fn a_file_that_was_named_must_be_there() {
        assert!(loaded(&[], WithoutFile::Defaults).is_ok());
        let error = loaded(&[], WithoutFile::Refused).unwrap_err();
        assert!(error.contains("airut.yaml is not there"), "{error}");
    }

    #[test]
    fn env_is_read_beside_the_file_and_a_wrong_line_is_an_error() {
        let env = [CONFIG, (".env", "ENGINE=docker\n")];
        let config = loaded(&env, WithoutFile::Refused).unwrap().config;
        assert_eq!(config.container_command, "docker");
        let env = [CONFIG, (".env", "# engine\nENGINE docker\n")];
        let error = loaded(&env, WithoutFile::Refused).unwrap_err();
        assert!(
            error.contains(".env:2: a line must be NAME=value"),
            "{error}"
        );
    }

    #[test]
    fn an_env_file_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("airut.yaml"), CONFIG.1).unwrap();
        std::fs::create_dir(dir.path().join(".env")).unwrap();
        let error = load(&dir.path().join("airut.yaml"), WithoutFile::Refused).unwrap_err();
        assert!(error.to_string().contains(".env: "), "{error}");
    }

    #[test]
    fn a_schedules_zone_must_be_known_here() {
        let of = |zone: &str| {
            let text = format!(
                "config_version: 5\nrepos:\n  a.b:\n    repo_url: x\n    email:\n      account: \
                 {{username: a, from: a@b.test, password: x}}\n      imap: {{server: m}}\n      smtp: \
                 {{server: m}}\n      auth: {{authorized_senders: [c@b.test], trusted_authserv_id: \
                 mx}}\n    schedules:\n      dawn:\n        cron: 0 6 * * *\n        prompt: x\n        \
                 deliver: {{to: c@b.test}}\n        timezone: {zone}\n"
            );
            let resolver = "network: {upstream_dns: 9.9.9.9}\n";
            loaded(
                &[("airut.yaml", &format!("{text}{resolver}"))],
                WithoutFile::Refused,
            )
        };
        assert!(of("Europe/Oslo").is_ok());
        let error = of("Europe/Olso").unwrap_err();
        assert!(
            error.contains("airut.yaml:15:19: \"Europe/Olso\" is no time zone"),
            "{error}"
        );
    }

    #[test]
    fn keys_without_an_effect_are_named() {
        let loaded = loaded(&[CONFIG], WithoutFile::Refused).unwrap();
        assert_eq!(loaded.idle_keys, ["execution.image_prune", "dashboard"]);
    }
}
