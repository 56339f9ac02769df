//! The only file that reads the clock. Pure code gets the time as an argument.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may read the clock"
)]

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

thread_local! {
    /// When this thread was told the time, and what it was told.
    static TOLD: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// Tells this thread what its wall clock shows from now on: it goes on with the runtime's time,
/// which a simulation owns. Only the simulator calls it; its seeds run on a thread each.
pub fn tell(now_ms: u64) {
    TOLD.set(Some((Instant::now(), now_ms)));
}

/// Returns whether this thread belongs to a simulation, in which nothing may depend on real time or
/// on another thread.
pub fn is_simulated() -> bool {
    TOLD.get().is_some()
}

/// Returns milliseconds since the Unix epoch; 0 when the clock stands before it.
pub fn now_ms() -> u64 {
    if let Some((since, told)) = TOLD.get() {
        return told + u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    }
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Returns the present moment as the log writes it.
#[cfg(feature = "gateway")]
pub fn now() -> crate::events::id::AtMs {
    crate::events::id::AtMs(now_ms())
}

/// A moment from which elapsed time is measured, unmoved by changes of the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Returns the milliseconds since the start.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
