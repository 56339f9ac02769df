//! The Slack channel: what an answer is in Slack's own markup. Nothing here speaks to Slack.

pub mod mentions_out;
pub mod mrkdwn;
