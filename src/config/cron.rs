//! When a cron expression is due (spec row SCH-01), also on the days on which clocks change. Pure: it
//! knows the zone it is given, and no clock.
//!
//! An expression whose minute and hour hold no `*` names times of day. Each comes once on each of its
//! days: where clocks skip it, right after the gap, and where they show it twice, the first time. Any
//! other expression names a rhythm: it comes whenever the clock shows it, so what is skipped is not
//! made up for, and a doubled hour has it twice. These are the rules of Vixie's cron.

use croner::errors::CronError as MatchError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDateTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _, ZonedDateTime};

use crate::events::id::AtMs;

/// Characters of an expression; a longer one is refused.
pub const EXPRESSION_CHARS_MAX: usize = 256;

/// How far ahead a due time is looked for, in years: the 29th of February of a Monday is at most 40
/// years away, where a century has no leap day.
pub const HORIZON_YEARS_MAX: i16 = 41;

/// How far back a search begins, so that a time in a gap is met although the clock is past it. No
/// zone has ever skipped more than a day.
const GAP_HOURS_MAX: i64 = 25;

/// Name, least and greatest value of each field.
const FIELDS: [(&str, u8, u8); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
];

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It has too many or too few fields.
    #[error(
        "{0:?} has {1} fields; a cron expression has 5: minute, hour, day of month, month, day of week"
    )]
    Fields(String, usize),
    /// It is too long.
    #[error("the cron expression has more than {EXPRESSION_CHARS_MAX} characters")]
    TooLong,
    /// A part of a field does not read.
    #[error(
        "{part:?} is no {field}: write *, a number from {least} to {greatest}, a range 1-5, a step */5 \
         or 1-9/2, or several of them with commas"
    )]
    Part {
        /// The part.
        part: String,
        /// The field's name.
        field: &'static str,
        /// Its least value.
        least: u8,
        /// Its greatest value.
        greatest: u8,
    },
    /// It is never due, as the 30th of February.
    #[error("{0:?} is never due")]
    Never(String),
}

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    matcher: croner::Cron,
    /// Whether it names times of day, and not a rhythm.
    is_fixed: bool,
}

impl Cron {
    /// Reads an expression of five numeric fields. Names, nicknames and the extensions of other crons
    /// (`?`, `L`, `W`, `#`, seconds) are refused, as they always were.
    ///
    /// # Errors
    /// [`CronError`], which says what to write.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        if text.chars().count() > EXPRESSION_CHARS_MAX {
            return Err(CronError::TooLong);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(CronError::Fields(text.to_owned(), fields.len()));
        }
        for (field, limits) in fields.iter().zip(FIELDS) {
            field.split(',').try_for_each(|part| check(part, limits))?;
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .sloppy_ranges(true)
            .build();
        let (weekdays, others) = (fields[4], fields[..4].join(" "));
        let plain = format!("{others} {}", bounded_weekdays(weekdays));
        let never = || CronError::Never(text.to_owned());
        let cron = Self {
            text: fields.join(" "),
            matcher: parser.parse(&plain).map_err(|_| never())?,
            is_fixed: !fields[0].contains('*') && !fields[1].contains('*'),
        };
        let due = cron.next(AtMs(0), &TimeZone::UTC);
        due.map(|_| cron).ok_or_else(never)
    }

    /// Returns when it is due next after a time; nothing when that is too far away to be reckoned.
    pub fn next(&self, after: AtMs, zone: &TimeZone) -> Option<AtMs> {
        let after = Timestamp::from_millisecond(i64::try_from(after.0).ok()?).ok()?;
        let after = after.to_zoned_datetime(zone.clone());
        let due = if self.is_fixed {
            self.next_of_times(&after)?
        } else {
            let found = self.matcher.find_next_occurrence(&OnClock(after), false);
            found.ok()?.0.timestamp()
        };
        u64::try_from(due.as_millisecond()).ok().map(AtMs)
    }

    /// Goes through the times of day without a zone, and looks when each of them comes.
    fn next_of_times(&self, after: &ZonedDateTime) -> Option<Timestamp> {
        let earliest = after.datetime().checked_sub(GAP_HOURS_MAX.hours()).ok()?;
        let latest = after
            .datetime()
            .checked_add(HORIZON_YEARS_MAX.years())
            .ok()?;
        let mut time = OnPaper(earliest);
        while time.0 < latest {
            time = self.matcher.find_next_occurrence(&time, false).ok()?;
            let due = moment(after.time_zone(), time.0)?;
            if due > after.timestamp() {
                return Some(due);
            }
        }
        None
    }
}

