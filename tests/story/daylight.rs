//! Schedules in simulated time: the real worker fires them to the millisecond on the days on which
//! clocks change, makes up for what came due while no daemon ran, and is not led astray by a clock that
//! was wrong. A life of the daemon is told its clock and ends like a crash.

use std::time::Duration;

use airut::clock;
use airut::config::cron::Cron;
use airut::config::types::schedule::{CatchUp, Deliver, Overlap, Schedule, Work};
use airut::config::zone;
use airut::events::Event;
use airut::events::event::ScheduleEvent;
use airut::events::id::{AtMs, StreamId};
use airut::events::log::{Append, Context, Log};
use airut::events::schedule::{MissedCause, ScheduleFired, ScheduleSlotsMissed};
use airut::events::service::{ClockWentBack, ServiceStarted};
use airut::handlers::operator::{Operator, StopTarget};
use airut::handlers::worker::{Signals, Worker};

use crate::fakes::Act;
use crate::world::World;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Returns a schedule that gives the agent a prompt.
pub(crate) fn schedule(cron: &str, timezone: &str) -> Schedule {
    let to = "captain@harbor.test".to_owned();
    Schedule {
        cron: Cron::parse(cron).unwrap(),
        timezone: Some(timezone.to_owned()),
        enabled: true,
        subject: None,
        work: Work::Prompt("List what changed.".to_owned()),
        model: None,
        effort: None,
        deliver: Deliver::Email { to },
        overlap: Overlap::Skip,
        catch_up: CatchUp::Once,
    }
}

fn at(text: &str) -> u64 {
    let time: jiff::Timestamp = text.parse().unwrap();
    time.as_millisecond().unsigned_abs()
}

async fn append(log: &Log, event: Event) {
    let context = Context::system(clock::now());
    let append = Append::to(&StreamId::service(), vec![event], context);
    log.append(append).await.unwrap();
}

/// Lets a daemon live from one moment of the machine's clock to another; then it is gone at once.
fn live(world: &World, from_ms: u64, until_ms: u64) {
    live_after(world, from_ms, until_ms, None);
}

fn live_after(world: &World, from_ms: u64, until_ms: u64, first: Option<Event>) {
    live_on(
        world,
        &world.open_inline(),
        (from_ms, until_ms),
        first,
        None,
    );
}

/// Lets what is due at each minute be due once, at a midnight.
pub(crate) fn live_to_fire_once(world: &World) {
    live_to_fire_at(world, at("2026-06-01T00:00:00Z"));
}

/// Lets what is due at each minute be due once, at the newest full minute.
pub(crate) fn live_to_fire_just_now(world: &World) {
    let now = clock::now_ms();
    live_to_fire_at(world, now - now % MINUTE_MS);
}

fn live_to_fire_at(world: &World, minute_ms: u64) {
    live(world, minute_ms - MINUTE_MS / 2, minute_ms + MINUTE_MS / 2);
}

/// As [`live_to_fire_once`], but the machine is taken away after so many commits, and a second daemon
/// lives to the next half minute; returns whether the first one died.
pub(crate) fn live_and_die_after(world: &World, commits: u64) -> bool {
    let midnight = at("2026-06-01T00:00:00Z");
    // In force before, so that the due time is not one of the time before.
    live(world, midnight - MINUTE_MS / 2, midnight - 1);
    let life = (midnight - 1, midnight + MINUTE_MS / 4);
    let log = world.open_inline_on(world.disk(commits + 1));
    live_on(world, &log, life, None, None);
    let has_died = log.failure().is_cancelled();
    live(world, life.1, midnight + MINUTE_MS - 1);
    has_died
}

/// As [`live_to_fire_once`], but whatever executes a quarter of a minute later is stopped.
pub(crate) fn live_and_stop(world: &World) -> bool {
    let midnight = at("2026-06-01T00:00:00Z");
    let life = (midnight - MINUTE_MS / 2, midnight + MINUTE_MS - 1);
    live_on(
        world,
        &world.open_inline(),
        life,
        None,
        Some(Duration::from_secs(45)),
    )
}

