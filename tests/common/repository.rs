//! The bare repository that the agent works for, with what Airut expects in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::run;

/// The files of the first commit.
const SEED: [(&str, &str); 3] = [
    (
        ".airut/network-allowlist.yaml",
        include_str!("seed/network-allowlist.yaml"),
    ),
    (
        ".airut/container/Dockerfile",
        include_str!("seed/Dockerfile"),
    ),
    ("README.md", "# Harbor\n\nA repository for tests.\n"),
];

/// A bare repository and a clone to change it from outside.
#[derive(Debug)]
pub(crate) struct Repository {
    bare: PathBuf,
    clone: PathBuf,
}

impl Repository {
    /// Makes `dir/repositories/work.git` with one commit on `main`.
    pub(crate) fn make(dir: &Path) -> Self {
        let bare = dir.join("repositories/work.git");
        let clone = dir.join("clone");
        let made = Self { bare, clone };
        run(git()
            .args(["init", "-q", "--bare", "-b", "main"])
            .arg(&made.bare));
        run(git().args(["init", "-q", "-b", "main"]).arg(&made.clone));
        run(made
            .in_clone()
            .args(["remote", "add", "origin"])
            .arg(&made.bare));
        made.commit(&SEED.map(|(path, text)| (path, Some(text))));
        made
    }

    /// Writes files (or removes those without text) and pushes them to `main`.
    pub(crate) fn commit(&self, files: &[(&str, Option<&str>)]) {
        for (path, text) in files {
            let path = self.clone.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text {
                Some(text) => fs::write(path, text).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
        }
        run(self.in_clone().args(["add", "-A"]));
        run(self.in_clone().args([
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "As the test needs it",
        ]));
        run(self.in_clone().args(["push", "-q", "origin", "HEAD:main"]));
    }

    /// Returns the branches there are.
    pub(crate) fn branches(&self) -> Vec<String> {
        let names = run(self
            .in_bare()
            .args(["branch", "--format", "%(refname:short)"]));
        names.lines().map(str::to_owned).collect()
    }

    /// Returns a file as it is on a branch.
    pub(crate) fn read(&self, branch: &str, path: &str) -> String {
        run(self.in_bare().arg("show").arg(format!("{branch}:{path}")))
    }

    fn in_clone(&self) -> Command {
        let mut command = git();
        command.arg("-C").arg(&self.clone);
        command.args(["-c", "user.name=Test", "-c", "user.email=test@example.test"]);
        command
    }

    fn in_bare(&self) -> Command {
        let mut command = git();
        command.arg("-C").arg(&self.bare);
        command
    }
}

/// Git without the settings of whoever runs the tests.
fn git() -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}
