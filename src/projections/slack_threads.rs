//! Which threads of Slack Airut takes part in, up to where each place was heard, and which messages
//! of it still wait: so that a message without a mention is known to be meant, and what was written
//! while nobody listened is found. It asks nobody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::event::{ChannelEvent, ConversationEvent, MessageEvent, ServiceEvent};
use crate::events::id::{AtMs, ChannelKind, ConversationId, InboundId, RepoId};
use crate::events::message::{MessageReceived, MessageSource};
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// Threads of one repository that are remembered; of more, the one that was silent for longest is
/// forgotten, and goes on with the next mention.
pub const THREADS_MAX: usize = 5_000;

/// Channels of one repository whose newest message is remembered; of more, the one that was silent
/// for longest is forgotten, and what is missed there is not looked for.
pub const CHANNELS_MAX: usize = 500;

/// A thread that Airut takes part in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The newest message of it that was received, as its `ts`.
    pub last_seen: String,
    /// The message that made Airut take part in it, as its `ts`.
    pub first: String,
    /// Its conversation, once one of its messages was accepted.
    pub conversation: Option<ConversationId>,
    /// Its messages without a verdict, each with its `ts`.
    pub waiting: BTreeMap<InboundId, String>,
}

/// What is known of one repository's app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Threads that Airut takes part in, by `channel:thread_ts`.
    pub threads: BTreeMap<String, Thread>,
    /// The newest message received of each channel, as its `ts`.
    pub channels: BTreeMap<String, String>,
    /// Everything before it was heard or looked for, whatever the place; nothing before the first
    /// connection.
    pub until: Option<AtMs>,
    /// Whether a connection was there when last something was recorded of it.
    is_connected: bool,
    /// Whether what was missed before that connection was looked for.
    is_caught_up: bool,
}

/// The threads of all repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlackThreads {
    repos: BTreeMap<RepoId, Heard>,
    /// Where messages without a verdict stand.
    places: BTreeMap<InboundId, (RepoId, String)>,
}

/// Returns the name of a thread.
pub fn thread_key(channel: &str, thread: &str) -> String {
    format!("{channel}:{thread}")
}

impl SlackThreads {
    /// Returns what is known of a repository's app.
    pub fn of(&self, repo: &RepoId) -> Option<&Heard> {
        self.repos.get(repo)
    }

    fn receive(&mut self, received: &MessageReceived, at: AtMs) {
        let MessageSource::Slack {
            channel,
            ts,
            thread,
            ..
        } = &received.source
        else {
            return;
        };
        let heard = self.repos.entry(received.repo.clone()).or_default();
        let key = thread_key(channel, thread);
        let engaged = heard.threads.entry(key.clone()).or_default();
        if engaged.first.is_empty() {
            engaged.first.clone_from(ts);
        }
        engaged.last_seen = later(&engaged.last_seen, ts);
        engaged.waiting.insert(received.inbound, ts.clone());
        let seen = heard.channels.entry(channel.clone()).or_default();
        *seen = later(seen, ts);
        // A process that is killed cannot say until when it was connected; what it kept does.
        if heard.is_connected && heard.is_caught_up {
            heard.until = heard.until.max(Some(at));
        }
        self.places
            .insert(received.inbound, (received.repo.clone(), key));
        heard.bound();
    }

    /// A message has its verdict: with a conversation when it was accepted.
    fn judge(&mut self, inbound: InboundId, conversation: Option<ConversationId>) {
        let Some((repo, key)) = self.places.remove(&inbound) else {
            return;
        };
        let Some(heard) = self.repos.get_mut(&repo) else {
            return;
        };
        if let Some(thread) = heard.threads.get_mut(&key) {
            thread.waiting.remove(&inbound);
            thread.conversation = conversation.or(thread.conversation);
            // Whom the rules permit nothing must not make Airut listen to a thread.
            if thread.waiting.is_empty() && thread.conversation.is_none() {
                heard.threads.remove(&key);
            }
        }
    }

    fn forget(&mut self, conversation: ConversationId) {
        for heard in self.repos.values_mut() {
            let goes_on = |thread: &Thread| thread.conversation != Some(conversation);
            heard.threads.retain(|_, thread| goes_on(thread));
        }
    }

