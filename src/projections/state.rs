//! What the worker decides on: the backlog, the conversations and the outbox at one position.

use serde::{Deserialize, Serialize};

use crate::events::Recorded;
use crate::projections::Projection;
use crate::projections::conversations::Conversations;
use crate::projections::inbox::Inbox;
use crate::projections::outbox::Outbox;
use crate::projections::work_queue::WorkQueue;

/// The worker's view of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Messages without a verdict.
    pub inbox: Inbox,
    /// Tasks without an answer.
    pub queue: WorkQueue,
    /// Conversations.
    pub conversations: Conversations,
    /// Messages to send.
    pub outbox: Outbox,
}

impl Projection for State {
    const NAME: &'static str = "state";
    const CODE_VERSION: u32 = Inbox::CODE_VERSION
        + WorkQueue::CODE_VERSION
        + Conversations::CODE_VERSION
        + Outbox::CODE_VERSION;

    fn apply(&mut self, recorded: &Recorded) {
        self.inbox.apply(recorded);
        self.queue.apply(recorded);
        self.conversations.apply(recorded);
        self.outbox.apply(recorded);
    }
}
