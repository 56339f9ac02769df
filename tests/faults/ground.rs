//! What these tests stand on: a daemon without an engine, file systems of its own, and what it was told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says to the test that it runs in a mount namespace of its own.
const INSIDE: &str = "AIRUT_FAULTS_INSIDE";

/// Runs a test in a mount namespace of its own, in which it may mount what it likes; skips it aloud
/// where that is not permitted.
pub(crate) fn with_mounts(name: &str, test: impl FnOnce(&Ground)) {
    if std::env::var_os(INSIDE).is_some() {
        return test(&Ground::new());
    }
    if let Some(missing) = missing() {
        let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
        assert!(!required, "a real part is missing: {missing}");
        eprintln!("SKIPPED: {missing}");
        return;
    }
    let ran = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = words(&ran);
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("1 passed"), "there is no test {name}: {said}");
}

fn missing() -> Option<&'static str> {
    let works = |script: &str| {
        let mut command = Command::new("unshare");
        let command = command.args(["--mount", "sh", "-c", script]);
        command.output().is_ok_and(|output| output.status.success())
    };
    if !works("mount -t tmpfs none /mnt") {
        return Some("mounting is not permitted here (root is needed)");
    }
    let loops = works("mkfs.ext4 -V && losetup --find");
    (!loops).then_some("mkfs.ext4 or loop devices are missing here")
}

/// A home directory with a configuration, in which daemons run one after the other.
pub(crate) struct Ground {
    home: TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let home = TempDir::new().unwrap();
        let ground = Self { home };
        fs::create_dir_all(ground.log().parent().unwrap()).unwrap();
        ground.configure("");
        ground
    }

    /// Writes a configuration whose only repository cannot be cloned, with some lines more.
    pub(crate) fn configure(&self, lines: &str) {
        let text = format!(
            "config_version: 5\ncontainer_command: /bin/false\nnetwork: {{upstream_dns: 127.0.0.1}}\n\
             repos: {{ferry: {{repo_url: /nonexistent.git}}}}\n{lines}\n"
        );
        fs::write(self.path("airut.yaml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state/airut")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.state().join("log")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_airut"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("TZ", "UTC")
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_RUNTIME_DIR", self.path("runtime"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn airut(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the daemon's command without waiting for it.
    pub(crate) fn spawn(&self) -> Daemon<'_> {
        let config = self.path("airut.yaml");
        let errors = fs::File::create(self.path("stderr")).unwrap();
        let arguments = ["run-gateway", "--config", config.to_str().unwrap()];
        let child = self.command(&arguments).stderr(errors).spawn().unwrap();
        Daemon {
            ground: self,
            child,
        }
    }

    /// Starts a daemon and waits until it takes messages in.
    #[track_caller]
    pub(crate) fn daemon(&self) -> Daemon<'_> {
        let mut daemon = self.spawn();
        daemon.await_words("airut takes messages in");
        daemon
    }

    /// Starts a daemon that is refused; returns what it says.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let mut daemon = self.spawn();
        let status = daemon.await_end();
        assert_eq!(status.code(), Some(2), "{}", daemon.said());
        daemon.said()
    }

    /// Sends a message; returns the task it becomes, or what is said instead.
    pub(crate) fn send(&self, text: &str) -> Result<String, String> {
        let sent = self.airut(&["send", "--repo", "ferry", text]);
        match sent.status.success() {
            true => Ok(String::from_utf8_lossy(&sent.stdout).into_owned()),
            false => Err(words(&sent)),
        }
    }

    /// Sends until it is refused; returns how many were taken in, and the refusal.
    pub(crate) fn send_until_refused(&self) -> (usize, String) {
        let text = "x".repeat(4000);
        for taken in 0..2000 {
            if let Err(said) = self.send(&text) {
                return (taken, said);
            }
        }
        panic!("a disk without room took 2000 messages in");
    }

    /// Compares the number of messages in the log with those that were acknowledged, and verifies it.
    #[track_caller]
    pub(crate) fn check_nothing_lost(&self, acknowledged: usize) {
        let there = self.events("MessageReceived").len();
        assert!(there >= acknowledged, "{there} of {acknowledged} are there");
        let verified = self.airut(&["verify"]);
        assert!(verified.status.success(), "{}", words(&verified));
    }

    /// Returns all events of a kind, oldest first.
    #[track_caller]
    pub(crate) fn events(&self, kind: &str) -> Vec<serde_json::Value> {
        let mut all = self.all_events();
        all.retain(|event| event["type"] == kind);
        all
    }

    #[track_caller]
    pub(crate) fn all_events(&self) -> Vec<serde_json::Value> {
        let output = self.airut(&["events", "--json"]);
        assert!(output.status.success(), "{}", words(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap());
        parsed.collect()
    }

    /// Makes a file system in a file and mounts it; it is gone with the namespace.
    pub(crate) fn mount_ext4(&self, image: &Path, megabytes: u64, at: &Path) {
        fs::create_dir_all(at).unwrap();
        let file = fs::File::create(image).unwrap();
        file.set_len(megabytes << 20).unwrap();
        run("mkfs.ext4", &["-q", "-m", "0", image.to_str().unwrap()]);
        mount("loop,errors=remount-ro", image, at);
    }
}

/// A daemon's process, killed when it is dropped.
pub(crate) struct Daemon<'a> {
    ground: &'a Ground,
    child: Child,
}

impl Daemon<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.ground.path("stderr")).unwrap()
    }

    #[track_caller]
    pub(crate) fn await_words(&mut self, wanted: &str) {
        until(wanted, || {
            let ended = self.child.try_wait().unwrap();
            let said = self.said();
            assert!(ended.is_none(), "{ended:?}: {said}");
            said.contains(wanted).then_some(())
        });
    }

    pub(crate) fn try_end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    #[track_caller]
    pub(crate) fn await_end(&mut self) -> ExitStatus {
        until("the daemon's end", || self.child.try_wait().unwrap())
    }

    pub(crate) fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it as an operator would.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        run("sh", &["-c", &format!("kill -s TERM {}", self.pid())]);
        let status = self.await_end();
        assert!(status.success(), "{status}: {}", self.said());
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn mount(options: &str, what: &Path, at: &Path) {
    let (what, at) = (what.to_str().unwrap(), at.to_str().unwrap());
    run("mount", &["-o", options, what, at]);
}

#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = words(&output);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

/// Everything that a program said.
pub(crate) fn words(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[out.as_slice(), err].concat()).into_owned()
}

/// Fills a file system to the last byte; removing the file makes room again.
pub(crate) fn fill(directory: &Path) -> PathBuf {
    let ballast = directory.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    for bytes in [1 << 16, 1 << 12, 1] {
        while std::io::Write::write_all(&mut file, &vec![0; bytes]).is_ok() {}
    }
    file.sync_all().ok();
    ballast
}