/// Returns whether something was stopped.
fn live_on(
    world: &World,
    log: &Log,
    (from_ms, until_ms): (u64, u64),
    first: Option<Event>,
    stops_after: Option<Duration>,
) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        clock::tell(from_ms);
        let started = ServiceStarted {
            version: "0".to_owned(),
            pid: 1,
            host: "story".to_owned(),
            previous_stop_clean: false,
        };
        append(log, started.into()).await;
        if let Some(first) = first {
            append(log, first).await;
        }
        world.sandbox.alive.lock().unwrap().clear();
        let (operator, questions) = Operator::new();
        let mut worker = Worker::open(world.ports(log), Signals::default(), questions).unwrap();
        let life = Duration::from_millis(until_ms - from_ms);
        let stopping = async {
            let Some(after) = stops_after else {
                return std::future::pending().await;
            };
            tokio::time::sleep(after).await;
            let executing = operator.standing().await.unwrap().executing;
            let target = StopTarget::Task(executing[0]);
            operator.stop(target, "olive".to_owned()).await.unwrap();
        };
        let mut has_stopped = false;
        tokio::pin!(stopping);
        let end = tokio::time::sleep(life);
        tokio::pin!(end);
        let mut working = std::pin::pin!(worker.run());
        loop {
            tokio::select! {
                biased;
                ended = &mut working => {
                    assert!(log.failure().is_cancelled(), "the worker ended: {ended:?}");
                    return has_stopped;
                }
                () = &mut stopping, if !has_stopped => has_stopped = true,
                () = &mut end => return has_stopped,
            }
        }
    })
}

fn fired(world: &World, name: &str) -> Vec<ScheduleFired> {
    let events = world.events();
    let fired = events
        .into_iter()
        .filter_map(|recorded| match recorded.event {
            Event::Schedule(ScheduleEvent::Fired(fired)) => Some(fired),
            _ => None,
        });
    fired.filter(|fired| fired.name == name).collect()
}

fn missed(world: &World) -> Vec<ScheduleSlotsMissed> {
    let events = world.events();
    let missed = events
        .into_iter()
        .filter_map(|recorded| match recorded.event {
            Event::Schedule(ScheduleEvent::SlotsMissed(missed)) => Some(missed),
            _ => None,
        });
    missed.collect()
}

fn slots(world: &World, name: &str) -> Vec<u64> {
    fired(world, name)
        .iter()
        .map(|fired| fired.slot.0)
        .collect()
}

/// Returns every minute of a span in which the zone's clocks show one of these hours and a full or half
/// hour: an independent way to what `*/30` is due at.
fn half_hours(zone: &str, hours: &[i8], from_ms: u64, until_ms: u64) -> Vec<u64> {
    let zone = zone::named(zone).unwrap();
    let minutes = (from_ms / MINUTE_MS + 1..until_ms / MINUTE_MS).map(|minute| minute * MINUTE_MS);
    let shows = |ms: &u64| {
        let time = jiff::Timestamp::from_millisecond(i64::try_from(*ms).unwrap()).unwrap();
        let local = zone.to_datetime(time);
        hours.contains(&local.hour()) && local.minute() % 30 == 0
    };
    minutes.filter(shows).collect()
}

/// A day on which clocks change: zone, expression, when they change, and when it is due on the day
/// before, on the day itself and on the day after.
type Change = (&'static str, &'static str, &'static str, [&'static str; 3]);

const SPRING: [Change; 5] = [
    (
        "Europe/Berlin",
        "30 2 * * *",
        "2026-03-29T01:00:00Z",
        [
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z",
        ],
    ),
    (
        "America/New_York",
        "30 2 * * *",
        "2026-03-08T07:00:00Z",
        [
            "2026-03-07T07:30:00Z",
            "2026-03-08T07:00:00Z",
            "2026-03-09T06:30:00Z",
        ],
    ),
    // By half an hour only.
    (
        "Australia/Lord_Howe",
        "15 2 * * *",
        "2026-10-03T15:30:00Z",
        [
            "2026-10-02T15:45:00Z",
            "2026-10-03T15:30:00Z",
            "2026-10-04T15:15:00Z",
        ],
    ),
    // At midnight.
    (
        "America/Santiago",
        "30 0 * * *",
        "2026-09-06T04:00:00Z",
        [
            "2026-09-05T04:30:00Z",
            "2026-09-06T04:00:00Z",
            "2026-09-07T03:30:00Z",
        ],
    ),
    (
        "Pacific/Auckland",
        "30 2 * * *",
        "2026-09-26T14:00:00Z",
        [
            "2026-09-25T14:30:00Z",
            "2026-09-26T14:00:00Z",
            "2026-09-27T13:30:00Z",
        ],
    ),
];

