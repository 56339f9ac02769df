//! The views that can be looked at as of a moment, as JSON and as text. Each is a projection; nothing
//! is worked out here.

use serde::Serialize;
use serde_json::{Value, json};

use crate::events::id::{AtMs, Position};
use crate::projections::views::Views;
use crate::service::look::{Replay, board, text};

/// A view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum View {
    /// Tasks as people look at them
    Board,
    /// Conversations and what was answered
    Conversation,
    /// What waits and what runs
    Queue,
    /// Messages that got no answer, the newest, and why
    Rejected,
    /// Program, configuration, allowlists and credential scopes in force
    Config,
    /// What runs did on the network
    Network,
    /// How each channel's connection is
    Channels,
    /// Containers and networks that exist
    Resources,
    /// Messages that are to be sent
    Outbox,
    /// What work has cost
    Usage,
    /// All of them
    All,
}

/// Views as they were at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The last event taken into account.
    pub position: Position,
    /// When it was recorded.
    pub at: AtMs,
    /// The views.
    pub views: Vec<Seen>,
}

/// One view as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Which it is.
    pub view: View,
    /// Its text.
    pub lines: Vec<String>,
    /// Its value.
    pub value: Value,
}

impl Replay {
    /// Returns a view, or all of them, as they are after the last record.
    ///
    /// # Errors
    /// Any that a projection's value cannot be written with.
    pub fn snapshot(&self, view: View) -> serde_json::Result<Snapshot> {
        let seen = |view: View| {
            let lines = view.lines(self.views());
            Ok(Seen {
                view,
                lines: lines.iter().map(|line| on_one_line(line)).collect(),
                value: view.value(self.views())?,
            })
        };
        let views = view.single().into_iter().map(seen);
        Ok(Snapshot {
            position: self.position(),
            at: self.at(),
            views: views.collect::<serde_json::Result<_>>()?,
        })
    }
}

/// What others wrote begins no line of its own, so that it cannot pass for one of ours.
fn on_one_line(line: &str) -> String {
    line.replace(['\n', '\r'], " ")
}

/// All views but [`View::All`], in the order they are shown in.
const SINGLE: [View; 10] = [
    View::Board,
    View::Conversation,
    View::Queue,
    View::Rejected,
    View::Config,
    View::Network,
    View::Channels,
    View::Resources,
    View::Outbox,
    View::Usage,
];

impl View {
    /// Returns the views it stands for.
    pub fn single(self) -> Vec<Self> {
        if self == Self::All {
            SINGLE.to_vec()
        } else {
            vec![self]
        }
    }

    /// Returns its name, as the command line and JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Board => "board",
            Self::Conversation => "conversation",
            Self::Queue => "queue",
            Self::Rejected => "rejected",
            Self::Config => "config",
            Self::Network => "network",
            Self::Channels => "channels",
            Self::Resources => "resources",
            Self::Outbox => "outbox",
            Self::Usage => "usage",
            Self::All => "all",
        }
    }

    /// Returns the heading of its text.
    pub fn title(self) -> &'static str {
        match self {
            Self::Board => "Tasks",
            Self::Conversation => "Conversations",
            Self::Queue => "Queue",
            Self::Rejected => "Rejected messages",
            Self::Config => "In force",
            Self::Network => "Network",
            Self::Channels => "Channels",
            Self::Resources => "Containers and networks",
            Self::Outbox => "To be sent",
            Self::Usage => "Usage",
            Self::All => "Everything",
        }
    }

    /// Returns it as JSON.
    ///
    /// # Errors
    /// Any that a projection's value cannot be written with.
    pub fn value(self, views: &Views) -> serde_json::Result<Value> {
        fn to<T: Serialize>(value: &T) -> serde_json::Result<Value> {
            serde_json::to_value(value)
        }
        Ok(match self {
            Self::Board => to(&views.board)?,
            Self::Conversation => to(&views.state.conversations)?,
            Self::Queue => json!({
                "inbox": to(&views.state.inbox)?,
                "tasks": to(&views.state.queue)?,
            }),
            Self::Rejected => to(&views.state.inbox.rejections().collect::<Vec<_>>())?,
            Self::Config => to(&views.config)?,
            Self::Network => to(&views.network)?,
            Self::Channels => to(&views.channels)?,
            Self::Resources => to(&views.resources)?,
            Self::Outbox => to(&views.state.outbox)?,
            Self::Usage => to(&views.usage)?,
            Self::All => {
                let mut all = json!({});
                for view in SINGLE {
                    all[view.name()] = view.value(views)?;
                }
                all
            }
        })
    }

    /// Returns it as text, a line for each thing; none when there is nothing.
    pub fn lines(self, views: &Views) -> Vec<String> {
        match self {
            Self::Board => board::lines(&views.board),
            Self::Conversation => text::conversations(&views.state.conversations),
            Self::Queue => text::queue(&views.state),
            Self::Rejected => text::rejected(&views.state.inbox),
            Self::Config => text::config(&views.config),
            Self::Network => text::network(views),
            Self::Channels => text::channels(&views.channels),
            Self::Resources => text::resources(&views.resources),
            Self::Outbox => text::outbox(&views.state.outbox),
            Self::Usage => text::usage(&views.usage),
            Self::All => SINGLE.iter().flat_map(|view| view.lines(views)).collect(),
        }
    }
}
