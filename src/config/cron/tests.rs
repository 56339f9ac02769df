//! Due times beside a plain walk over all minutes, and on the days on which clocks change.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> AtMs {
    let time: Timestamp = text.parse().unwrap();
    AtMs(time.as_millisecond().unsigned_abs())
}

/// Returns the next due times as local times with their offset.
fn due(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let (cron, zone) = (
        Cron::parse(expression).unwrap(),
        TimeZone::get(zone).unwrap(),
    );
    let times = std::iter::successors(Some(at(after)), |after| cron.next(*after, &zone));
    let local = |at: AtMs| {
        let time = Timestamp::from_millisecond(i64::try_from(at.0).unwrap()).unwrap();
        let local = time.to_zoned_datetime(zone.clone());
        local.strftime("%m-%d %H:%M%:z").to_string()
    };
    times.skip(1).take(count).map(local).collect()
}

#[test]
fn a_time_that_clocks_skip_comes_right_after_the_gap_and_only_once() {
    let check = |zone, after, skipped, expected: [&str; 3]| {
        assert_eq!(
            due(skipped, zone, after, 3),
            expected,
            "{skipped} in {zone}"
        );
    };
    let (helsinki, new_york) = ("Europe/Helsinki", "America/New_York");
    check(
        helsinki,
        "2026-03-27T22:00:00Z",
        "30 3 * * *",
        [
            "03-28 03:30+02:00",
            "03-29 04:00+03:00",
            "03-30 03:30+03:00",
        ],
    );
    check(
        new_york,
        "2026-03-07T12:00:00Z",
        "5,55 2 * * *",
        [
            "03-08 03:00-04:00",
            "03-09 02:05-04:00",
            "03-09 02:55-04:00",
        ],
    );
    // Half an hour is skipped there.
    check(
        "Australia/Lord_Howe",
        "2026-10-03T00:00:00Z",
        "15 2 * * *",
        [
            "10-04 02:30+11:00",
            "10-05 02:15+11:00",
            "10-06 02:15+11:00",
        ],
    );
    // Clocks go forward at midnight there.
    check(
        "Africa/Cairo",
        "2026-04-23T00:00:00Z",
        "0 0 * * *",
        [
            "04-24 01:00+03:00",
            "04-25 00:00+03:00",
            "04-26 00:00+03:00",
        ],
    );
    // A whole day was skipped there.
    check(
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        "0 12 * * *",
        [
            "12-29 12:00-10:00",
            "12-31 00:00+14:00",
            "12-31 12:00+14:00",
        ],
    );
}

#[test]
fn a_time_that_clocks_show_twice_comes_the_first_time_alone() {
    let check = |zone, after, doubled, expected: [&str; 3]| {
        assert_eq!(
            due(doubled, zone, after, 3),
            expected,
            "{doubled} in {zone}"
        );
    };
    check(
        "Europe/Helsinki",
        "2026-10-24T12:00:00Z",
        "30 3 * * *",
        [
            "10-25 03:30+03:00",
            "10-26 03:30+02:00",
            "10-27 03:30+02:00",
        ],
    );
    check(
        "America/New_York",
        "2026-10-31T16:00:00Z",
        "30 1,13 * * *",
        [
            "10-31 13:30-04:00",
            "11-01 01:30-04:00",
            "11-01 13:30-05:00",
        ],
    );
    check(
        "Australia/Lord_Howe",
        "2026-04-04T00:00:00Z",
        "45 1 * * *",
        [
            "04-05 01:45+11:00",
            "04-06 01:45+10:30",
            "04-07 01:45+10:30",
        ],
    );
    // Asked in the second pass, the first is over.
    check(
        "Europe/London",
        "2026-10-25T01:10:00Z",
        "30 1 * * *",
        [
            "10-26 01:30+00:00",
            "10-27 01:30+00:00",
            "10-28 01:30+00:00",
        ],
    );
}

#[test]
fn a_rhythm_goes_on_through_both_changes_in_five_zones() {
    for (zone, spring, autumn) in [
        (
            "Europe/Helsinki",
            "2026-03-29T00:00:00Z",
            "2026-10-24T23:00:00Z",
        ),
        (
            "America/New_York",
            "2026-03-08T06:00:00Z",
            "2026-11-01T04:00:00Z",
        ),
        (
            "Australia/Sydney",
            "2026-10-03T15:00:00Z",
            "2026-04-04T14:00:00Z",
        ),
        (
            "America/Santiago",
            "2026-09-06T03:00:00Z",
            "2026-04-05T02:00:00Z",
        ),
        (
            "Europe/London",
            "2026-03-29T00:00:00Z",
            "2026-10-24T23:00:00Z",
        ),
    ] {
        let (cron, zone) = (
            Cron::parse("*/20 * * * *").unwrap(),
            TimeZone::get(zone).unwrap(),
        );
        for start in [spring, autumn] {
            let mut time = at(start);
            for _ in 0..12 {
                let next = cron.next(time, &zone).unwrap();
                assert_eq!(next.0 - time.0, 20 * 60 * 1000, "{zone:?} {start}");
                time = next;
            }
        }
    }
    let hourly = due("30 * * * *", "Europe/Helsinki", "2026-10-24T23:45:00Z", 4);
    let twice = [
        "10-25 03:30+03:00",
        "10-25 03:30+02:00",
        "10-25 04:30+02:00",
        "10-25 05:30+02:00",
    ];
    assert_eq!(hourly, twice);
}

