//! Where everything of this user lies.

use std::path::{Path, PathBuf};

use crate::config::env::{self, Directories};
use crate::config::load::{self, LoadError, Loaded, WithoutFile};
use crate::service::assemble::SOCKET_NAME;

/// This user's directories.
pub(super) fn directories() -> Directories {
    env::directories()
}

/// The daemon's socket.
pub(super) fn socket() -> PathBuf {
    directories().runtime.join(SOCKET_NAME)
}

/// The usual configuration file.
pub(super) fn config_file() -> PathBuf {
    directories().config.join("airut.yaml")
}

/// Reads the configuration file, unless another is named.
pub(super) fn load_config(named: Option<&Path>) -> Result<Loaded, LoadError> {
    match named {
        Some(path) => load::load(path, WithoutFile::Refused),
        None => load::load(&config_file(), WithoutFile::Defaults),
    }
}

/// The static proxy: named by `AIRUT_PROXY_BIN`, beside this program, or in `../libexec/airut`.
pub(super) fn proxy_binary() -> PathBuf {
    if let Some(named) = env::get("AIRUT_PROXY_BIN") {
        return PathBuf::from(named);
    }
    let program = std::env::current_exe().unwrap_or_default();
    let directory = program.parent().unwrap_or_else(|| Path::new("."));
    let installed = directory.join("../libexec/airut/airut-proxy");
    if installed.is_file() {
        installed
    } else {
        directory.join("airut-proxy")
    }
}
