//! The daemon as a process that is killed and started again, over the same directories.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{PATIENCE, run, until};

/// A daemon and all the lives it has had.
#[derive(Debug)]
pub(crate) struct Daemon {
    program: PathBuf,
    dir: PathBuf,
    child: Child,
    peak_kib: u64,
}

impl Daemon {
    /// Starts the daemon whose files are in `dir`, and whose configuration is `airut.yaml` there.
    pub(crate) fn new(dir: &Path) -> Self {
        let program = built("examples/soak-daemon");
        Self {
            child: spawn(&program, dir),
            program,
            dir: dir.to_owned(),
            peak_kib: 0,
        }
    }

    /// Kills it, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.measure();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again; it need not be up on return.
    pub(crate) fn start(&mut self) {
        self.child = spawn(&self.program, &self.dir);
    }

    /// Stops it as an operator does.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.measure();
        run(Command::new("sh").args([
            "-c",
            "kill -s TERM \"$1\"",
            "kill",
            &self.child.id().to_string(),
        ]));
        let child = &mut self.child;
        let status = until("the daemon's end", PATIENCE, || child.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", self.words());
    }

    /// Stops the test when the daemon has ended by itself.
    #[track_caller]
    pub(crate) fn check_alive(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "the daemon ended, {ended:?}: {}",
            self.words()
        );
        self.measure();
    }

    /// Returns the most memory that any of its lives held at once (proc(5), VmHWM).
    pub(crate) fn peak_kib(&self) -> u64 {
        self.peak_kib
    }

    fn measure(&mut self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok());
        self.peak_kib = self.peak_kib.max(peak.unwrap_or(0));
    }

    fn words(&self) -> String {
        let said = fs::read_to_string(self.dir.join("daemon.stderr")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Lets a daemon over the same directories die right after an event of a kind became durable.
#[track_caller]
pub(crate) fn die_after(event: &str, dir: &Path, meanwhile: impl FnOnce()) {
    let mut daemon = command(&built("examples/soak-daemon"), dir);
    daemon
        .env("AIRUT_CRASH_AFTER", event)
        .arg(dir.join("airut.yaml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = daemon.spawn().unwrap();
    meanwhile();
    let status = until("the daemon's death", PATIENCE, || child.try_wait().unwrap());
    assert!(!status.success(), "{status}");
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(program: &Path, dir: &Path) -> Child {
    let errors = File::options()
        .create(true)
        .append(true)
        .open(dir.join("daemon.stderr"))
        .unwrap();
    let child = command(program, dir)
        .arg(dir.join("airut.yaml"))
        .stdin(Stdio::null())
        .stdout(errors.try_clone().unwrap())
        .stderr(errors)
        .spawn()
        .unwrap();
    fs::write(dir.join("daemon.pid"), child.id().to_string()).unwrap();
    child
}

/// A program of ours that finds everything in `dir`, and nothing of whoever runs the test.
pub(crate) fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("RUST_BACKTRACE", "1")
        .env("HOME", dir.join("home"))
        .env("XDG_CONFIG_HOME", dir.join("home/.config"))
        .env("XDG_STATE_HOME", dir.join("state"))
        .env("XDG_RUNTIME_DIR", dir.join("runtime"));
    command
}

/// A program of this build: it lies beside the test's own directory.
pub(crate) fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let found = own
        .ancestors()
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built"))
}
