//! Messages that are durable but not yet judged, and how often each came. It decides nothing.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::events::event::MessageEvent;
use crate::events::id::{AtMs, InboundId, Position};
use crate::events::message::{MessageReceived, MessageRejected, MessageSource};
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// A message that waits for its triage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingMessage {
    /// Where its reception stands in the log.
    pub position: Position,
    /// When it was received, in milliseconds since the epoch.
    pub received_at_ms: u64,
    /// Its reception.
    pub received: MessageReceived,
}

/// Rejections that are kept to be looked at; older ones are in the log alone.
pub const REJECTIONS_MAX: usize = 200;

/// The inbox: what waits for triage, and counts of what came (inbound deduplication itself is the
/// log's idempotency key).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    waiting: BTreeMap<InboundId, WaitingMessage>,
    unacknowledged: BTreeMap<InboundId, Position>,
    duplicates: u64,
    received: u64,
    rejected: u64,
    rejections: VecDeque<(AtMs, MessageRejected)>,
}

impl Inbox {
    /// Returns the messages that wait for triage, oldest first.
    pub fn waiting(&self) -> Vec<&WaitingMessage> {
        let mut waiting: Vec<_> = self.waiting.values().collect();
        waiting.sort_by_key(|message| message.position);
        waiting
    }

    /// Returns a message that waits for triage.
    pub fn get(&self, inbound: InboundId) -> Option<&WaitingMessage> {
        self.waiting.get(&inbound)
    }

    /// Returns the messages whose source was not told yet.
    pub fn unacknowledged(&self) -> impl Iterator<Item = InboundId> {
        self.unacknowledged.keys().copied()
    }

    /// Returns the newest messages that nobody got an answer to, oldest first, each with its time.
    pub fn rejections(&self) -> impl Iterator<Item = &(AtMs, MessageRejected)> {
        self.rejections.iter()
    }

    /// Returns how many messages were received, rejected, and met a second time.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.received, self.rejected, self.duplicates)
    }
}

impl Projection for Inbox {
    const NAME: &'static str = "inbox";
    const CODE_VERSION: u32 = 3;

    fn apply(&mut self, recorded: &Recorded) {
        let Event::Message(event) = &recorded.event else {
            return;
        };
        match event {
            MessageEvent::Received(received) => {
                let waiting = WaitingMessage {
                    position: recorded.position,
                    received_at_ms: recorded.at.0,
                    received: received.clone(),
                };
                self.received += 1;
                // Only of a mailbox it is recorded that it was told.
                if matches!(received.source, MessageSource::Mailbox { .. }) {
                    self.unacknowledged
                        .insert(received.inbound, recorded.position);
                }
                self.waiting.insert(received.inbound, waiting);
            }
            MessageEvent::DuplicateIgnored(_) => self.duplicates += 1,
            MessageEvent::SourceAcknowledged(acknowledged) => {
                self.unacknowledged.remove(&acknowledged.inbound);
            }
            MessageEvent::Rejected(rejected) => {
                self.rejected += 1;
                self.rejections.push_back((recorded.at, rejected.clone()));
                if self.rejections.len() > REJECTIONS_MAX {
                    self.rejections.pop_front();
                }
                self.waiting.remove(&rejected.inbound);
            }
            MessageEvent::Routed(routed) => {
                self.waiting.remove(&routed.inbound);
            }
            MessageEvent::SenderAuthorized(_)
            | MessageEvent::Parsed(_)
            | MessageEvent::JoinRefused(_)
            | MessageEvent::Revised(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::id::{Actor, StreamId, StreamVersion};
    use crate::events::message::RejectionReason;

    #[test]
    fn the_newest_rejections_are_kept_up_to_the_limit() {
        let mut inbox = Inbox::default();
        for (number, kept) in [
            (REJECTIONS_MAX - 1, REJECTIONS_MAX - 1),
            (REJECTIONS_MAX, REJECTIONS_MAX),
            (REJECTIONS_MAX + 1, REJECTIONS_MAX),
        ] {
            while inbox.rejected < number as u64 {
                inbox.apply(&rejection(inbox.rejected + 1));
            }
            assert_eq!(inbox.rejections().count(), kept);
            let (at, newest) = inbox.rejections().last().unwrap();
            assert_eq!((at.0, newest.detail.as_str()), (number as u64, "why"));
        }
    }

    fn rejection(number: u64) -> Recorded {
        let inbound = InboundId([1; 16]);
        let rejected = MessageRejected {
            inbound,
            reason: RejectionReason::Filtered,
            detail: "why".to_owned(),
            claimed_sender: "alice@example.test".to_owned(),
        };
        Recorded {
            position: Position(number),
            stream: StreamId::inbound(inbound),
            stream_version: StreamVersion(number),
            at: AtMs(number),
            actor: Actor::System,
            causation: None,
            correlation: String::new(),
            event: rejected.into(),
        }
    }
}
