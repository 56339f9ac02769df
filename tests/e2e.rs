//! The whole way of a message with nothing replaced: real mail servers, real Podman, the real
//! Claude Code, the real proxy, and a private internet behind it. It knows the command line, the
//! log's public form and what a person sees, and nothing of the inside.

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

mod common;

mod e2e {
    mod bad_input;
    mod clients;
    mod command;
    mod command_keys;
    mod command_life;
    mod failures;
    mod fetching;
    mod forget;
    mod ground;
    mod kill;
    mod local;
    mod mail_loop;
    mod many;
    mod network;
    mod parallel;
    mod proposed;
    mod stop;
}
