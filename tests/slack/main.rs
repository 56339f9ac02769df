//! The Slack stand-in, held to Slack's own word: its rules one by one, and then Slack's own clients
//! for Python and Node against it. It knows nothing of Airut, which is tested elsewhere against it.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are outside the service and its ports"
)]
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]

mod conformance;
mod hand;
mod out;
mod rules;
mod standin;
