//! How a message becomes an answer: pure plans ([`begin`], [`interrupt`], [`prompt`], [`answer`],
//! [`conclude`]) and the shell that performs them ([`execute`]). It knows no channel's protocol.

pub mod answer;
pub mod begin;
pub mod command;
pub mod conclude;
pub mod directories;
pub mod execute;
pub mod export;
mod frozen;
pub mod granted;
pub mod holding;
pub mod interrupt;
pub mod notes;
mod outbox;
pub mod patience;
pub mod prepare;
pub mod prompt;
pub mod record;
pub mod recorder;
pub mod run;
mod stopping;
mod surrogates;
mod told;
mod untrusted;
