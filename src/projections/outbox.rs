//! Messages that are to be sent and have no end yet. It decides nothing: when an attempt is due is
//! decided in `handlers/replies`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::delivery::DeliveryRequested;
use crate::events::event::{ChannelEvent, DeliveryEvent, ServiceEvent};
use crate::events::id::{AtMs, ChannelKind, DeliveryId, Position, RepoId};
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
    /// What has come back since the newest failure, if anything has.
    pub recovery: Option<Recovery>,
    /// Whether [`Recovery::Way`] was seen before: of a message that fails all the same, its way says
    /// nothing.
    pub way_seen: bool,
}

/// What has come back since a delivery failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recovery {
    /// The service began, or the channel's listener connected.
    Connection,
    /// Another message went out through the same channel.
    Way,
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

    /// Notes what came back, for the messages that failed before; of one channel, or of all.
    fn note_recovery(&mut self, of: Option<(&RepoId, ChannelKind)>, recovery: Recovery) {
        let concerned = self.open.values_mut().filter(|outgoing| {
            let request = &outgoing.request;
            outgoing.failures + outgoing.lost > 0
                && of.is_none_or(|of| of == (&request.repo, request.channel))
                && !(recovery == Recovery::Way && outgoing.way_seen)
        });
        for outgoing in concerned {
            outgoing.recovery = Some(recovery);
            outgoing.way_seen |= recovery == Recovery::Way;
        }
    }

    fn set(&mut self, delivery: DeliveryId, state: DeliveryState) {
        if let Some(outgoing) = self.open.get_mut(&delivery) {
            outgoing.state = state;
        }
    }

    fn apply_delivery(&mut self, event: &DeliveryEvent, recorded: &Recorded) {
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
                    recovery: None,
                    way_seen: false,
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
                    outgoing.recovery = None;
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
                    outgoing.recovery = None;
                    outgoing.maybe_sent = true;
                    outgoing.state = DeliveryState::Due {
                        not_before: recorded.at,
                    };
                }
            }
            DeliveryEvent::Succeeded(succeeded) => {
                let sent = self.open.remove(&succeeded.delivery);
                // What was found by searching went out at some time before.
                if let Some(sent) = sent.filter(|_| !succeeded.reconciled) {
                    let of = (&sent.request.repo, sent.request.channel);
                    self.note_recovery(Some(of), Recovery::Way);
                }
            }
            DeliveryEvent::Abandoned(abandoned) => {
                self.abandoned += 1;
                self.open.remove(&abandoned.delivery);
            }
            DeliveryEvent::CheckpointSent(_) => {}
        }
    }
}

impl Projection for Outbox {
    const NAME: &'static str = "outbox";
    const CODE_VERSION: u32 = 3;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Delivery(event) => self.apply_delivery(event, recorded),
            Event::Service(ServiceEvent::Started(_)) => {
                self.note_recovery(None, Recovery::Connection);
            }
            Event::Channel(ChannelEvent::Connected(connected)) => {
                let of = (&connected.repo, connected.channel);
                self.note_recovery(Some(of), Recovery::Connection);
            }
            Event::Service(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Message(_)
            | Event::Task(_)
            | Event::Conversation(_)
            | Event::Schedule(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Proxy(_) => {}
        }
    }
}