const AUTUMN: [Change; 5] = [
    (
        "Europe/Berlin",
        "30 2 * * *",
        "2026-10-25T01:00:00Z",
        [
            "2026-10-24T00:30:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        ],
    ),
    (
        "America/New_York",
        "30 1 * * *",
        "2026-11-01T06:00:00Z",
        [
            "2026-10-31T05:30:00Z",
            "2026-11-01T05:30:00Z",
            "2026-11-02T06:30:00Z",
        ],
    ),
    (
        "Australia/Lord_Howe",
        "45 1 * * *",
        "2026-04-04T15:00:00Z",
        [
            "2026-04-03T14:45:00Z",
            "2026-04-04T14:45:00Z",
            "2026-04-05T15:15:00Z",
        ],
    ),
    (
        "America/Santiago",
        "30 23 * * *",
        "2026-04-05T03:00:00Z",
        [
            "2026-04-04T02:30:00Z",
            "2026-04-05T02:30:00Z",
            "2026-04-06T03:30:00Z",
        ],
    ),
    (
        "Pacific/Auckland",
        "30 2 * * *",
        "2026-04-04T14:00:00Z",
        [
            "2026-04-03T13:30:00Z",
            "2026-04-04T13:30:00Z",
            "2026-04-05T14:30:00Z",
        ],
    ),
];

/// Lives through a change with restarts before it, in the hour after it (which is the repeated one in
/// autumn) and at a due time, and compares when everything fired.
fn check((zone, cron, changes_at, due): Change) {
    let mut world = World::new(&[]);
    world
        .schedules
        .insert("daily".to_owned(), schedule(cron, zone));
    let rhythm = schedule("*/30 0-3,22-23 * * *", zone);
    world.schedules.insert("rhythm".to_owned(), rhythm);
    let due = due.map(at);
    let (from, until, change) = (due[0] - HOUR_MS, due[2] + HOUR_MS, at(changes_at));
    let restarts = [
        from,
        change - 10 * MINUTE_MS,
        change + 10 * MINUTE_MS,
        change + 40 * MINUTE_MS,
        due[2],
        until,
    ];
    for life in restarts.windows(2) {
        live(&world, life[0], life[1]);
    }
    assert_eq!(slots(&world, "daily"), due, "{zone} {changes_at}");
    let expected = half_hours(zone, &[0, 1, 2, 3, 22, 23], from, until);
    assert_eq!(slots(&world, "rhythm"), expected, "{zone} {changes_at}");
    for fired in fired(&world, "daily")
        .iter()
        .chain(&fired(&world, "rhythm"))
    {
        assert_eq!(fired.late_ms, 0, "{zone} {fired:?}");
    }
    assert_eq!(missed(&world), []);
    // Each one came to its end, once.
    assert_eq!(world.count("TaskCompleted"), 3 + expected.len());
    assert_eq!(world.channel.replies().len(), 3 + expected.len());
}

/// Gap 11: the half hours after a skipped hour are not lost until the next day.
#[test]
fn gap_11_a_scheduled_job_fires_right_through_spring_changes_in_five_time_zones() {
    SPRING.into_iter().for_each(check);
}

/// Gap 12: in a repeated hour nothing fires in the past, again and again, or not at all.
#[test]
fn gap_12_a_scheduled_job_fires_right_through_autumn_changes_in_five_time_zones() {
    AUTUMN.into_iter().for_each(check);
}

/// Lives for an hour, is away for `away_ms`, and lives for another hour, in UTC from midnight.
fn away(
    cron: &str,
    catch_up: CatchUp,
    overlap: Overlap,
    away_ms: u64,
    script: &[Act],
) -> (World, u64) {
    let mut world = World::new(script);
    let scheduled = Schedule {
        catch_up,
        overlap,
        ..schedule(cron, "UTC")
    };
    world.schedules.insert("report".to_owned(), scheduled);
    let midnight = at("2026-06-01T00:00:00Z");
    live(&world, midnight - HOUR_MS, midnight + 1);
    live(
        &world,
        midnight + away_ms,
        midnight + away_ms + HOUR_MS - 1000,
    );
    (world, midnight)
}

/// Gap 10: what came due while no daemon ran is made up for as the schedule says, and recorded.
#[test]
fn gap_10_what_came_due_while_no_daemon_ran_is_made_up_for_as_the_schedule_says() {
    let hours = |numbers: std::ops::RangeInclusive<u64>, midnight: u64| {
        numbers
            .map(|number| midnight + number * HOUR_MS)
            .collect::<Vec<_>>()
    };
    // Due at each hour; away from midnight, which fired, to half past five.
    let away_ms = 5 * HOUR_MS + HOUR_MS / 2;
    let skips = Overlap::Skip;
    let (world, midnight) = away("0 * * * *", CatchUp::Once, skips, away_ms, &[]);
    assert_eq!(
        slots(&world, "report"),
        [midnight, midnight + 5 * HOUR_MS, midnight + 6 * HOUR_MS]
    );
    assert_eq!(fired(&world, "report")[1].late_ms, HOUR_MS / 2);
    let passed_over = missed(&world).remove(0);
    assert_eq!(
        (passed_over.count, passed_over.cause),
        (4, MissedCause::Late)
    );
    assert_eq!(
        (passed_over.first.0, passed_over.last.0),
        (midnight + HOUR_MS, midnight + 4 * HOUR_MS)
    );

    let (world, midnight) = away("0 * * * *", CatchUp::Skip, skips, away_ms, &[]);
    assert_eq!(slots(&world, "report"), [midnight, midnight + 6 * HOUR_MS]);
    assert_eq!(missed(&world)[0].count, 5);

    let (world, midnight) = away("0 * * * *", CatchUp::All, skips, away_ms, &[]);
    assert_eq!(slots(&world, "report"), hours(0..=6, midnight));
    assert_eq!(missed(&world), []);
    // One after the other.
    assert_eq!(*world.sandbox.most_alive.lock().unwrap(), 1);

    // Half a minute late is in time, whatever the schedule says of being late.
    let (world, midnight) = away(
        "0 * * * *",
        CatchUp::Skip,
        skips,
        HOUR_MS + MINUTE_MS / 2,
        &[],
    );
    assert_eq!(slots(&world, "report"), hours(0..=2, midnight));
}

/// Gap 10: a schedule whose last task still runs does not pile up.
#[test]
fn gap_10_a_schedule_whose_last_task_still_runs_is_passed_over_or_runs_beside_it_as_it_says() {
    let hangs = [Act::Hang, Act::Hang];
    let (world, midnight) = away("*/20 * * * *", CatchUp::Once, Overlap::Skip, 1, &hangs);
    // 23:20 hangs; the restart at midnight runs it again, and it hangs again.
    assert_eq!(slots(&world, "report"), [midnight - 40 * MINUTE_MS]);
    let causes: Vec<_> = missed(&world).iter().map(|missed| missed.cause).collect();
    assert_eq!(causes, [MissedCause::Overlap; 4]);
    let (world, _) = away("*/20 * * * *", CatchUp::Once, Overlap::Allow, 1, &hangs);
    assert_eq!(fired(&world, "report").len(), 5);
}

#[test]
fn a_schedule_that_is_new_or_changed_does_not_fire_for_the_time_before() {
    let (mut world, midnight) = away("0 5 * * *", CatchUp::All, Overlap::Skip, HOUR_MS, &[]);
    assert_eq!(slots(&world, "report"), [0; 0]);
    let changed = Schedule {
        catch_up: CatchUp::All,
        ..schedule("30 2 * * *", "UTC")
    };
    world.schedules.insert("report".to_owned(), changed);
    live(
        &world,
        midnight + 3 * HOUR_MS,
        midnight + DAY_MS + 3 * HOUR_MS,
    );
    assert_eq!(
        slots(&world, "report"),
        [midnight + DAY_MS + 2 * HOUR_MS + HOUR_MS / 2]
    );
    // Switched off, it is withdrawn, and nothing of it is ever due.
    world.schedules.clear();
    live(&world, midnight + 2 * DAY_MS, midnight + 4 * DAY_MS);
    assert_eq!(fired(&world, "report").len(), 1);
    assert_eq!(world.count("ScheduleWithdrawn"), 1);
}

#[test]
fn a_clock_that_goes_back_repeats_nothing_and_one_that_was_days_ahead_stops_nothing() {
    let (world, midnight) = away("0 * * * *", CatchUp::Once, Overlap::Skip, 1, &[]);
    assert_eq!(slots(&world, "report"), [midnight]);
    // Back by half an hour: midnight comes again, and fires no more.
    live(&world, midnight - HOUR_MS / 2, midnight + HOUR_MS + 1);
    assert_eq!(slots(&world, "report"), [midnight, midnight + HOUR_MS]);
    // Years ahead by mistake, for a minute.
    let mistake = midnight + 10 * 365 * DAY_MS;
    live(&world, mistake, mistake + MINUTE_MS);
    let known = slots(&world, "report").len();
    let back = ClockWentBack {
        by_ms: 10 * 365 * DAY_MS,
        machine: AtMs(midnight + 2 * HOUR_MS - 1),
    };
    let from = midnight + 2 * HOUR_MS - 1;
    live_after(&world, from, midnight + 3 * HOUR_MS + 1, Some(back.into()));
    let after = slots(&world, "report").split_off(known);
    assert_eq!(after, [midnight + 2 * HOUR_MS, midnight + 3 * HOUR_MS]);
}
