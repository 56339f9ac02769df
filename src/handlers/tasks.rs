//! How a message becomes an answer: pure plans ([`begin`], [`interrupt`], [`prompt`], [`answer`],
//! [`conclude`]) and the shell that performs them ([`execute`]). It knows no channel's protocol.

pub mod answer;
pub mod begin;
pub mod conclude;
pub mod interrupt;
pub mod prompt;
