//! The proxy of one run: names, policy, certificates, forwarding. It is built without the gateway
//! into `airut-proxy` and names no event, no log and no configuration; what it decides goes over
//! its link ([`wire`]) and comes back as a receipt before a byte leaves.
//!
//! Pure: [`allowlist`], [`policy`], [`glob`], [`credentials`], [`dns`], [`addresses`], [`target`],
//! [`headers`], [`honey`], [`blocked`], [`escape`], [`filter`], [`wire`]. Shell: [`server`], [`strict`] (partly), `forward`, `gather`, `upstream`, `watch`, `pool`, [`link`], [`ca`].

pub mod addresses;
pub mod allowlist;
mod armed;
pub mod blocked;
pub mod body;
pub mod ca;
pub mod credentials;
pub mod dns;
pub mod escape;
pub mod expect;
pub mod filter;
mod forward;
mod gather;
pub mod github;
pub mod glob;
pub mod graphql;
pub mod headers;
pub mod honey;
pub mod limits;
pub mod link;
pub mod policy;
mod pool;
mod refuse;
pub mod scrub;
pub mod server;
pub mod signing;
pub mod strict;
pub mod target;
mod tunnel;
mod upstream;
mod watch;
pub mod wire;

pub use upstream::resolver_of;

/// What the proxy's process finds in its environment: few threads on a machine with many processors,
/// too, and an allocator (glibc's, see its manual, *Memory Allocation Tunables*) that keeps the buffers
/// of a stream instead of giving each back to the kernel and asking for it again.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    ("TOKIO_WORKER_THREADS", "4"),
    (
        "GLIBC_TUNABLES",
        "glibc.malloc.arena_max=2:glibc.malloc.mmap_threshold=1048576:glibc.malloc.trim_threshold=2097152",
    ),
];
