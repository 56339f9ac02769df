//! Stories: whole ways of messages through the real worker, projections and decisions, with fakes at
//! the ports only. The world outside (channel, sandbox, mirrors) outlives the daemon's crashes.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

mod answers;
mod audit;
mod commands;
mod conversations;
mod crashes;
mod daylight;
mod deciders;
mod fakes;
mod forgetting;
mod frozen;
mod long;
mod participants;
mod parts;
mod patience;
mod plans;
mod queue;
mod schedules;
mod service;
mod setbacks;
mod threads;
mod tools;
mod turns;
mod waiting;
mod world;
