//! The parts of the bench, and how they print.

pub(crate) mod allowlist;
pub(crate) mod daemon;
pub(crate) mod log;
pub(crate) mod mail;
pub(crate) mod podman;
pub(crate) mod proxy;
pub(crate) mod rebuild;
pub(crate) mod run;
pub(crate) mod sled;

use std::time::Duration;

use tempfile::TempDir;

/// Prints a figure.
pub(crate) fn print(name: &str, value: f64, unit: &str) {
    let digits = usize::from(value < 100.0) * 2;
    println!("{name} {value:.digits$} {unit}");
}

/// Prints a time.
pub(crate) fn print_ms(name: &str, taken: Duration) {
    print(name, taken.as_secs_f64() * 1e3, "ms");
}

/// Returns the middle one.
pub(crate) fn median(mut taken: Vec<Duration>) -> Option<Duration> {
    taken.sort();
    taken.get(taken.len() / 2).copied()
}

/// Prints how many there were in a second.
pub(crate) fn print_rate(name: &str, count: u64, elapsed: Duration) {
    print(name, count as f64 / elapsed.as_secs_f64(), "events/s");
}

/// A directory on the disk that the build is on: `/tmp` may be memory.
pub(crate) fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Returns a figure in KiB from a process's status, in MiB.
pub(crate) fn status_mib(process: &str, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap();
    let kib: f64 = line
        .trim_start_matches(':')
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kib / 1024.0
}
