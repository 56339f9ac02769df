//! What an attempt's outcome means for a delivery. Pure.

use crate::events::Event;
use crate::events::delivery::{
    DeliveryAbandoned, DeliveryFailed, DeliveryKind, DeliveryNotFound, DeliveryOutcomeUnknown,
    DeliveryRequested, DeliverySucceeded,
};
use crate::events::id::{AtMs, BlobRef, DeliveryId, StreamId};
use crate::handlers::channels::{SendOutcome, Trace};
use crate::projections::outbox::{DeliveryState, Outgoing};

/// The pause after the first failed attempt; it doubles with each further one.
pub const RETRY_FIRST_MS: u64 = 10_000;

/// The longest pause between two attempts.
pub const RETRY_MAX_MS: u64 = 15 * 60 * 1000;

/// The longest pause that a channel may ask for; of a longer one so much is kept.
pub const WAIT_MAX_MS: u64 = 60 * 60 * 1000;

/// How long a delivery is tried; then it is abandoned, which is an alarm for the operator.
pub const DELIVERY_AGE_MAX_MS: u64 = 48 * 60 * 60 * 1000;

/// How long an acknowledgement is tried; later it says nothing that its reader does not know.
pub const ACKNOWLEDGEMENT_AGE_MAX_MS: u64 = 60 * 60 * 1000;

/// How long a search is tried that fails; then the message counts as not found, and is sent again
/// with its label.
pub const SEARCH_AGE_MAX_MS: u64 = 10 * 60 * 1000;

/// Characters kept of what a channel says; the rest is cut, since an outcome must fit into the log.
pub const ERROR_CHARS_MAX: usize = 2000;

/// Returns when a delivery that waits is attempted; nothing for one that does not wait. After a lost
/// attempt the next is made at once, but one that is lost again and again pauses as one that fails.
pub fn due_at(outgoing: &Outgoing) -> Option<AtMs> {
    match outgoing.state {
        DeliveryState::Due { not_before } => {
            let pause_ms = outgoing.lost.checked_sub(2).map_or(0, pause_ms);
            Some(AtMs(not_before.0 + pause_ms))
        }
        DeliveryState::Attempted | DeliveryState::Unknown { .. } => None,
    }
}

/// Returns whether a delivery that waits for its next attempt is to wait no longer: its pause is over, or
/// what it may have failed for has come back. Another message that goes out shortens one pause of it and
/// no more, since a mailbox that is full stays so whatever others receive.
pub fn is_due(outgoing: &Outgoing, now: AtMs) -> bool {
    due_at(outgoing).is_some_and(|at| at <= now) || outgoing.recovery.is_some()
}

/// Returns the end of a delivery that is too old to be attempted again.
pub fn decide_before_sending(outgoing: &Outgoing, now: AtMs) -> Option<Event> {
    let age_max = match outgoing.request.kind {
        DeliveryKind::Acknowledgement => ACKNOWLEDGEMENT_AGE_MAX_MS,
        DeliveryKind::Reply => DELIVERY_AGE_MAX_MS,
    };
    let age = now.0.saturating_sub(outgoing.requested_at.0);
    // Without its channel a delivery fails before it is attempted.
    let tried = outgoing.attempts + outgoing.failures > 0;
    let too_old = tried && age > age_max;
    too_old.then(|| {
        let hours = age_max / 3_600_000;
        abandon(outgoing, format!("not delivered within {hours} h"))
    })
}

/// Returns what an attempt's outcome means.
pub fn decide_after_sending(outgoing: &Outgoing, outcome: SendOutcome, now: AtMs) -> Event {
    let delivery = outgoing.request.delivery;
    let attempt = outgoing.attempts + 1;
    match outcome {
        SendOutcome::Accepted { receipt } => DeliverySucceeded {
            delivery,
            attempt,
            receipt: shortened(receipt),
            reconciled: false,
        }
        .into(),
        SendOutcome::Refused {
            error,
            permanent: true,
        } => abandon(outgoing, error),
        SendOutcome::Refused {
            error,
            permanent: false,
        } => DeliveryFailed {
            delivery,
            attempt,
            error: shortened(error),
            retry_at: AtMs(now.0 + pause_ms(outgoing.failures)),
        }
        .into(),
        SendOutcome::Postponed { error, wait_ms } => DeliveryFailed {
            delivery,
            attempt,
            error: shortened(error),
            retry_at: AtMs(now.0 + wait_ms.min(WAIT_MAX_MS).max(pause_ms(outgoing.failures))),
        }
        .into(),
        SendOutcome::Unknown { detail } => DeliveryOutcomeUnknown {
            delivery,
            attempt,
            detail: shortened(detail),
        }
        .into(),
    }
}

