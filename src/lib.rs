//! Airut hands work to Claude Code by e-mail or Slack and brings the result back in the thread.
//!
//! The log is the system: every message, container step and proxy decision is an event in an
//! append-only log, and everything else is a projection of it. Four rooms answer four questions,
//! and a file's room tells what it may do; `tests/tidy.rs` holds the rules.
//!
//! | room | question | may name |
//! |---|---|---|
//! | `events` | what happened | nothing of ours |
//! | `projections` | what is true now | `events` |
//! | `config` | what is wanted | `events::id` |
//! | `sandbox` | how it is run | `events`, `config` |
//! | `handlers` | what to do next | `events`, `projections`, `sandbox`, `config` |
//! | `service` | composition root | all of the above |
//! | `cli` | commands | `config`, `service` |

#[cfg(feature = "gateway")]
pub mod cli;
pub mod clock;
#[cfg(feature = "gateway")]
pub mod config;
#[cfg(feature = "gateway")]
pub mod events;
#[cfg(feature = "gateway")]
pub mod handlers;
#[cfg(feature = "gateway")]
pub mod projections;
pub mod sandbox;
#[cfg(feature = "gateway")]
pub mod service;
pub mod tasks;
