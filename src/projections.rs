//! WHAT IS TRUE NOW: pure folds over the log. Nothing here fails, waits, reads a clock or decides;
//! it names only `events`.
//!
//! [`projection`] is the contract and the runner; each other file is one projection. [`state`] is what
//! the worker decides on, [`views`] everything that people look at.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod audit;
pub mod channel_health;
pub mod civil;
pub mod config_in_force;
pub mod conversations;
pub mod frozen_runs;
pub mod inbox;
pub mod live_resources;
pub mod network_log;
pub mod outbox;
pub mod projection;
pub mod schedules;
pub mod slack_threads;
pub mod state;
pub mod storage;
pub mod task_board;
pub mod usage;
pub mod views;
pub mod work_queue;

pub use projection::{Checkpoint, Feed, Projection};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