#[test]
fn what_is_no_expression_says_what_to_write() {
    let error = |text: &str| Cron::parse(text).unwrap_err().to_string();
    assert!(error("* * * *").contains("has 4 fields"));
    assert!(error("@daily").contains("has 1 fields"));
    for (wrong, part, field) in [
        ("60 * * * *", "60", "minute"),
        ("* 24 * * *", "24", "hour"),
        ("* * 0 * *", "0", "day of month"),
        ("* * * 13 *", "13", "month"),
        ("* * * * 8", "8", "day of week"),
        ("* * * JAN *", "JAN", "month"),
        ("* * L * *", "L", "day of month"),
        ("* * * * 1#2", "1#2", "day of week"),
        ("5-1 * * * *", "5-1", "minute"),
        ("*/0 * * * *", "*/0", "minute"),
        ("1,,2 * * * *", "", "minute"),
        ("/5 * * * *", "/5", "minute"),
        ("+5 * * * *", "+5", "minute"),
    ] {
        let words = error(wrong);
        assert!(
            words.starts_with(&format!("{part:?} is no {field}")),
            "{words}"
        );
    }
    assert!(error("0 0 30 2 *").contains("never due"));
    let long = |chars: usize| format!("{}* * * * *", " ".repeat(chars - 9));
    assert!(Cron::parse(&long(EXPRESSION_CHARS_MAX)).is_ok());
    assert_eq!(
        Cron::parse(&long(EXPRESSION_CHARS_MAX + 1)),
        Err(CronError::TooLong)
    );
}

#[test]
fn the_rarest_day_is_found() {
    let monday_leap_day = due("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1);
    assert_eq!(monday_leap_day, ["02-29 00:00+00:00"]);
}

/// Returns the values of a field, plainly.
fn values(field: &str, least: u32, greatest: u32) -> Vec<u32> {
    let mut all = vec![];
    for part in field.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let step: usize = step.parse().unwrap();
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (least, greatest),
            Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
            // The Python Airut reads 7 as 0, which is Sunday.
            None if part.contains('/') && (range, greatest) == ("7", 6) => (least, greatest),
            None if part.contains('/') => (range.parse().unwrap(), greatest),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        all.extend((first..=last).step_by(step));
    }
    all
}

/// Walks over the minutes, as the Python Airut's rules say, in a zone whose clocks never change.
fn walk(expression: &str, after: AtMs) -> AtMs {
    let fields: Vec<&str> = expression.split(' ').collect();
    let sets: Vec<Vec<u32>> = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
        .iter()
        .zip(&fields)
        .map(|((least, greatest), field)| values(field, *least, *greatest))
        .collect();
    let has = |set: usize, value: i8| sets[set].contains(&u32::from(value.unsigned_abs()));
    let mut ms = after.0 / 60_000 * 60_000;
    loop {
        ms += 60_000;
        let time = Timestamp::from_millisecond(i64::try_from(ms).unwrap()).unwrap();
        let time = time.to_zoned_datetime(TimeZone::UTC);
        let (of_month, of_week) = (has(2, time.day()), {
            let day = time.weekday().to_sunday_zero_offset();
            has(4, day) || (day == 0 && sets[4].contains(&7))
        });
        let day = match (fields[2] == "*", fields[4] == "*") {
            (false, false) => of_month || of_week,
            _ => of_month && of_week,
        };
        if !day || !has(3, time.month()) {
            // The last minute of a day that is not meant.
            ms = ms / 86_400_000 * 86_400_000 + 86_340_000;
            continue;
        }
        if has(0, time.minute()) && has(1, time.hour()) {
            return AtMs(ms);
        }
    }
}

fn field(least: u32, greatest: u32) -> impl Strategy<Value = String> {
    let number = least..=greatest;
    let pair = (number.clone(), number.clone()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => number.clone().prop_map(|value| value.to_string()),
        1 => pair.clone().prop_map(|(a, b)| format!("{a}-{b}")),
        1 => (2_u32..20).prop_map(|step| format!("*/{step}")),
        1 => (number.clone(), 1_u32..9).prop_map(|(value, step)| format!("{value}/{step}")),
        1 => (pair, 1_u32..9).prop_map(|((a, b), step)| format!("{a}-{b}/{step}")),
        1 => (number.clone(), number).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_expression_is_due_when_a_walk_over_all_minutes_says(
        minute in field(0, 59),
        hour in field(0, 23),
        day in field(1, 28),
        month in prop_oneof![3 => Just("*".to_owned()), 1 => field(1, 12)],
        weekday in prop_oneof![4 => field(0, 6), 1 => Just("7".to_owned()), 1 => Just("7/2".to_owned())],
        after in 1_700_000_000_000_u64..1_900_000_000_000,
    ) {
        let expression = format!("{minute} {hour} {day} {month} {weekday}");
        let cron = Cron::parse(&expression).unwrap();
        prop_assert_eq!(cron.next(AtMs(after), &TimeZone::UTC), Some(walk(&expression, AtMs(after))), "{}", expression);
    }

    #[test]
    fn due_times_only_go_forward(
        minute in field(0, 59),
        hour in field(0, 23),
        after in 1_760_000_000_000_u64..1_800_000_000_000,
        zone in prop_oneof![Just("Europe/Helsinki"), Just("Australia/Lord_Howe"), Just("America/Santiago")],
    ) {
        let (cron, zone) = (Cron::parse(&format!("{minute} {hour} * * *")).unwrap(), TimeZone::get(zone).unwrap());
        let mut time = AtMs(after);
        for _ in 0..20 {
            let next = cron.next(time, &zone).unwrap();
            prop_assert!(next > time);
            time = next;
        }
    }
}
