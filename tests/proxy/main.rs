//! The proxy as a run has it: the real proxy, the real link and its server, a recorder that a test
//! can hold or break, and an origin that writes down whatever reaches it. All in this process, over
//! real sockets on loopback.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod answers;
mod client;
mod durable;
mod filters;
mod floods;
mod framing;
mod github;
mod hello;
mod honey;
mod legs;
mod limits;
mod memory;
mod origin;
mod patience;
mod refused;
mod scrub;
mod signing;
mod streams;
mod world;
