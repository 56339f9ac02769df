//! The only file that reads the clock. Pure code gets the time as an argument.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may read the clock"
)]

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as RealInstant, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

#[cfg(feature = "gateway")]
mod alarm;

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

/// Returns milliseconds since the Unix epoch, never less than it returned before: after a jump back
/// of the machine's clock this one goes on at half speed until the other has caught up.
pub fn now_ms() -> u64 {
    if let Some((since, told)) = TOLD.get() {
        return told + u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    }
    let mut steady = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
    steady.read(wall_ms(), RealInstant::now())
}

/// Returns how many milliseconds [`now_ms`] is ahead of the machine's clock, because that one jumped
/// back.
pub fn ahead_ms() -> u64 {
    if is_simulated() {
        return 0;
    }
    now_ms().saturating_sub(wall_ms())
}

/// Returns what the machine's clock shows, which may be less than it showed before: what people mean by
/// a time of day.
#[cfg(feature = "gateway")]
pub fn shown() -> crate::events::id::AtMs {
    let told = is_simulated().then(now_ms);
    crate::events::id::AtMs(told.unwrap_or_else(wall_ms))
}

/// Waits until the machine's clock shows a time, however it gets there: by going on, by being set, or
/// while the machine sleeps. Every setting of the clock ends the wait too, since the time may be a
/// different one then. Without a time it waits for ever.
#[cfg(feature = "gateway")]
pub async fn until_shown(at: Option<crate::events::id::AtMs>) {
    let Some(at) = at else {
        return std::future::pending().await;
    };
    let rest = Duration::from_millis(at.0.saturating_sub(shown().0));
    if is_simulated() {
        return tokio::time::sleep(rest).await;
    }
    match alarm::Alarm::set(at.0) {
        Ok(alarm) => alarm.rings().await,
        // A kernel without such timers: look again often enough.
        Err(_) => tokio::time::sleep(rest.min(LOOK_PAUSE_MAX)).await,
    }
}

/// Longest time between two looks at the clock where the kernel has no alarms.
#[cfg(feature = "gateway")]
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Lets the clock stand at a time at least: what was recorded at it happened, whatever the machine's
/// clock says now.
pub fn not_before(ms: u64) {
    let mut steady = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
    steady.read(ms.max(wall_ms()), RealInstant::now());
}

/// Returns what the machine's clock shows; 0 when it stands before the Unix epoch.
fn wall_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The clock of this process.
static STEADY: Mutex<Steady> = Mutex::new(Steady { last: None });

/// A clock that follows another one, but never goes back and never stands.
#[derive(Debug)]
struct Steady {
    /// When the other one was followed last, and what it showed.
    last: Option<(RealInstant, u64)>,
}

impl Steady {
    fn read(&mut self, wall_ms: u64, now: RealInstant) -> u64 {
        let at_least = self.last.map_or(0, |(since, ms)| {
            let elapsed = now.saturating_duration_since(since).as_millis();
            ms.saturating_add(u64::try_from(elapsed / 2).unwrap_or(u64::MAX))
        });
        if wall_ms >= at_least {
            self.last = Some((now, wall_ms));
        }
        wall_ms.max(at_least)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a clock at moments (elapsed, wall) and compares what it shows.
    #[track_caller]
    fn check(readings: &[(u64, u64)], expected: &[u64]) {
        let (mut steady, start) = (Steady { last: None }, RealInstant::now());
        let shown = readings.iter().map(|(elapsed, wall)| {
            let now = start + Duration::from_millis(*elapsed);
            steady.read(*wall, now)
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_clock_follows_the_machines_also_when_that_jumps_forward() {
        check(
            &[(0, 1000), (10, 1010), (20, 91_020)],
            &[1000, 1010, 91_020],
        );
    }

    #[test]
    fn after_a_jump_back_the_clock_goes_on_until_the_machines_has_caught_up() {
        check(
            &[
                (0, 1000),
                (100, 1100),
                (101, 600),
                (300, 800),
                (1100, 1600),
                (1200, 1700),
            ],
            &[1000, 1100, 1100, 1200, 1600, 1700],
        );
    }

    #[test]
    fn a_clock_that_is_read_again_and_again_after_a_jump_back_does_not_stand() {
        let readings: Vec<(u64, u64)> = (0..100).map(|ms| (ms, 5000 + ms)).collect();
        let jumped = (100..200).map(|ms| (ms, 1000 + ms));
        let all: Vec<_> = readings.into_iter().chain(jumped).collect();
        let (mut steady, start) = (Steady { last: None }, RealInstant::now());
        let last = all
            .iter()
            .map(|(ms, wall)| steady.read(*wall, start + Duration::from_millis(*ms)));
        assert_eq!(last.last(), Some(5149));
    }

    #[cfg(feature = "gateway")]
    #[tokio::test]
    async fn the_kernels_alarm_rings_when_the_clock_shows_its_time_and_not_before() {
        for ahead_ms in [0, 1, 40] {
            let at = crate::events::id::AtMs(shown().0 + ahead_ms);
            let alarm = alarm::Alarm::set(at.0).unwrap();
            let rung = tokio::time::timeout(Duration::from_secs(10), alarm.rings());
            rung.await.unwrap();
            assert!(shown() >= at, "{ahead_ms}");
            until_shown(Some(at)).await;
        }
    }

    #[test]
    fn the_clock_stands_at_what_was_recorded_at_least_and_says_how_far_it_is_ahead() {
        let recorded = wall_ms() + 3_600_000;
        not_before(recorded);
        assert!(now_ms() >= recorded);
        assert!(
            (3_590_000..=3_600_000).contains(&ahead_ms()),
            "{}",
            ahead_ms()
        );
    }
}
