//! The mail channel against real mail servers, and its judgement of kept mails. It knows the port
//! of channels and the log, and nothing of tasks or sandboxes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are outside the service and its ports"
)]

#[expect(dead_code, reason = "not all of the test world is needed here")]
mod common;

mod email {
    mod answered;
    mod authority;
    mod browser;
    mod corpora;
    mod cut;
    mod filtered;
    mod folder;
    mod golden;
    mod intake;
    mod long;
    mod mailbox;
    mod many;
    mod post;
    mod refused;
    mod relay;
    mod sending;
    mod stripped;
    mod tokens;
    mod trouble;
    mod verified;
    mod waiting;
}
