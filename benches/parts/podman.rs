//! Bare Podman: what starting any container costs on this machine.

use std::process::{Command, Stdio};
use std::time::Duration;

use airut::clock::Stopwatch;

use super::print;

const IMAGE: &str = "localhost/airut-test-base:latest";

/// Containers of which the median counts.
const ROUNDS: usize = 7;

/// Measures `podman run` of a program that ends at once.
pub(crate) fn bare() {
    let mut taken: Vec<Duration> = (0..ROUNDS).map_while(|_| run()).collect();
    taken.sort();
    match taken.get(ROUNDS / 2) {
        Some(median) => print("run.podman_bare", median.as_secs_f64() * 1e3, "ms"),
        None => {
            println!("run.podman_bare - podman or {IMAGE} is missing (scripts/setup.sh podman)");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "Podman itself is what is measured"
)]
fn run() -> Option<Duration> {
    let watch = Stopwatch::start();
    let status = Command::new("podman")
        .args([
            "run",
            "--rm",
            "--pull=never",
            "--network=none",
            IMAGE,
            "true",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status
        .is_ok_and(|status| status.success())
        .then(|| watch.elapsed())
}
