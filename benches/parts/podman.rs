//! Bare Podman: what starting any container costs on this machine.

use std::process::{Command, Stdio};
use std::time::Duration;

use airut::clock::Stopwatch;

use super::{median, print_ms};

const IMAGE: &str = "localhost/airut-test-base:latest";

/// Containers of which the median counts.
const ROUNDS: usize = 7;

/// What the bare pair of containers is called.
const PAIR: &str = "airut-bench-pair";

/// Measures `podman run` of a program that ends at once; returns the median.
pub(crate) fn bare() -> Option<Duration> {
    let bare = median((0..ROUNDS).map_while(|_| alone()).collect());
    let Some(taken) = bare else {
        println!("run.podman_bare - podman or {IMAGE} is missing (scripts/setup.sh podman)");
        return None;
    };
    print_ms("run.podman_bare", taken);
    if let Some(taken) = median((0..ROUNDS).map_while(|_| beside_another()).collect()) {
        print_ms("run.podman_bare_proxied", taken);
    }
    bare
}

fn alone() -> Option<Duration> {
    let watch = Stopwatch::start();
    podman(&[
        "run",
        "--rm",
        "--pull=never",
        "--network=none",
        IMAGE,
        "true",
    ])?;
    Some(watch.elapsed())
}

/// What a run with its proxy cannot do without: an internal network, one container with a way out
/// on it, and another without. Removing the first and the network is not counted.
fn beside_another() -> Option<Duration> {
    let watch = Stopwatch::start();
    let made = podman(&["network", "create", "--internal", "--disable-dns", PAIR])
        .and_then(|()| {
            let network = format!("--network=podman,{PAIR}");
            let name = format!("--name={PAIR}");
            podman(&[
                "run",
                "-d",
                "--pull=never",
                &network,
                &name,
                IMAGE,
                "sleep",
                "60",
            ])
        })
        .and_then(|()| {
            let network = format!("--network={PAIR}");
            podman(&["run", "--rm", "--pull=never", &network, IMAGE, "true"])
        });
    let taken = watch.elapsed();
    // Of what was not made there is nothing to remove.
    let _never_made = podman(&["rm", "-f", "-t", "0", PAIR]);
    let _never_made = podman(&["network", "rm", "-f", PAIR]);
    made.map(|()| taken)
}

#[expect(
    clippy::disallowed_methods,
    reason = "Podman itself is what is measured"
)]
fn podman(arguments: &[&str]) -> Option<()> {
    let mut command = Command::new("podman");
    command.args(arguments);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet
        .status()
        .is_ok_and(|status| status.success())
        .then_some(())
}