    fn apply_channel(&mut self, event: &ChannelEvent, at: AtMs) {
        match event {
            ChannelEvent::Connected(connected) if connected.channel == ChannelKind::Slack => {
                let heard = self.repos.entry(connected.repo.clone()).or_default();
                heard.is_connected = true;
            }
            ChannelEvent::Degraded(degraded) if degraded.channel == ChannelKind::Slack => {
                self.disconnect(&degraded.repo, at);
            }
            ChannelEvent::Stopped(stopped) if stopped.channel == ChannelKind::Slack => {
                self.disconnect(&stopped.repo, at);
            }
            ChannelEvent::CaughtUp(caught_up) => {
                let heard = self.repos.entry(caught_up.repo.clone()).or_default();
                heard.until = heard.until.max(Some(caught_up.until));
                heard.is_caught_up = true;
            }
            ChannelEvent::Connected(_)
            | ChannelEvent::Degraded(_)
            | ChannelEvent::Stopped(_)
            | ChannelEvent::SlackThreadGreeted(_)
            | ChannelEvent::MailPassedOver(_) => {}
        }
    }

    /// No connection outlives the process that had it; until when a killed one had it, what it kept
    /// has told.
    fn begin_anew(&mut self) {
        for heard in self.repos.values_mut() {
            heard.is_connected = false;
            heard.is_caught_up = false;
        }
    }

    /// Until now there was a connection, and what is written from now on may be missed. What a first
    /// catching-up has not covered yet is not counted as heard.
    fn disconnect(&mut self, repo: &RepoId, at: AtMs) {
        let heard = self.repos.entry(repo.clone()).or_default();
        if std::mem::take(&mut heard.is_connected) && heard.is_caught_up {
            heard.until = heard.until.max(Some(at));
        }
        heard.is_caught_up = false;
    }
}

impl Heard {
    /// Returns whether messages of a thread are meant for Airut without a mention.
    pub fn is_engaged(&self, channel: &str, thread: &str) -> bool {
        self.threads.contains_key(&thread_key(channel, thread))
    }

    /// Returns whether a message is the first of its thread that Airut takes part in: what others
    /// wrote before it is unknown then.
    pub fn is_first(&self, channel: &str, thread: &str, ts: &str) -> bool {
        let Some(known) = self.threads.get(&thread_key(channel, thread)) else {
            return true;
        };
        let mut waiting = known.waiting.values();
        known.first == ts
            || known.conversation.is_none() && waiting.all(|other| other.as_str() >= ts)
    }

    fn bound(&mut self) {
        while self.threads.len() > THREADS_MAX {
            let silent = |(_, thread): &(&String, &Thread)| thread.last_seen.clone();
            let Some(oldest) = self.threads.iter().min_by_key(silent) else {
                return;
            };
            let oldest = oldest.0.clone();
            self.threads.remove(&oldest);
        }
        while self.channels.len() > CHANNELS_MAX {
            let Some(oldest) = self.channels.iter().min_by_key(|(_, seen)| *seen) else {
                return;
            };
            let oldest = oldest.0.clone();
            self.channels.remove(&oldest);
        }
    }
}

/// Slack's `ts` have ten digits, a point and six digits until the year 2286, so that their order is
/// that of their texts.
fn later(one: &str, other: &str) -> String {
    one.max(other).to_owned()
}

impl Projection for SlackThreads {
    const NAME: &'static str = "slack_threads";
    const CODE_VERSION: u32 = 3;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Message(MessageEvent::Received(received)) => self.receive(received, recorded.at),
            Event::Message(MessageEvent::Rejected(rejected)) => self.judge(rejected.inbound, None),
            Event::Message(MessageEvent::Routed(routed)) => {
                self.judge(routed.inbound, Some(routed.conversation));
            }
            Event::Conversation(ConversationEvent::ForgetRequested(asked)) => {
                self.forget(asked.conversation);
            }
            Event::Channel(event) => self.apply_channel(event, recorded.at),
            Event::Service(ServiceEvent::Started(_)) => self.begin_anew(),
            Event::Message(_)
            | Event::Conversation(_)
            | Event::Schedule(_)
            | Event::Delivery(_)
            | Event::Service(_)
            | Event::Repository(_)
            | Event::Task(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Proxy(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
