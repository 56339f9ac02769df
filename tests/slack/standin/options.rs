//! How the stand-in behaves where Slack's behaviour takes its time or has a limit.

use serde::{Deserialize, Serialize};

/// What can be set, at the start and later through the control API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// The port to listen on; 0 takes any that is free.
    pub(crate) port: u16,
    /// How long an envelope may go unacknowledged. Slack: 3 s.
    pub(crate) ack_deadline_ms: u64,
    /// The waits before an unacknowledged event is sent again. Slack: at once, 1 min, 5 min.
    pub(crate) retry_delays_ms: Vec<u64>,
    /// How often a connection is pinged.
    pub(crate) ping_every_ms: u64,
    /// How long a connection lives before Slack renews its server. Slack: about an hour.
    pub(crate) connection_ms: u64,
    /// How long before its end a connection is warned. Slack: about 10 s.
    pub(crate) warning_ms: u64,
    /// Whether calls are limited at all.
    pub(crate) limits: bool,
    /// What a minute of the method tiers lasts.
    pub(crate) minute_ms: u64,
    /// What the second of `chat.postMessage`, one message per channel and second, lasts.
    pub(crate) post_every_ms: u64,
    /// How many messages a channel takes at once before that limit holds.
    pub(crate) post_burst: u32,
    /// Whether messages may still be edited (the workspace's setting).
    pub(crate) edits: bool,
    /// The most bytes that an upload may have. Slack: 1 GB.
    pub(crate) file_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            ack_deadline_ms: 3_000,
            retry_delays_ms: vec![0, 60_000, 300_000],
            ping_every_ms: 5_000,
            connection_ms: 3_600_000,
            warning_ms: 10_000,
            limits: true,
            minute_ms: 60_000,
            post_every_ms: 1_000,
            post_burst: 4,
            edits: true,
            file_bytes_max: 1 << 30,
        }
    }
}
