//! When schedules are due and what came of them, for the command line. It runs nothing and reads no
//! configuration.

use jiff::tz::TimeZone;

use crate::clock;
use crate::config::cron::{Cron, CronError};
use crate::config::zone::{self, UnknownZone};
use crate::events::Recorded;
use crate::events::id::{AtMs, RepoId};
use crate::events::task::CompletionReason;
use crate::projections::Projection as _;
use crate::projections::schedules::{Fire, Outcome, ScheduleState, Schedules};
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

/// A schedule in force.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// Its repository.
    pub repo: String,
    /// Its name.
    pub name: String,
    /// Its cron expression.
    pub cron: String,
    /// When it is due next.
    pub next: Option<Due>,
    /// When it was due last and became a task.
    pub last: Option<Due>,
    /// The task it became then.
    pub task: Option<String>,
    /// What came of that, in words.
    pub outcome: String,
    /// How often it fired.
    pub fired: u64,
    /// How many due times were passed over.
    pub missed: u64,
}

/// What the log says of the schedules.
#[derive(Debug, Default)]
pub struct Standing(Schedules);

impl Standing {
    /// Takes the next event of the log into account.
    pub fn take_in(&mut self, recorded: &Recorded) {
        self.0.apply(recorded);
    }

    /// Returns the schedules in force, by repository and name; `now` is what the clock shows.
    pub fn list(&self, now: AtMs) -> Vec<Listed> {
        let listed = |(repo, name, state): (&RepoId, &str, &ScheduleState)| {
            let zone = zone::named(&state.zone).unwrap_or_else(|_| zone::of_machine());
            let next = Cron::parse(&state.cron).ok();
            let next = next.and_then(|cron| cron.next(now.max(state.considered), &zone));
            let last = state.last.as_ref();
            Listed {
                repo: repo.to_string(),
                name: name.to_owned(),
                cron: state.cron.clone(),
                next: next.and_then(|at| due(at, &zone)),
                last: last.and_then(|last| due(last.slot, &zone)),
                task: last.map(|last| last.task.to_string()),
                outcome: last.map_or_else(|| "not due yet".to_owned(), outcome),
                fired: state.fired,
                missed: state.missed,
            }
        };
        self.0.iter().map(listed).collect()
    }
}

/// Returns what the machine's clock shows.
pub fn shown() -> AtMs {
    clock::shown()
}

fn outcome(last: &Fire) -> String {
    let ended = |reason: &CompletionReason| match reason {
        CompletionReason::Success => "answered",
        CompletionReason::ExecutionFailed => "failed (execution failed)",
        CompletionReason::Timeout => "failed (time limit)",
        CompletionReason::Stopped => "stopped",
        CompletionReason::InternalError => "failed (Airut itself)",
    };
    match &last.outcome {
        Outcome::Open => "waits or runs".to_owned(),
        Outcome::Silent => "nothing to say".to_owned(),
        Outcome::Sending { reason } => format!("{}, being sent", ended(reason)),
        Outcome::Sent { reason } if last.outcome.is_success() => ended(reason).to_owned(),
        Outcome::Sent { reason } => format!("{}, and told so", ended(reason)),
        Outcome::NotSent { reason } => format!("{}, but NOT DELIVERED", ended(reason)),
    }
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