/// Returns whether a delivery that cannot be made is worth another one without its files.
pub fn is_worth_without_files(outgoing: &Outgoing) -> bool {
    outgoing.request.kind == DeliveryKind::Reply && !outgoing.request.files.is_empty()
}

/// Returns the text of an answer that is sent without its files.
pub fn text_without_files(outgoing: &Outgoing, answer: &str, error: &str) -> String {
    let files = outgoing.request.files.iter();
    let names: Vec<&str> = files.map(|file| file.name.as_str()).collect();
    let names = names.join(", ");
    let label = if outgoing.maybe_sent {
        "\n\nThis may be a duplicate: it is not known whether an earlier attempt arrived."
    } else {
        ""
    };
    let answer = answer.trim_end();
    format!(
        "{answer}\n\nCould not attach {names}: the answer was refused with its files ({error}).{label}"
    )
}

/// Gives a delivery up and requests the same answer without files; the address stays the same, since
/// nothing was ever sent under it.
pub fn decide_without_files(
    outgoing: &Outgoing,
    body: BlobRef,
    error: String,
) -> Vec<(StreamId, Event)> {
    let refused = &outgoing.request;
    let purpose = format!("reply-without-files:{}", refused.delivery);
    let delivery = DeliveryId::derive(refused.task, &purpose, 1);
    let requested = DeliveryRequested {
        delivery,
        body,
        files: vec![],
        ..refused.clone()
    };
    vec![
        (
            StreamId::delivery(refused.delivery),
            abandon(outgoing, error),
        ),
        (StreamId::delivery(delivery), requested.into()),
    ]
}

/// Returns what a search's result means.
///
/// # Errors
/// The reason why the search must be done again.
pub fn decide_after_search(outgoing: &Outgoing, trace: Trace, now: AtMs) -> Result<Event, String> {
    let (delivery, attempt) = (outgoing.request.delivery, outgoing.attempts);
    match trace {
        Trace::Found { receipt } => Ok(DeliverySucceeded {
            delivery,
            attempt,
            receipt: shortened(receipt),
            reconciled: true,
        }
        .into()),
        Trace::Absent { searched } => Ok(decide_absent(outgoing, searched)),
        Trace::Unsearchable { error } if search_age_ms(outgoing, now) > SEARCH_AGE_MAX_MS => {
            Ok(decide_absent(outgoing, format!("nothing: {error}")))
        }
        Trace::Unsearchable { error } => Err(error),
    }
}

/// A reply is sent again; an acknowledgement is not worth a possible duplicate.
fn decide_absent(outgoing: &Outgoing, searched: String) -> Event {
    match outgoing.request.kind {
        DeliveryKind::Reply => DeliveryNotFound {
            delivery: outgoing.request.delivery,
            attempt: outgoing.attempts,
            searched,
        }
        .into(),
        DeliveryKind::Acknowledgement => {
            abandon(outgoing, "nobody knows whether it was sent".to_owned())
        }
    }
}

fn search_age_ms(outgoing: &Outgoing, now: AtMs) -> u64 {
    match outgoing.state {
        DeliveryState::Unknown { since } => now.0.saturating_sub(since.0),
        DeliveryState::Due { .. } | DeliveryState::Attempted => 0,
    }
}

fn pause_ms(failures: u32) -> u64 {
    let doubled = RETRY_FIRST_MS.checked_shl(failures.min(32));
    doubled.unwrap_or(RETRY_MAX_MS).min(RETRY_MAX_MS)
}

/// Gives a delivery up; of a long reason only so much is kept as fits into the log.
pub fn abandon(outgoing: &Outgoing, error: String) -> Event {
    DeliveryAbandoned {
        delivery: outgoing.request.delivery,
        error: shortened(error),
    }
    .into()
}

fn shortened(mut error: String) -> String {
    if let Some((end, _)) = error.char_indices().nth(ERROR_CHARS_MAX) {
        error.truncate(end);
    }
    error
}
