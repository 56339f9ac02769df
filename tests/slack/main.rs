//! Slack: first the stand-in, held to Slack's own word by its rules one by one and by Slack's own
//! clients for Python and Node; then Airut beside it, from the manifest of its app to its answers. The
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
#[path = "../story/passing.rs"]
mod passing;
#[path = "../story/tools.rs"]
mod tools;
#[path = "../story/world.rs"]
#[expect(dead_code, reason = "stories have daemons without listeners, too")]
mod world;

mod agent;
mod both;
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
mod whole;
