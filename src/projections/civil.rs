//! Moments as a calendar writes them, in UTC, for logs and prompts. It knows no time zone.

use crate::events::id::AtMs;

/// Returns `YYYY-MM-DDTHH:MM:SS` in UTC, by the proleptic Gregorian calendar.
pub fn iso_seconds(at: AtMs) -> String {
    let seconds = at.0 / 1000;
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Returns year, month and day of a number of days since 1970-01-01. Counting years from March
/// puts the leap day at a year's end, so that no table of months is needed.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |ms: u64, expected: &str| assert_eq!(iso_seconds(AtMs(ms)), expected);
        check(0, "1970-01-01T00:00:00");
        check(951_782_399_999, "2000-02-28T23:59:59");
        check(951_782_400_000, "2000-02-29T00:00:00");
        check(1_709_251_200_000, "2024-03-01T00:00:00");
        check(1_795_442_646_000, "2026-11-23T14:04:06");
    }
}
