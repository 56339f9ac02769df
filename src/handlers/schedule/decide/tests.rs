//! What becomes of due times, step by step, at the limits.

use jiff::tz::TimeZone;

use super::*;
use crate::config::cron::Cron;
use crate::config::types::schedule::Schedule;
use crate::events::id::{RepoId, TaskId};
use crate::projections::Projection as _;
use crate::projections::schedules::Schedules;
use crate::projections::testing::recorded;

const MINUTE_MS: u64 = 60_000;

fn entry(catch_up: CatchUp, overlap: Overlap) -> Entry {
    let to = "captain@harbor.test".to_owned();
    Entry {
        repo: RepoId("ferry".to_owned()),
        name: "dawn".to_owned(),
        schedule: Schedule {
            cron: Cron::parse("* * * * *").unwrap(),
            timezone: None,
            enabled: true,
            subject: None,
            work: Work::Prompt("x".to_owned()),
            model: None,
            effort: None,
            deliver: Deliver::Email { to },
            overlap,
            catch_up,
        },
        zone: TimeZone::UTC,
        model: "opus".to_owned(),
        effort: None,
    }
}

/// Returns a schedule that is dealt with up to the epoch; `open` tasks of it are not over.
fn known(open: u64) -> ScheduleState {
    let mut schedules = Schedules::default();
    let in_force = ScheduleInForce {
        repo: RepoId("ferry".to_owned()),
        name: "dawn".to_owned(),
        cron: "* * * * *".to_owned(),
        zone: "UTC".to_owned(),
        from: AtMs(0),
    };
    schedules.apply(&recorded(vec![in_force.into()])[0]);
    let repo = RepoId("ferry".to_owned());
    let mut state = schedules.get(&repo, "dawn").unwrap().clone();
    state.open = (0..open).map(TaskId).collect();
    state
}

#[track_caller]
fn check(entry: &Entry, open: u64, machine: u64, expected: Option<Step>) {
    let [decided, expected] = [decide_step(entry, &known(open), AtMs(machine)), expected];
    assert_eq!(decided, expected);
}

fn miss(first: u64, last: u64, cause: MissedCause) -> Option<Step> {
    let minutes = |number: u64| AtMs(number * MINUTE_MS);
    Some(Step::Miss {
        first: minutes(first),
        last: minutes(last),
        count: u32::try_from(last - first + 1).unwrap(),
        cause,
    })
}

fn fire(minute: u64) -> Option<Step> {
    Some(Step::Fire(AtMs(minute * MINUTE_MS)))
}

#[test]
fn a_due_time_is_met_when_the_clock_shows_it_and_not_before() {
    for catch_up in [CatchUp::Skip, CatchUp::Once, CatchUp::All] {
        let entry = entry(catch_up, Overlap::Skip);
        check(&entry, 0, MINUTE_MS - 1, None);
        check(&entry, 0, MINUTE_MS, fire(1));
        check(&entry, 0, MINUTE_MS + 1, fire(1));
    }
}

#[test]
fn a_due_time_is_late_beyond_the_grace_only() {
    // The next one is due when the grace of the first ends.
    let mut entry = entry(CatchUp::Skip, Overlap::Skip);
    entry.schedule.cron = Cron::parse("1 * * * *").unwrap();
    check(&entry, 0, MINUTE_MS + GRACE_MS, fire(1));
    check(
        &entry,
        0,
        MINUTE_MS + GRACE_MS + 1,
        miss(1, 1, MissedCause::Late),
    );
}

#[test]
fn of_several_due_times_the_newest_is_made_up_for_or_all_of_them() {
    let machine = 5 * MINUTE_MS;
    let late = MissedCause::Late;
    check(
        &entry(CatchUp::Once, Overlap::Skip),
        0,
        machine,
        miss(1, 4, late),
    );
    check(
        &entry(CatchUp::Skip, Overlap::Skip),
        0,
        machine,
        miss(1, 4, late),
    );
    check(&entry(CatchUp::All, Overlap::Skip), 0, machine, fire(1));
}

#[test]
fn no_more_due_times_are_made_up_for_than_the_limit() {
    let all = entry(CatchUp::All, Overlap::Allow);
    let most = CATCH_UP_MAX as u64;
    check(&all, 0, (most - 1) * MINUTE_MS, fire(1));
    check(&all, 0, most * MINUTE_MS, fire(1));
    check(
        &all,
        0,
        (most + 1) * MINUTE_MS,
        miss(1, 1, MissedCause::Late),
    );
}

#[test]
fn more_due_times_than_are_looked_at_together_are_passed_over_in_parts() {
    let all = entry(CatchUp::All, Overlap::Allow);
    let (most, kept) = (SLOTS_LOOKED_AT_MAX as u64, CATCH_UP_MAX as u64);
    for due in [most - 1, most, most + 1] {
        let passed_over = due.min(most) - kept;
        check(
            &all,
            0,
            due * MINUTE_MS,
            miss(1, passed_over, MissedCause::Late),
        );
    }
}

#[test]
fn a_schedule_that_is_busy_passes_over_or_waits_or_goes_on_beside() {
    let machine = 2 * MINUTE_MS;
    let overlap = MissedCause::Overlap;
    check(
        &entry(CatchUp::Once, Overlap::Skip),
        1,
        machine,
        miss(1, 2, overlap),
    );
    check(
        &entry(CatchUp::Skip, Overlap::Skip),
        1,
        machine,
        miss(1, 2, overlap),
    );
    // None may be lost, and none may run beside another: they wait.
    check(&entry(CatchUp::All, Overlap::Skip), 1, machine, None);
    check(&entry(CatchUp::All, Overlap::Allow), 1, machine, fire(1));
}

#[test]
fn the_same_due_time_is_the_same_message_until_the_clock_was_wrong() {
    let entry = entry(CatchUp::Once, Overlap::Skip);
    let of = |at, turn| slot(&entry, AtMs(at), turn).inbound;
    assert_eq!(of(1, 0), of(1, 0));
    assert_ne!(of(1, 0), of(2, 0));
    assert_ne!(of(1, 0), of(1, 1));
}
