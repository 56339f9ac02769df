//! Named places at which a test lets the process die, to prove that a restart loses nothing. Without
//! `AIRUT_CRASH_AT` and `AIRUT_CRASH_AFTER`, which only tests set, nothing here does anything.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where to die, as `NAME` or `NAME:occurrence`.
#[derive(Debug)]
struct CrashPoint {
    name: String,
    occurrence: u32,
    met: AtomicU32,
}

impl CrashPoint {
    fn parse(text: &str) -> Self {
        let (name, occurrence) = text.split_once(':').unwrap_or((text, "1"));
        Self {
            name: name.to_owned(),
            occurrence: occurrence.parse().unwrap_or(1),
            met: AtomicU32::new(0),
        }
    }

    fn is_met(&self, name: &str) -> bool {
        name == self.name && self.met.fetch_add(1, Ordering::Relaxed) + 1 == self.occurrence
    }
}

static AT: OnceLock<CrashPoint> = OnceLock::new();
static AFTER: OnceLock<CrashPoint> = OnceLock::new();

/// Sets where the process dies: at a barrier, and after an event of a kind was appended.
pub fn arm(at: Option<&str>, after: Option<&str>) {
    if let Some(at) = at {
        AT.get_or_init(|| CrashPoint::parse(at));
    }
    if let Some(after) = after {
        AFTER.get_or_init(|| CrashPoint::parse(after));
    }
}

/// Dies here when a test asked for it; between an effect and the recording of its outcome.
pub fn barrier(name: &str) {
    if AT.get().is_some_and(|point| point.is_met(name)) {
        std::process::abort();
    }
}

/// Dies here when a test asked for it; after an event of that kind has become durable.
pub fn appended(event_name: &str) {
    if AFTER.get().is_some_and(|point| point.is_met(event_name)) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_point_is_met_at_its_occurrence_only() {
        let point = CrashPoint::parse("MessageReceived:2");
        let met = [
            "MessageReceived",
            "TaskQueued",
            "MessageReceived",
            "MessageReceived",
        ]
        .map(|name| point.is_met(name));
        assert_eq!(met, [false, false, true, false]);
    }
}
