//! What is done about an effect that failed: it is tried again after a pause that doubles, and when
//! that is pointless it ends in a record, so that nothing is tried for ever. Pure.

use crate::events::Event;
use crate::events::delivery::{AnswerTone, DeliveryKind, DeliveryRequested};
use crate::events::id::{AtMs, BlobRef, DeliveryId, StreamId};
use crate::events::log::{Append, Expected};
use crate::events::message::RejectionReason;
use crate::events::task::TaskRetryScheduled;
use crate::handlers::effect::{Assignment, Cause, Effect, Rejection, Start};
use crate::handlers::intake::decide::{decide_rejection, judged_context};
use crate::handlers::replies::address::{Envelope, Marks, channel_of, marked, target};
use crate::handlers::tasks::begin::context_of;
use crate::projections::inbox::WaitingMessage;
use crate::projections::state::State;
use crate::projections::work_queue::QueuedTask;

/// The pause after the first failure; it doubles with each further one.
pub const PAUSE_FIRST_MS: u64 = 5_000;

/// The longest pause between two tries.
pub const PAUSE_MAX_MS: u64 = 15 * 60 * 1000;

/// How often a message is read that cannot be; then it is recorded as unreadable, which is within
/// about two hours.
pub const TRIAGE_FAILURES_MAX: u32 = 14;

/// How often the execution of a task is put off; then its sender is told that Airut failed.
pub const TASK_RETRIES_MAX: u32 = 6;

/// Characters kept of a cause; the rest is cut, since the record of a failure must not fail.
pub const CAUSE_CHARS_MAX: usize = 500;

/// How a failure looks to the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why, in words.
    pub cause: Cause,
    /// Whether the same effect would fail in the same way for ever.
    pub is_permanent: bool,
    /// How often it has failed in a row, this time included.
    pub times: u32,
}

/// Returns the pause before something that failed so often in a row is tried again.
pub fn pause_ms(times: u32) -> u64 {
    let doubled = PAUSE_FIRST_MS.checked_shl(times.saturating_sub(1).min(32));
    doubled.unwrap_or(PAUSE_MAX_MS).min(PAUSE_MAX_MS)
}

/// Returns the effect that follows from a failure; nothing when a pause will do.
pub fn react_to_failure(state: &State, effect: &Effect, failure: &Failure) -> Option<Effect> {
    let cause: Cause = failure.cause.chars().take(CAUSE_CHARS_MAX).collect();
    let ends = |times_max: u32| failure.is_permanent || failure.times >= times_max;
    match effect {
        Effect::Triage(message) => ends(TRIAGE_FAILURES_MAX).then(|| reject(message, cause)),
        Effect::Execute(assignment) => {
            let task = state.queue.tasks.get(&assignment.task.task)?;
            if failure.is_permanent || task.retries >= TASK_RETRIES_MAX {
                return give_up(state, task, cause);
            }
            Some(Effect::Retry(Box::new(task.clone()), cause))
        }
        Effect::Begin(beginning) => {
            let task = state.queue.tasks.get(&beginning.task.task)?;
            failure.is_permanent.then(|| give_up(state, task, cause))?
        }
        Effect::Interrupt(task) => {
            let task = state.queue.tasks.get(&task.task)?;
            ends(TASK_RETRIES_MAX).then(|| give_up(state, task, cause))?
        }
        Effect::Deliver(outgoing) | Effect::Reconcile(outgoing) => {
            let outgoing = state.outbox.get(outgoing.request.delivery)?.clone();
            let permanent = failure.is_permanent;
            permanent.then(|| Effect::Abandon(Box::new(outgoing), cause))
        }
        // What only records is recorded by the next try, or the log is broken; and what was
        // promised to be erased must be.
        Effect::Hold(_)
        | Effect::ForgetAttempt(_)
        | Effect::Reject(_)
        | Effect::Retry(..)
        | Effect::GiveUp(..)
        | Effect::Abandon(..)
        | Effect::Forget(_)
        | Effect::Release(_) => None,
    }
}

fn reject(message: &WaitingMessage, cause: Cause) -> Effect {
    Effect::Reject(Box::new(Rejection {
        received: message.received.clone(),
        cause,
        reply: None,
    }))
}

fn give_up(state: &State, task: &QueuedTask, cause: Cause) -> Option<Effect> {
    let assignment = Assignment {
        task: task.clone(),
        conversation: state.conversations.get(task.conversation)?.clone(),
        start: Start::GiveUp,
        forgotten: None,
        foreign: None,
    };
    Some(Effect::GiveUp(Box::new(assignment), cause))
}

/// Puts a task off, unless something happened to it in the meantime.
pub fn decide_retry(task: &QueuedTask, cause: Cause, now: AtMs) -> Append {
    let scheduled = TaskRetryScheduled {
        task: task.task,
        cause,
        not_before: AtMs(now.0 + pause_ms(task.retries + 1)),
    };
    let stream = StreamId::task(task.task);
    Append::to(&stream, vec![scheduled.into()], context_of(task, now))
        .expecting(stream, Expected::Version(task.version))
}

/// Returns what the sender of a message reads that cannot be taken in.
pub fn refusal_text(cause: &str) -> String {
    format!(
        "Your message could not be taken in, so nothing was done: {cause}.\n\nSend it again in a \
         simpler form: a new mail with a short subject and fewer attachments, rather than an answer \
         in a long thread."
    )
}

/// Records that a message cannot be taken in; `told` is the kept text for its sender, if that is
/// known.
pub fn decide_refusal(
    rejection: &Rejection,
    told: Option<&BlobRef>,
    from: &str,
    now: AtMs,
) -> Append {
    let received = &rejection.received;
    let reason = RejectionReason::Unreadable;
    let mut decision = decide_rejection(received, reason, rejection.cause.clone());
    let reply = rejection.reply.as_ref().zip(told);
    decision
        .events
        .extend(reply.map(|(reply, body)| -> (StreamId, Event) {
            let delivery = DeliveryId::derive(received.inbound.task(), "refusal", 1);
            let envelope = Envelope {
                delivery,
                conversation: reply.conversation,
                subject: &reply.subject,
                from,
                at: now,
            };
            let marks = Marks {
                answered: &[&reply.reply_to],
                tone: AnswerTone::Broken,
                title: "",
            };
            let target = marked(target(&reply.reply_to, envelope), marks);
            let requested = DeliveryRequested {
                delivery,
                kind: DeliveryKind::Reply,
                repo: received.repo.clone(),
                channel: channel_of(&target),
                conversation: reply.conversation,
                task: received.inbound.task(),
                target,
                body: body.clone(),
                files: vec![],
            };
            (StreamId::delivery(delivery), requested.into())
        }));
    let conversation = rejection.reply.as_ref().map(|reply| reply.conversation);
    Append {
        expected: vec![],
        events: decision.events,
        key: Some(format!("triage:{}", received.inbound)),
        context: judged_context(received, None, conversation, now),
    }
}
