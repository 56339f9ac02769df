//! A moment as a person names it: a position of the log, or a time. It knows no record but by its
//! position and time.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::events::Recorded;
use crate::events::id::{AtMs, Position};

/// A moment of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After the event at this position.
    Position(Position),
    /// Before the first event that was recorded later than this.
    Time(AtMs),
}

/// A moment that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no moment: give a position (1200), a time with its zone (2026-11-24T14:03:00Z) or a \
     local time (\"2026-11-24 14:03\")"
)]
pub struct NoMoment(String);

impl When {
    /// Returns whether an event came later.
    pub fn is_before(self, recorded: &Recorded) -> bool {
        match self {
            Self::Position(position) => recorded.position > position,
            Self::Time(at) => recorded.at > at,
        }
    }
}

impl FromStr for When {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let no_moment = || NoMoment(text.to_owned());
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let position = text.parse().map_err(|_| no_moment())?;
            return Ok(Self::Position(Position(position)));
        }
        let time = match text.parse::<Timestamp>() {
            Ok(time) => time,
            Err(_) => local(text).ok_or_else(no_moment)?,
        };
        let ms = u64::try_from(time.as_millisecond()).map_err(|_| no_moment())?;
        Ok(Self::Time(AtMs(ms)))
    }
}

/// Reads a time without a zone in the zone of this machine.
fn local(text: &str) -> Option<Timestamp> {
    let civil: DateTime = text.parse().ok()?;
    TimeZone::system().to_timestamp(civil).ok()
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(position) => write!(f, "position {position}"),
            Self::Time(at) => f.write_str(&time(*at)),
        }
    }
}

/// Returns a time in UTC by RFC 3339, with milliseconds.
pub fn time(at: AtMs) -> String {
    let read = i64::try_from(at.0).ok();
    let read = read.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    read.map_or_else(|| format!("{at} ms"), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_position_or_a_time_with_or_without_its_zone() {
        let at = |text: &str| text.parse::<When>().unwrap();
        assert_eq!(at("1200"), When::Position(Position(1200)));
        let time = When::Time(AtMs(1_795_529_046_000));
        assert_eq!(at("2026-11-24T14:04:06Z"), time);
        assert_eq!(at("2026-11-24T16:04:06+02:00"), time);
        assert!(matches!(at("2026-11-24 14:03"), When::Time(_)));
        assert!(matches!(at("2026-11-24"), When::Time(_)));
        for wrong in ["", "yesterday", "-4", "1.5", "1969-01-01T00:00:00Z"] {
            let error = wrong.parse::<When>().unwrap_err().to_string();
            assert!(error.contains("2026-11-24T14:03:00Z"), "{wrong}: {error}");
        }
    }

    #[test]
    fn times_are_written_with_their_zone() {
        assert_eq!(time(AtMs(1_795_529_046_007)), "2026-11-24T14:04:06.007Z");
    }
}
