//! How the connection of one channel is. Stream `channel:<repo>/<kind>`. Messages have their own.

use crate::events::id::{AtMs, ChannelKind, RepoId};
use crate::events::macros::data;
use crate::events::message::MessageSource;

data! {
    /// A channel's listener takes messages in.
    pub struct ChannelConnected {
        /// Repository.
        pub repo: RepoId,
        /// Kind of channel.
        pub channel: ChannelKind,
        /// `host:port`, or the socket's path.
        pub endpoint: String,
        /// How it is listened to, for example `idle` or `poll 60 s`.
        pub mode: String,
    }

    /// A channel's listener lost its connection and tries again.
    pub struct ChannelDegraded {
        /// Repository.
        pub repo: RepoId,
        /// Kind of channel.
        pub channel: ChannelKind,
        /// Why.
        pub error: String,
        /// How many tries have failed in a row.
        pub failures: u32,
        /// When it is tried again.
        pub retry_at: AtMs,
    }

    /// A message cannot be taken in and is passed over, so that it holds up no other; it stays where
    /// it lies and is tried again.
    pub struct ChannelMailPassedOver {
        /// Repository.
        pub repo: RepoId,
        /// Kind of channel.
        pub channel: ChannelKind,
        /// Where it lies.
        pub source: MessageSource,
        /// Why.
        pub error: String,
        /// How many tries have failed in a row.
        pub failures: u32,
        /// When it is tried again.
        pub retry_at: AtMs,
    }

    /// What was written while no listener was connected has been looked for, and taken in.
    pub struct ChannelCaughtUp {
        /// Repository.
        pub repo: RepoId,
        /// Kind of channel.
        pub channel: ChannelKind,
        /// From when on it was looked for.
        pub since: AtMs,
        /// Everything that was written before is taken in.
        pub until: AtMs,
        /// Messages that were found and taken in.
        pub found: u32,
        /// Places in which more was written than is looked at, or that could not be looked at: what
        /// was missed there is not known, and has to be written again.
        pub beyond: Vec<String>,
    }

    /// Somebody opened a thread with the assistant in Slack, and is greeted in it, at most once.
    pub struct SlackThreadGreeted {
        /// Repository.
        pub repo: RepoId,
        /// The channel of their direct messages.
        pub channel: String,
        /// The thread's `ts`.
        pub thread: String,
    }

    /// A channel's listener ended in good order.
    pub struct ChannelStopped {
        /// Repository.
        pub repo: RepoId,
        /// Kind of channel.
        pub channel: ChannelKind,
    }
}
