//! When the answer to a local message is due: a fold over the log. Pure.
//!
//! The answer is whatever was requested for the message's task, or for the task that took it along,
//! once it counts as delivered; for the local channel that is as soon as it is in the log.

use crate::events::Event;
use crate::events::delivery::{DeliveryKind, DeliveryRequested};
use crate::events::event::{DeliveryEvent, MessageEvent, TaskEvent};
use crate::events::id::TaskId;

/// What is known of an awaited answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    own: TaskId,
    task: TaskId,
    is_known: bool,
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
    pub fn new(task: TaskId) -> Self {
        Self {
            own: task,
            task,
            is_known: false,
            requested: None,
        }
    }

    /// Returns whether the message was among the events.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Takes an event in; returns the end once it has come.
    pub fn apply(&mut self, event: &Event) -> Option<End> {
        match event {
            Event::Message(MessageEvent::Received(received))
                if received.inbound.task() == self.own =>
            {
                self.is_known = true;
                None
            }
            Event::Message(MessageEvent::Rejected(rejected))
                if rejected.inbound.task() == self.own =>
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
                if requested.task == self.task && requested.kind == DeliveryKind::Reply =>
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
