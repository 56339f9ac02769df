//! When the answer to a local message is due: a fold over the log. Pure.
//!
//! The answer is whatever was requested for the message's task, or for the task that took it along,
//! once it counts as delivered; for the local channel that is as soon as it is in the log.

use crate::events::Event;
use crate::events::delivery::{DeliveryKind, DeliveryRequested};
use crate::events::event::{DeliveryEvent, MessageEvent, TaskEvent};
use crate::events::id::{ChannelKind, TaskId};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::delivery::{DeliverySucceeded, DeliveryTarget};
    use crate::events::id::{BlobRef, ConversationId, DeliveryId, InboundId, RepoId, Sha256};
    use crate::events::task::TaskCoalesced;

    fn requested(task: TaskId, number: u32, channel: ChannelKind) -> DeliveryRequested {
        DeliveryRequested {
            delivery: DeliveryId::derive(task, "reply", number),
            kind: DeliveryKind::Reply,
            repo: RepoId("r".to_owned()),
            channel,
            conversation: ConversationId(1),
            task,
            target: DeliveryTarget::Local,
            body: BlobRef {
                sha256: Sha256::of(b""),
                bytes: 0,
                media_type: "text/markdown".to_owned(),
            },
            files: vec![],
        }
    }

    fn succeeded(request: &DeliveryRequested) -> Event {
        DeliverySucceeded {
            delivery: request.delivery,
            attempt: 1,
            receipt: "250".to_owned(),
            reconciled: false,
        }
        .into()
    }

    #[test]
    fn whoever_waits_gets_the_answer_of_the_task_that_took_the_message_along() {
        let of = |key: &str| InboundId::from_dedupe_key(key).task();
        let (waiting, task) = (of("own"), of("other"));
        let mut awaited = Awaited::new(waiting);
        let coalesced = TaskCoalesced {
            task: waiting,
            into: task,
        };
        let (own, mail) = (ChannelKind::Local, ChannelKind::Email);
        let (own, mail) = (requested(task, 1, own), requested(task, 2, mail));
        let before = [
            coalesced.into(),
            own.clone().into(),
            mail.clone().into(),
            succeeded(&mail),
        ];
        assert!(before.iter().all(|event| awaited.apply(event).is_none()));
        let end = awaited.apply(&succeeded(&own));
        assert_eq!(end, Some(End::Answered(Box::new(own))));
    }
}
