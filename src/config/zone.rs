//! Time zones by name (spec row SCH-02). It reads this machine's zone database.

use jiff::tz::TimeZone;

/// A name that is no zone here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no time zone of this machine: write an IANA name such as Europe/Helsinki or UTC; where \
     names are unknown altogether, install tzdata"
)]
pub struct UnknownZone(String);

/// Returns the zone of an IANA name, for example `Europe/Helsinki`.
///
/// # Errors
/// [`UnknownZone`] when there is none.
pub fn named(name: &str) -> Result<TimeZone, UnknownZone> {
    TimeZone::get(name).map_err(|_| UnknownZone(name.to_owned()))
}

/// Returns the zone of this machine: `TZ`, else the system's setting, else UTC.
pub fn of_machine() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}
