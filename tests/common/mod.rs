//! The test world: real mail servers, a private internet, a bare repository and the daemon, each
//! started for one test and gone after it, also when the test is killed.
//!
//! A test asks [`World::start`] for all of it. Where a part is missing on this machine the test is
//! skipped, aloud; with `AIRUT_REQUIRE_REAL=1` a missing part is a failure.

pub(crate) mod daemon;
pub(crate) mod hosts;
pub(crate) mod log;
pub(crate) mod mail;
pub(crate) mod mailbox;
pub(crate) mod parts;
pub(crate) mod repository;
pub(crate) mod world;

pub(crate) use crate::common::daemon::Daemon;
pub(crate) use crate::common::log::Event;
pub(crate) use crate::common::world::{Plan, World};

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything of a test may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Runs a command to its end and returns its standard output, or stops the test.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the command can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks again and again until there is an answer; for what gives no sign of its own.
#[track_caller]
pub(crate) fn until<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            start.elapsed() < patience,
            "waited {patience:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
