//! The workspace: who and what is in it, and what was said. No sockets and no HTTP here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::answer::Refusal;
use super::delivery::Delivery;
use super::faults::Fault;
use super::limits::Limits;
use super::message::Message;
use super::options::Options;
use super::people::{self, Group, User};
use super::text;

/// The workspace's id.
pub(crate) const TEAM: &str = "T0HERALD01";
/// The app's id.
pub(crate) const APP: &str = "A0HERALD01";
/// The id of the app's bot.
pub(crate) const BOT: &str = "B0HERALD01";
/// The user that the bot is.
pub(crate) const BOT_USER: &str = "U0HERALD01";
/// The token of the Web API.
pub(crate) const BOT_TOKEN: &str = "xoxb-standin";
/// The token of Socket Mode.
pub(crate) const APP_TOKEN: &str = "xapp-1-standin";

/// Calls that are remembered; older ones are forgotten.
const CALLS_MAX: usize = 20_000;

/// A channel, or the conversation of a person with the app.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) archived: bool,
    pub(crate) created: u64,
    pub(crate) members: BTreeSet<String>,
    /// By `ts`, which is how Slack orders them too.
    pub(crate) messages: BTreeMap<String, Message>,
}

/// What a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Public,
    Private,
    Direct,
}

impl Kind {
    /// The name of the kind in events.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Public => "channel",
            Self::Private => "group",
            Self::Direct => "im",
        }
    }

    /// The first half of the scopes that are about the kind.
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Self::Public => "channels",
            Self::Private => "groups",
            Self::Direct => "im",
        }
    }
}

/// A file, from the moment its upload is announced.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) mimetype: String,
    pub(crate) user: String,
    pub(crate) created: u64,
    pub(crate) announced_bytes: u64,
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) complete: bool,
    /// Where it is shared: channel, `ts`, thread.
    pub(crate) shares: Vec<(String, String, Option<String>)>,
}

/// A thread of the app's own surface.
#[derive(Debug, Clone, Default)]
pub(crate) struct AssistantThread {
    pub(crate) user: String,
    pub(crate) status: String,
    pub(crate) statuses: Vec<String>,
    pub(crate) title: Option<String>,
    pub(crate) prompts: Value,
}

/// A call as it was made, for the test to look at.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) args: Value,
    pub(crate) at_ms: u64,
    /// `ok`, or the error's name.
    pub(crate) outcome: String,
}

/// Everything.
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) address: SocketAddr,
    pub(crate) scopes: BTreeSet<String>,
    /// The events that the app has subscribed to.
    pub(crate) subscribed: BTreeSet<String>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) channels: BTreeMap<String, Channel>,
    pub(crate) files: BTreeMap<String, File>,
    /// By channel and thread.
    pub(crate) threads: BTreeMap<(String, String), AssistantThread>,
    /// Tickets to sockets that nobody has used yet.
    pub(crate) tickets: BTreeSet<String>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) limits: Limits,
    pub(crate) calls: VecDeque<Call>,
    pub(crate) delivery: Delivery,
    last_us: u64,
    minted: u64,
}

impl World {
    /// The workspace as [`people`] describes it.
    pub(crate) fn new(options: Options, address: SocketAddr) -> Self {
        let mut world = Self {
            options,
            address,
            scopes: people::scopes(),
            subscribed: people::subscribed(),
            users: people::users(),
            groups: people::groups(),
            channels: BTreeMap::new(),
            files: BTreeMap::new(),
            threads: BTreeMap::new(),
            tickets: BTreeSet::new(),
            faults: Vec::new(),
            limits: Limits::default(),
            calls: VecDeque::new(),
            delivery: Delivery::default(),
            last_us: 0,
            minted: 0,
        };
        people::channels(&mut world);
        world
    }

    /// Now, in milliseconds since the epoch.
    pub(crate) fn now_ms() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
    }

    /// Mints a `ts`: microseconds, and never twice.
    pub(crate) fn ts(&mut self) -> String {
        self.last_us = (Self::now_ms() * 1_000).max(self.last_us + 1);
        let (seconds, micros) = (self.last_us / 1_000_000, self.last_us % 1_000_000);
        format!("{seconds:010}.{micros:06}")
    }

    /// Mints an id of the kind that the letters say.
    pub(crate) fn id(&mut self, letters: &str) -> String {
        self.minted += 1;
        format!("{letters}{:09}", self.minted)
    }

    /// The channel, if there is one and the app may know of it.
    pub(crate) fn channel(&self, id: &str) -> Result<&Channel, Refusal> {
        let not_found = || Refusal::new("channel_not_found");
        let channel = self.channels.get(id).ok_or_else(not_found)?;
        // A private channel is hidden from whoever is not in it.
        let is_hidden = channel.kind != Kind::Public && !channel.members.contains(BOT_USER);
        if is_hidden {
            return Err(not_found());
        }
        Ok(channel)
    }

    /// The channel in which the app is and may write.
    pub(crate) fn writable(&self, id: &str) -> Result<&Channel, Refusal> {
        let channel = self.channel(id)?;
        if channel.archived {
            return Err(Refusal::new("is_archived"));
        }
        if !channel.members.contains(BOT_USER) {
            return Err(Refusal::new("not_in_channel"));
        }
        Ok(channel)
    }

    /// A message that is there.
    pub(crate) fn message(&self, channel: &str, ts: &str) -> Result<&Message, Refusal> {
        let messages = self.channels.get(channel).map(|channel| &channel.messages);
        let message = messages.and_then(|messages| messages.get(ts));
        message.ok_or_else(|| Refusal::new("message_not_found"))
    }

    /// The same, to be changed.
    pub(crate) fn message_mut(&mut self, channel: &str, ts: &str) -> Result<&mut Message, Refusal> {
        let channel = self.channels.get_mut(channel);
        let message = channel.and_then(|channel| channel.messages.get_mut(ts));
        message.ok_or_else(|| Refusal::new("message_not_found"))
    }

    /// The conversation of a person with the app, opened when there is none yet.
    pub(crate) fn direct(&mut self, user: &str) -> String {
        let is_theirs =
            |channel: &&Channel| channel.kind == Kind::Direct && channel.members.contains(user);
        if let Some(channel) = self.channels.values().find(is_theirs) {
            return channel.id.clone();
        }
        let id = self.id("D");
        self.open_channel(&id, "", Kind::Direct, &[user, BOT_USER]);
        id
    }

    /// Makes a channel.
    pub(crate) fn open_channel(&mut self, id: &str, name: &str, kind: Kind, members: &[&str]) {
        let channel = Channel {
            id: id.to_owned(),
            name: name.to_owned(),
            kind,
            archived: false,
            created: Self::now_ms() / 1_000,
            members: members.iter().map(|&member| member.to_owned()).collect(),
            messages: BTreeMap::new(),
        };
        self.channels.insert(id.to_owned(), channel);
    }

    /// Puts a message into its channel and keeps its thread's count. Returns it as it is then.
    pub(crate) fn put(&mut self, channel: &str, mut message: Message) -> Message {
        message.text = text::stored(&message.text);
        if let Some(found) = self.channels.get_mut(channel) {
            found.messages.insert(message.ts.clone(), message.clone());
        }
        message
    }

    /// Remembers a call.
    pub(crate) fn remember(&mut self, method: &str, args: Value, outcome: String) {
        if self.calls.len() == CALLS_MAX {
            self.calls.pop_front();
        }
        self.calls.push_back(Call {
            method: method.to_owned(),
            args,
            at_ms: Self::now_ms(),
            outcome,
        });
    }
}
