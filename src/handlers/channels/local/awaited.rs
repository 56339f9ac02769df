//! When the answer to a local message is due: a fold over the log. Pure.
//!
//! The answer is whatever was requested for the message's task, or for the task that took it along,
//! once it counts as delivered; for the local channel that is as soon as it is in the log.

use crate::events::Event;
use crate::events::delivery::{DeliveryKind, DeliveryRequested};
use crate::events::event::{DeliveryEvent, MessageEvent, TaskEvent};
use crate::events::id::{ChannelKind, InboundId, TaskId};

/// What is known of an awaited answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    inbound: InboundId,
    task: TaskId,
    requested: Option<DeliveryRequested>,
}

/// How the waiting ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The answer is there.
    Answered(Box<DeliveryRequested>),
    /// There will be none.
    Unanswered(String),
}

impl Awaited {
    /// Returns the fold before any event.
    pub fn new(inbound: InboundId) -> Self {
        Self {
            inbound,
            task: inbound.task(),
            requested: None,
        }
    }

    /// Takes an event in; returns the end once it has come.
    pub fn apply(&mut self, event: &Event) -> Option<End> {
        match event {
            Event::Message(MessageEvent::Rejected(rejected))
                if rejected.inbound == self.inbound =>
            {
                Some(End::Unanswered(rejected.detail.clone()))
            }
            Event::Task(TaskEvent::Coalesced(coalesced)) if coalesced.task == self.task => {
                self.task = coalesced.into;
                None
            }
            Event::Delivery(delivery) => self.apply_delivery(delivery),
            _ => None,
        }
    }

    fn apply_delivery(&mut self, event: &DeliveryEvent) -> Option<End> {
        let of = |id| {
            self.requested
                .as_ref()
                .is_some_and(|request| request.delivery == id)
        };
        match event {
            DeliveryEvent::Requested(requested)
                // Others whose messages were answered together get their copies elsewhere.
                if requested.task == self.task
                    && requested.kind == DeliveryKind::Reply
                    && requested.channel == ChannelKind::Local =>
            {
                self.requested = Some(requested.clone());
                None
            }
            DeliveryEvent::Succeeded(succeeded) if of(succeeded.delivery) => {
                let requested = self.requested.take()?;
                Some(End::Answered(Box::new(requested)))
            }
            DeliveryEvent::Abandoned(abandoned) if of(abandoned.delivery) => {
                Some(End::Unanswered(abandoned.error.clone()))
            }
            _ => None,
        }
    }
}
