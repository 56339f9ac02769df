//! What becomes of a run that the model's API refused for now: the task is tried again after a pause
//! that grows, or waits until a usage limit ends. Nothing is wrong with its session, which is gone on
//! with (gap 18). The time stands in the event, so that it outlives restarts. Pure.

use crate::events::Event;
use crate::events::delivery::DeliveryKind;
use crate::events::id::{AtMs, BlobRef, DeliveryId, StreamId};
use crate::events::log::Append;
use crate::events::run::{RunOutcome, RunOutcomeClassified};
use crate::events::task::{TaskParked, TaskRetryScheduled};
use crate::handlers::replies::address::Marks;
use crate::handlers::tasks::begin::{Outgoing, context_of, request_delivery};
use crate::handlers::tasks::conclude::answered_messages;
use crate::projections::civil::iso_seconds;
use crate::projections::work_queue::QueuedTask;
use crate::sandbox::agent::UsageLimit;

/// The pause after the first refusal; each further one is [`PAUSE_FACTOR`] times as long. The agent has
/// asked several times by itself before.
pub const PAUSE_FIRST_MS: u64 = 5_000;

/// How much longer each pause is than the one before it.
pub const PAUSE_FACTOR: u64 = 4;

/// How often a task is put off that the API refuses; then, after about half an hour, its sender is
/// told.
pub const PUT_OFF_MAX: u32 = 5;

/// How often a task waits for a usage limit to end; then its sender is told.
pub const PARKS_MAX: u32 = 8;

/// The shortest wait for a usage limit, also for one that says it has ended.
pub const PARK_MIN_MS: u64 = 60_000;

/// The longest wait for a usage limit; if it lasts longer, it is met again then.
pub const PARK_MAX_MS: u64 = 8 * 24 * 3_600_000;

/// The wait for a usage limit that does not say when it ends.
pub const PARK_UNKNOWN_MS: u64 = 30 * 60_000;

/// What is done about a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patience {
    /// The task is tried again.
    Retry {
        /// Not before this time.
        not_before: AtMs,
    },
    /// The task waits for a usage limit to end.
    Park {
        /// Which.
        cause: String,
        /// Not before this time.
        until: AtMs,
    },
}

/// Returns what is done about a run's outcome other than telling it; nothing when patience has an end.
pub fn patience(
    outcome: RunOutcome,
    limit: Option<&UsageLimit>,
    task: &QueuedTask,
    now: AtMs,
) -> Option<Patience> {
    match (outcome, limit) {
        (RunOutcome::ApiBusy, Some(limit)) => {
            let until = limit.resets_at.map_or(now.0 + PARK_UNKNOWN_MS, |at| at.0);
            let until = until.clamp(now.0 + PARK_MIN_MS, now.0 + PARK_MAX_MS);
            (task.parks < PARKS_MAX).then(|| Patience::Park {
                cause: format!("usage limit {}", limit.name).trim_end().to_owned(),
                until: AtMs(until),
            })
        }
        (RunOutcome::ApiBusy | RunOutcome::ApiFailed, _) => {
            let pause = PAUSE_FACTOR
                .checked_pow(task.retries)?
                .checked_mul(PAUSE_FIRST_MS)?;
            let not_before = AtMs(now.0 + pause);
            (task.retries < PUT_OFF_MAX).then_some(Patience::Retry { not_before })
        }
        _ => None,
    }
}

/// Returns what the senders of a parked task read.
pub fn parked_text(cause: &str, until: AtMs) -> String {
    let until = iso_seconds(until).replace('T', " ");
    format!(
        "The model's API takes no more work for now: its {cause} is reached. Your task waits until \
         {until} UTC and then goes on by itself; you will get the answer here. Work done so far has been \
         saved. To end it instead, reply with `/stop` as the first line."
    )
}

/// Records the judgement on the run, which counts what it cost, and that the task waits. `told` is the
/// kept text for its senders, if they are told; `from` is the configured `From` of mails.
pub fn decide_patience(
    task: &QueuedTask,
    judgement: RunOutcomeClassified,
    patience: &Patience,
    told: Option<&BlobRef>,
    from: &str,
    now: AtMs,
) -> Append {
    let run = judgement.run;
    let waits: Event = match patience {
        Patience::Retry { not_before } => TaskRetryScheduled {
            task: task.task,
            cause: format!("the model's API refused for now ({})", judgement.rule),
            not_before: *not_before,
        }
        .into(),
        Patience::Park { cause, until } => TaskParked {
            task: task.task,
            run,
            cause: cause.clone(),
            until: *until,
        }
        .into(),
    };
    let mut events: Vec<(StreamId, Event)> = vec![
        (StreamId::run(run), judgement.into()),
        (StreamId::task(task.task), waits),
    ];
    let told = told.into_iter();
    let told = told.flat_map(|body| answered_messages(task).into_iter().map(move |m| (body, m)));
    for (index, (body, message)) in (1..).zip(told) {
        events.extend(request_delivery(Outgoing {
            task,
            message,
            delivery: DeliveryId::derive(task.task, &format!("parked {run}"), index),
            kind: DeliveryKind::Acknowledgement,
            body,
            files: vec![],
            marks: Marks::NONE,
            from,
            now,
        }));
    }
    Append {
        expected: vec![],
        events,
        // A run is judged once.
        key: Some(format!("put-off:{run}")),
        context: context_of(task, now),
    }
}
