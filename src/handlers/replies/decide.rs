//! What an attempt's outcome means for a delivery. Pure.

use crate::events::Event;
use crate::events::delivery::{
    DeliveryAbandoned, DeliveryFailed, DeliveryKind, DeliveryNotFound, DeliveryOutcomeUnknown,
    DeliverySucceeded,
};
use crate::events::id::AtMs;
use crate::handlers::channels::{SendOutcome, Trace};
use crate::projections::outbox::{DeliveryState, Outgoing};

/// The pause after the first failed attempt; it doubles with each further one.
pub const RETRY_FIRST_MS: u64 = 10_000;

/// The longest pause between two attempts.
pub const RETRY_MAX_MS: u64 = 15 * 60 * 1000;

/// How long a delivery is tried; then it is abandoned, which is an alarm for the operator.
pub const DELIVERY_AGE_MAX_MS: u64 = 48 * 60 * 60 * 1000;

/// How long an acknowledgement is tried; later it says nothing that its reader does not know.
pub const ACKNOWLEDGEMENT_AGE_MAX_MS: u64 = 60 * 60 * 1000;

/// How long a search is tried that fails; then the message counts as not found, and is sent again
/// with its label.
pub const SEARCH_AGE_MAX_MS: u64 = 10 * 60 * 1000;

/// Returns the end of a delivery that is too old to be attempted again.
pub fn decide_before_sending(outgoing: &Outgoing, now: AtMs) -> Option<Event> {
    let age_max = match outgoing.request.kind {
        DeliveryKind::Acknowledgement => ACKNOWLEDGEMENT_AGE_MAX_MS,
        DeliveryKind::Reply => DELIVERY_AGE_MAX_MS,
    };
    let age = now.0.saturating_sub(outgoing.requested_at.0);
    let too_old = outgoing.attempts > 0 && age > age_max;
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
            receipt,
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
            error,
            retry_at: AtMs(now.0 + pause_ms(outgoing.failures)),
        }
        .into(),
        SendOutcome::Unknown { detail } => DeliveryOutcomeUnknown {
            delivery,
            attempt,
            detail,
        }
        .into(),
    }
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
            receipt,
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

fn abandon(outgoing: &Outgoing, error: String) -> Event {
    DeliveryAbandoned {
        delivery: outgoing.request.delivery,
        error,
    }
    .into()
}
