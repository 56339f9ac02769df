//! Slack's own clients against the stand-in: what they do not accept, Slack would not send.
//!
//! Each driver in `tests/slack/sdks` runs to its end against a stand-in of its own. Where the
//! clients are missing (`scripts/setup.sh slack`), the tests are skipped, aloud; with
//! `AIRUT_REQUIRE_REAL=1` that is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::standin::{Options, Standin};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where the clients are.
fn clients() -> PathBuf {
    Path::new(ROOT).join(".airut-dev/slack-sdks")
}

/// Finds a file of the clients, or says that it is missing.
pub(crate) fn find(path: &str) -> Option<PathBuf> {
    let found = clients().join(path);
    if found.exists() {
        return Some(found);
    }
    let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
    assert!(!required, "{} is missing (make setup)", found.display());
    eprintln!("SKIPPED: {} is missing (make setup)", found.display());
    None
}

/// Runs a driver against a fresh stand-in. The waits before events come again leave time for the
/// slowest client to reconnect.
#[track_caller]
fn check(mut command: Command, driver: &Path) {
    let standin = Standin::start(Options {
        ack_deadline_ms: 1_000,
        retry_delays_ms: vec![0, 300, 2_000, 8_000],
        limits: false,
        ..Options::default()
    })
    .unwrap();
    let command = command.arg(driver).arg(standin.api_url());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("ok "), "the driver checked nothing: {said}");
}

#[track_caller]
fn check_python(driver: &str) {
    let Some(python) = find("python/bin/python") else {
        return;
    };
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let driver = Path::new(ROOT).join("tests/slack/sdks").join(driver);
    check(command, &driver);
}

/// Node looks for packages above the driver, so the driver goes to where they are.
#[track_caller]
fn check_node(driver: &str) {
    let Some(packages) = find("node/node_modules/@slack/bolt") else {
        return;
    };
    let node = packages.ancestors().nth(3).unwrap();
    let beside = tempfile::tempdir_in(node).unwrap();
    for name in [driver, "hand.mjs"] {
        let from = Path::new(ROOT).join("tests/slack/sdks").join(name);
        std::fs::copy(from, beside.path().join(name)).unwrap();
    }
    check(Command::new("node"), &beside.path().join(driver));
}

#[test]
fn the_python_sdk_calls_uploads_waits_and_reconnects() {
    check_python("sdk.py");
}

#[test]
fn bolt_for_python_serves_assistant_threads_mentions_and_buttons() {
    check_python("bolt.py");
}

#[test]
fn the_web_client_of_node_calls_uploads_and_waits() {
    check_node("web.mjs");
}

#[test]
fn the_socket_client_of_node_acknowledges_and_reconnects() {
    check_node("socket.mjs");
}

#[test]
fn bolt_for_node_serves_assistant_threads_mentions_and_buttons() {
    check_node("bolt.mjs");
}
