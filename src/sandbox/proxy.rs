//! The proxy of one run: names, policy, certificates, forwarding. It is built without the gateway
//! into `airut-proxy` and names no event, no log and no configuration; what it decides goes over
//! its link ([`wire`]) and comes back as a receipt before a byte leaves.
//!
//! Pure: [`allowlist`], [`policy`], [`glob`], [`credentials`], [`dns`], [`addresses`], [`target`],
//! [`headers`], [`blocked`], [`escape`], [`wire`]. Shell: [`server`], [`strict`] (partly), `forward`, `upstream`, `pool`, [`link`], [`ca`].

pub mod addresses;
pub mod allowlist;
pub mod blocked;
pub mod body;
pub mod ca;
pub mod credentials;
pub mod dns;
pub mod escape;
pub mod expect;
mod forward;
pub mod glob;
pub mod headers;
pub mod limits;
pub mod link;
pub mod policy;
mod pool;
pub mod server;
pub mod strict;
pub mod target;
mod tunnel;
mod upstream;
pub mod wire;
