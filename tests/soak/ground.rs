//! What a soak stands on: a directory with a repository and the daemon's configuration, removed when
//! the test ends, however it ends.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Child;

use crate::common::repository::Repository;
use crate::common::world::{take_slot, undertaker};

/// The directory of one soak.
pub(crate) struct Ground {
    pub(crate) dir: PathBuf,
    /// Ports of servers count from here.
    pub(crate) base_port: u16,
    undertaker: Child,
    _slot: File,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let (slot, number) = take_slot();
        let name = format!("airut-soak-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(&name);
        for made in ["home", "runtime"] {
            fs::create_dir_all(dir.join(made)).unwrap();
        }
        Repository::make(&dir);
        Self {
            undertaker: undertaker(&dir, &name),
            base_port: 11_000 + 1_000 * number,
            dir,
            _slot: slot,
        }
    }

    /// Writes the configuration; `channel` are the lines of the repository's channels.
    pub(crate) fn configure(&self, channel: Vec<String>) {
        let repository = self.dir.join("repositories/work.git");
        let mut lines = vec![
            "config_version: 5".to_owned(),
            "execution: {max_concurrent: 4}".to_owned(),
            "dashboard: {enabled: false}".to_owned(),
            "network: {upstream_dns: 127.0.0.1}".to_owned(),
            "repos:".to_owned(),
            "  work:".to_owned(),
            format!("    repo_url: {}", repository.display()),
        ];
        lines.extend(channel);
        fs::write(self.dir.join("airut.yaml"), lines.join("\n") + "\n").unwrap();
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("AIRUT_KEEP").is_some() {
            eprintln!("kept: {}", self.dir.display());
            fs::write(self.dir.join("keep"), b"").unwrap();
        }
        drop(self.undertaker.stdin.take());
        drop(self.undertaker.wait());
    }
}
