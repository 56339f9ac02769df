//! The keys of `execution:` that say how much of the queue is whose. Pure.

use crate::config::section::Section;
use crate::config::types::QueueLimits;
use crate::config::yaml::Problem;

/// Most tasks that can be allowed to run at once.
const CONCURRENT_MAX: u64 = 254;

/// Most tasks that can be allowed to wait; all of them are kept in memory.
const WAITING_MAX: u64 = 100_000;

/// Reads them.
pub(super) fn limits(section: &mut Section) -> Result<QueueLimits, Problem> {
    let mut limits = QueueLimits::default();
    let mut number = |key: &'static str, max: u64| {
        let scalar = section.scalar(key)?;
        let number = scalar.map(|scalar| scalar.integer(1, max)).transpose()?;
        Ok(number.map(|number| number as usize))
    };
    limits.per_repo_max = number("max_concurrent_per_repo", CONCURRENT_MAX)?;
    limits.per_sender_max = number("max_concurrent_per_sender", CONCURRENT_MAX)?;
    if let Some(waiting_max) = number("max_waiting", WAITING_MAX)? {
        limits.waiting_max = waiting_max;
    }
    if let Some(waiting_max) = number("max_waiting_per_sender", WAITING_MAX)? {
        limits.waiting_per_sender_max = waiting_max;
    }
    Ok(limits)
}
