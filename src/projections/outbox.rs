//! Messages that are to be sent and have no end yet. It decides nothing: when an attempt is due is
//! decided in `handlers/replies`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::delivery::DeliveryRequested;
use crate::events::event::DeliveryEvent;
use crate::events::id::{AtMs, DeliveryId, Position};
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// How far a delivery is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// The next attempt may begin.
    Due {
        /// Not before this time.
        not_before: AtMs,
    },
    /// An attempt has begun; after a restart this means that its outcome is unknown.
    Attempted,
    /// The outcome of the last attempt is unknown.
    Unknown {
        /// Since when.
        since: AtMs,
    },
}

/// A message that has no end yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The request.
    pub request: DeliveryRequested,
    /// Where the request stands in the log.
    pub position: Position,
    /// When it was requested.
    pub requested_at: AtMs,
    /// Attempts so far.
    pub attempts: u32,
    /// Attempts that failed.
    pub failures: u32,
    /// Attempts in a row whose outcome stayed unknown and of which no trace was found.
    pub lost: u32,
    /// Whether an earlier attempt may have succeeded without our knowing.
    pub maybe_sent: bool,
    /// How far it is.
    pub state: DeliveryState,
}

/// The messages that have no end yet, and how many were given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    open: BTreeMap<DeliveryId, Outgoing>,
    abandoned: u64,
}

impl Outbox {
    /// Returns the deliveries without an end, oldest first.
    pub fn open(&self) -> Vec<&Outgoing> {
        let mut open: Vec<_> = self.open.values().collect();
        open.sort_by_key(|outgoing| outgoing.position);
        open
    }

    /// Returns a delivery without an end.
    pub fn get(&self, delivery: DeliveryId) -> Option<&Outgoing> {
        self.open.get(&delivery)
    }

    /// Returns how many deliveries were given up.
    pub fn abandoned(&self) -> u64 {
        self.abandoned
    }

    fn set(&mut self, delivery: DeliveryId, state: DeliveryState) {
        if let Some(outgoing) = self.open.get_mut(&delivery) {
            outgoing.state = state;
        }
    }
}

impl Projection for Outbox {
    const NAME: &'static str = "outbox";
    const CODE_VERSION: u32 = 2;

    fn apply(&mut self, recorded: &Recorded) {
        let Event::Delivery(event) = &recorded.event else {
            return;
        };
        match event {
            DeliveryEvent::Requested(request) => {
                let outgoing = Outgoing {
                    request: request.clone(),
                    position: recorded.position,
                    requested_at: recorded.at,
                    attempts: 0,
                    failures: 0,
                    lost: 0,
                    maybe_sent: false,
                    state: DeliveryState::Due {
                        not_before: AtMs(0),
                    },
                };
                self.open.insert(request.delivery, outgoing);
            }
            DeliveryEvent::Attempted(attempted) => {
                if let Some(outgoing) = self.open.get_mut(&attempted.delivery) {
                    outgoing.attempts = attempted.attempt;
                    outgoing.state = DeliveryState::Attempted;
                }
            }
            DeliveryEvent::Failed(failed) => {
                if let Some(outgoing) = self.open.get_mut(&failed.delivery) {
                    outgoing.failures += 1;
                    outgoing.lost = 0;
                    outgoing.state = DeliveryState::Due {
                        not_before: failed.retry_at,
                    };
                }
            }
            DeliveryEvent::OutcomeUnknown(unknown) => {
                self.set(
                    unknown.delivery,
                    DeliveryState::Unknown { since: recorded.at },
                );
            }
            DeliveryEvent::NotFound(missing) => {
                if let Some(outgoing) = self.open.get_mut(&missing.delivery) {
                    outgoing.lost += 1;
                    outgoing.maybe_sent = true;
                    outgoing.state = DeliveryState::Due {
                        not_before: recorded.at,
                    };
                }
            }
            DeliveryEvent::Succeeded(succeeded) => {
                self.open.remove(&succeeded.delivery);
            }
            DeliveryEvent::Abandoned(abandoned) => {
                self.abandoned += 1;
                self.open.remove(&abandoned.delivery);
            }
            DeliveryEvent::CheckpointSent(_) => {}
        }
    }
}
