//! How each channel's connection is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::channel::ChannelCaughtUp;
use crate::events::event::ChannelEvent;
use crate::events::id::{AtMs, ChannelKind, RepoId};
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// How a connection is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Messages are taken in.
    Connected {
        /// Where from.
        endpoint: String,
        /// How, for example `idle`.
        mode: String,
        /// Since when.
        since: AtMs,
    },
    /// It is being tried again.
    Degraded {
        /// Why it failed.
        error: String,
        /// How often in a row.
        failures: u32,
        /// When it is tried again.
        retry_at: AtMs,
    },
    /// It was ended in good order.
    Stopped,
}

/// The channels by repository and kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelHealth {
    channels: BTreeMap<String, Health>,
    /// The newest catching-up of each channel, where it did not find everything.
    missed: BTreeMap<String, ChannelCaughtUp>,
}

impl ChannelHealth {
    /// Returns a channel's health, if it was ever started.
    pub fn get(&self, repo: &RepoId, kind: ChannelKind) -> Option<&Health> {
        self.channels.get(&name(repo, kind))
    }

    /// Returns all channels, named `repo/kind`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Health)> {
        self.channels
            .iter()
            .map(|(name, health)| (name.as_str(), health))
    }
}

fn name(repo: &RepoId, kind: ChannelKind) -> String {
    format!("{repo}/{kind}")
}

impl Projection for ChannelHealth {
    const NAME: &'static str = "channel_health";
    const CODE_VERSION: u32 = 2;

    fn apply(&mut self, recorded: &Recorded) {
        let Event::Channel(event) = &recorded.event else {
            return;
        };
        let (name, health) = match event {
            ChannelEvent::Connected(connected) => {
                let (endpoint, mode) = (connected.endpoint.clone(), connected.mode.clone());
                let health = Health::Connected {
                    endpoint,
                    mode,
                    since: recorded.at,
                };
                (name(&connected.repo, connected.channel), health)
            }
            ChannelEvent::Degraded(degraded) => {
                let health = Health::Degraded {
                    error: degraded.error.clone(),
                    failures: degraded.failures,
                    retry_at: degraded.retry_at,
                };
                (name(&degraded.repo, degraded.channel), health)
            }
            ChannelEvent::CaughtUp(caught_up) => {
                let name = name(&caught_up.repo, caught_up.channel);
                match caught_up.beyond.is_empty() {
                    true => self.missed.remove(&name),
                    false => self.missed.insert(name, caught_up.clone()),
                };
                return;
            }
            // One mail, or one thread, is not the channel.
            ChannelEvent::MailPassedOver(_) | ChannelEvent::SlackThreadGreeted(_) => return,
            ChannelEvent::Stopped(stopped) => {
                (name(&stopped.repo, stopped.channel), Health::Stopped)
            }
        };
        self.channels.insert(name, health);
    }
}
