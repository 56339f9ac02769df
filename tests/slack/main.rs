//! Slack: first the stand-in, held to Slack's own word by its rules one by one and by Slack's own
//! clients for Python and Node; then Airut beside it: its set-up, what it hears and what it says. The
//! stand-in knows nothing of Airut.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are outside the service and its ports"
)]
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]

#[path = "../common/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "of the test world the repository is needed here"
)]
mod common;
#[path = "../story/parts.rs"]
#[expect(
    dead_code,
    reason = "the agent's lines are needed here, and no messages"
)]
mod parts;

mod agent;
mod check;
mod conformance;
mod guide;
mod hand;
mod in_again;
mod in_commands;
mod in_first;
mod in_people;
mod in_revised;
mod in_words;
mod manifest;
mod out;
mod rig;
mod rules;
mod shapes;
mod standin;
