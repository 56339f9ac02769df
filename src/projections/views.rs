//! Everything people look at, folded together: what `airut replay` prints as of a position.

use serde::{Deserialize, Serialize};

use crate::events::Recorded;
use crate::projections::Projection;
use crate::projections::channel_health::ChannelHealth;
use crate::projections::config_in_force::ConfigInForce;
use crate::projections::live_resources::LiveResources;
use crate::projections::network_log::NetworkLog;
use crate::projections::state::State;
use crate::projections::task_board::TaskBoard;
use crate::projections::usage::Usage;

/// All projections at one position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Views {
    /// What the worker decides on.
    pub state: State,
    /// Tasks as people look at them.
    pub board: TaskBoard,
    /// The network use of every run.
    pub network: NetworkLog,
    /// Containers and networks without an end.
    pub resources: LiveResources,
    /// What work has cost.
    pub usage: Usage,
    /// The channels' connections.
    pub channels: ChannelHealth,
    /// The configuration, allowlists and credentials in force.
    pub config: ConfigInForce,
}

impl Projection for Views {
    const NAME: &'static str = "views";
    const CODE_VERSION: u32 = State::CODE_VERSION
        + TaskBoard::CODE_VERSION
        + NetworkLog::CODE_VERSION
        + LiveResources::CODE_VERSION
        + Usage::CODE_VERSION
        + ChannelHealth::CODE_VERSION
        + ConfigInForce::CODE_VERSION;

    fn apply(&mut self, recorded: &Recorded) {
        self.state.apply(recorded);
        self.board.apply(recorded);
        self.network.apply(recorded);
        self.resources.apply(recorded);
        self.usage.apply(recorded);
        self.channels.apply(recorded);
        self.config.apply(recorded);
    }
}
