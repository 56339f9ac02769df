//! What the worker decides on: the backlog, the conversations and the outbox at one position.

use serde::{Deserialize, Serialize};

use crate::events::event::ChannelEvent;
use crate::events::{Event, Recorded};
use crate::projections::Projection;
use crate::projections::conversations::Conversations;
use crate::projections::frozen_runs::FrozenRuns;
use crate::projections::inbox::Inbox;
use crate::projections::outbox::Outbox;
use crate::projections::schedules::Schedules;
use crate::projections::slack_threads::SlackThreads;
use crate::projections::storage::Storage;
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
    /// Runs that are kept for somebody to look at.
    pub frozen: FrozenRuns,
    /// What is known of Slack's threads.
    pub slack: SlackThreads,
    /// Schedules in force.
    pub schedules: Schedules,
    /// The room on the disk.
    pub storage: Storage,
}

impl State {
    /// Returns whether an event may change what there is to do: what agents say and the proxy
    /// decides comes by the thousand, and does not.
    pub fn is_concerned(event: &Event) -> bool {
        match event {
            Event::Service(_)
            | Event::Message(_)
            | Event::Task(_)
            | Event::Conversation(_)
            | Event::Schedule(_)
            | Event::Delivery(_) => true,
            Event::Channel(event) => matches!(event, ChannelEvent::Connected(_)),
            Event::Repository(_) | Event::Run(_) | Event::Proxy(_) => false,
            Event::Container(event) => FrozenRuns::is_concerned(event),
        }
    }
}

impl Projection for State {
    const NAME: &'static str = "state";
    const CODE_VERSION: u32 = Inbox::CODE_VERSION
        + WorkQueue::CODE_VERSION
        + Conversations::CODE_VERSION
        + Outbox::CODE_VERSION
        + FrozenRuns::CODE_VERSION
        + SlackThreads::CODE_VERSION
        + Schedules::CODE_VERSION
        + Storage::CODE_VERSION;

    fn apply(&mut self, recorded: &Recorded) {
        self.inbox.apply(recorded);
        self.queue.apply(recorded);
        self.conversations.apply(recorded);
        self.outbox.apply(recorded);
        self.frozen.apply(recorded);
        self.slack.apply(recorded);
        self.schedules.apply(recorded);
        self.storage.apply(recorded);
    }
}
