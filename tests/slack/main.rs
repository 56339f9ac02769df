//! The Slack stand-in, held to Slack's own word: its rules one by one, and then Slack's own clients
//! for Python and Node against it. It knows nothing of Airut, which is tested elsewhere against it.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are outside the service and its ports"
)]
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]

#[path = "../soak/daemon/agent.rs"]
mod agent;
#[path = "../common/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "of the test world the mail servers and the repository are needed here"
)]
mod common;
#[path = "../story/fakes.rs"]
#[expect(
    dead_code,
    reason = "stories need more of what stands behind the ports"
)]
mod fakes;
#[path = "../soak/ground.rs"]
mod ground;
#[path = "../story/parts.rs"]
mod parts;
#[path = "../story/tools.rs"]
mod tools;
#[path = "../story/world.rs"]
#[expect(dead_code, reason = "stories have daemons without listeners, too")]
mod world;

mod both;
mod conformance;
mod hand;
mod out;
mod rules;
mod standin;
mod whole;
