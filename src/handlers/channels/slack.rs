//! The Slack channel. So far it holds what an answer looks like there; the connection follows.

pub mod mrkdwn;
pub mod pieces;