impl std::fmt::Display for Cron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns when a time of day comes: the first time where it comes twice, the end of the gap where it
/// does not come at all.
fn moment(zone: &TimeZone, time: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
            ambiguous.earlier().ok()
        }
        AmbiguousOffset::Gap { .. } => {
            let before = ambiguous.earlier().ok()?;
            let change = zone.following(before).next()?;
            Some(change.timestamp())
        }
    }
}

/// Checks one part of a field between commas.
fn check(part: &str, (field, least, greatest): (&'static str, u8, u8)) -> Result<(), CronError> {
    let number = |text: &str| -> Option<u8> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let inside = |text: &str| number(text).filter(|value| (least..=greatest).contains(value));
    let reads = || {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, number(step).filter(|step| *step > 0)),
            None => (part, Some(1)),
        };
        step?;
        match range.split_once('-') {
            _ if range == "*" => Some(()),
            Some((first, last)) => (inside(first)? <= inside(last)?).then_some(()),
            None => inside(range).map(|_| ()),
        }
    };
    reads().ok_or_else(|| CronError::Part {
        part: part.to_owned(),
        field,
        least,
        greatest,
    })
}

/// Writes out where a step of weekdays ends: `1/6` is Monday alone, as it always was. The matcher
/// would go on to 7, which is Sunday once more.
fn bounded_weekdays(field: &str) -> String {
    let bounded = |part: &str| match part.split_once('/') {
        Some((first, step)) if first.bytes().all(|byte| byte.is_ascii_digit()) => {
            let first = if first == "7" { "0" } else { first };
            format!("{first}-6/{step}")
        }
        Some(_) | None => part.to_owned(),
    };
    let parts: Vec<String> = field.split(',').map(bounded).collect();
    parts.join(",")
}

/// A time in a zone, as the matcher sees it.
#[derive(Debug, Clone)]
struct OnClock(ZonedDateTime);

/// A time without a zone, as the matcher sees it.
#[derive(Debug, Clone, Copy)]
struct OnPaper(DateTime);

impl CronDateTime for OnClock {
    fn to_civil(&self) -> CivilDateTime {
        to_civil(self.0.datetime())
    }

    fn civil_weekday(&self) -> Weekday {
        to_weekday(self.0.datetime())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, MatchError> {
        let wrong = |_| MatchError::InvalidTime;
        let zone = self.0.time_zone();
        let ambiguous = zone.to_ambiguous_zoned_datetime(from_civil(civil)?);
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => {
                Resolution::Single(Self(ambiguous.unambiguous().map_err(wrong)?))
            }
            AmbiguousOffset::Fold { .. } => {
                let earlier = ambiguous.clone().earlier().map_err(wrong)?;
                let later = ambiguous.later().map_err(wrong)?;
                Resolution::Ambiguous(Self(earlier), Self(later))
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let moved = self.0.checked_add(SignedDuration::from_secs(seconds));
        moved.ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> std::cmp::Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

impl CronDateTime for OnPaper {
    fn to_civil(&self) -> CivilDateTime {
        to_civil(self.0)
    }

    fn civil_weekday(&self) -> Weekday {
        to_weekday(self.0)
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, MatchError> {
        Ok(Resolution::Single(Self(from_civil(civil)?)))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let moved = self.0.checked_add(SignedDuration::from_secs(seconds));
        moved.ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

fn to_weekday(time: DateTime) -> Weekday {
    let days = time.weekday().to_sunday_zero_offset();
    Weekday::from_days_from_sunday(u32::from(days.unsigned_abs()))
}

fn to_civil(time: DateTime) -> CivilDateTime {
    let part = |value: i8| u32::from(value.unsigned_abs());
    CivilDateTime::new(
        croner::CivilDate::from_parts_unchecked(
            i32::from(time.year()),
            part(time.month()),
            part(time.day()),
        ),
        croner::CivilTime::from_parts_unchecked(
            part(time.hour()),
            part(time.minute()),
            part(time.second()),
        ),
    )
}

fn from_civil(civil: CivilDateTime) -> Result<DateTime, MatchError> {
    let part = |value: u32| i8::try_from(value).map_err(|_| MatchError::InvalidDate);
    let year = i16::try_from(civil.year()).map_err(|_| MatchError::InvalidDate)?;
    DateTime::new(
        year,
        part(civil.month())?,
        part(civil.day())?,
        part(civil.hour())?,
        part(civil.minute())?,
        part(civil.second())?,
        0,
    )
    .map_err(|_| MatchError::InvalidDate)
}

#[cfg(test)]
mod tests;
