//! The Slack channel: what an answer is in Slack's own markup. Nothing here speaks to Slack.

pub mod blocks;
pub mod mentions_out;
pub mod metadata;
pub mod mrkdwn;
pub mod outgoing;
pub mod plan;
pub mod progress;
pub mod refusals;
