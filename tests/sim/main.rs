//! A simulation of the core: the real log, projections, worker and decisions with fakes at the ports,
//! in a world where everything fails that may. One seed decides everything that happens; the laws are
//! checked with every event and effect, and `make sim SEED=n` shows a seed step by step.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, and says what it did"
)]

mod dice;
mod ledger;
mod life;
mod outside;
#[path = "../story/parts.rs"]
mod parts;
mod ports;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use life::run_seed;

/// Seeds that are run; each hundredth twice, to see that it takes the same way.
const SEEDS: u64 = 10_000;

/// Seeds are run on so many threads, each seed on one.
const THREADS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().unwrap())
}

/// Makes a directory in memory the working directory, so that the paths in the log are the same
/// everywhere.
fn work_in_memory() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let directory = if memory.is_dir() {
        tempfile::TempDir::new_in(memory)
    } else {
        tempfile::TempDir::new()
    };
    let directory = directory.unwrap();
    std::env::set_current_dir(directory.path()).unwrap();
    directory
}

fn run_checked(seed: u64) -> Result<u64, String> {
    let (root, events) = run_seed(seed, false)?;
    if seed.is_multiple_of(100) {
        let (again, _) = run_seed(seed, false)?;
        let same = again == root;
        same.then_some(())
            .ok_or("it took another way when it was run again")?;
    }
    Ok(events)
}

#[test]
fn no_seed_breaks_a_law() {
    let _directory = work_in_memory();
    if let Some(seed) = number("AIRUT_SIM_SEED") {
        let ended = run_seed(seed, true);
        println!("seed {seed}: {ended:?}");
        assert!(ended.is_ok(), "seed {seed}: {ended:?}");
        return;
    }
    let seeds = number("AIRUT_SIM_SEEDS").unwrap_or(SEEDS);
    let (next, events) = (AtomicU64::new(1), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds || failed.lock().unwrap().len() >= 5 {
                        return;
                    }
                    // What panics breaks a law too, and its seed is told like any other.
                    let ended = std::panic::catch_unwind(|| run_checked(seed));
                    let ended = ended.unwrap_or_else(|_| Err("it panicked".to_owned()));
                    match ended {
                        Ok(count) => drop(events.fetch_add(count, Ordering::Relaxed)),
                        Err(broken) => failed.lock().unwrap().push((seed, broken)),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    for (seed, broken) in &failed {
        println!("seed {seed}: {broken}\n  make sim SEED={seed}");
    }
    assert!(failed.is_empty(), "{} seeds break a law", failed.len());
    println!("sim.events {} events", events.into_inner());
    println!("sim.seeds {seeds} count");
}
