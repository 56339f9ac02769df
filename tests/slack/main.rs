//! The Slack stand-in, held to Slack's own word: its rules one by one, and then Slack's own clients
//! for Python and Node against it. Then Airut's set-up against the stand-in: the manifest of its app,
//! and what `airut check` says of one.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are outside the service and its ports"
)]
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]

mod check;
mod conformance;
mod guide;
mod hand;
mod manifest;
mod rules;
mod shapes;
mod standin;
