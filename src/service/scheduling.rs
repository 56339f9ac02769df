//! When schedules are due, for the command line. It runs nothing and reads no configuration.

use jiff::tz::TimeZone;

use crate::clock;
use crate::config::cron::{Cron, CronError};
use crate::config::zone::{self, UnknownZone};
use crate::events::id::AtMs;
use crate::service::look::when::{self, When};

/// Why due times cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The expression does not read.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// The beginning is no time.
    #[error("{0} is a place in the log; write a time (2026-11-24T14:03:00Z)")]
    NoTime(When),
    /// The zone is not known.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
}

/// A time at which an expression is due.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Due {
    /// As the clocks of the zone show it, with their offset (RFC 3339 without seconds' fractions).
    pub local: String,
    /// In UTC (RFC 3339).
    pub utc: String,
    /// The day of the week there, for example `Mon`.
    pub weekday: String,
    /// The zone's IANA name.
    pub zone: String,
}

/// Returns the next due times of an expression after a moment, by default now; `zone` is an IANA name, by default
/// this machine's zone. There are fewer than `count` where the calendar ends.
///
/// # Errors
/// [`ScheduleError`], which says what to write.
pub fn next(
    expression: &str,
    zone: Option<&str>,
    after: Option<When>,
    count: usize,
) -> Result<Vec<Due>, ScheduleError> {
    let after = match after {
        None => clock::now(),
        Some(When::Time(at)) => at,
        Some(position @ When::Position(_)) => return Err(ScheduleError::NoTime(position)),
    };
    let cron = Cron::parse(expression)?;
    let zone = zone.map_or_else(|| Ok(zone::of_machine()), zone::named)?;
    let times = std::iter::successors(Some(after), |after| cron.next(*after, &zone));
    Ok(times
        .skip(1)
        .take(count)
        .filter_map(|at| due(at, &zone))
        .collect())
}

fn due(at: AtMs, zone: &TimeZone) -> Option<Due> {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?;
    let local = time.to_zoned_datetime(zone.clone());
    Some(Due {
        local: local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        utc: when::time(at),
        weekday: local.strftime("%a").to_string(),
        zone: zone.iana_name().unwrap_or("local").to_owned(),
    })
}
