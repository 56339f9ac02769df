//! HOW IT IS RUN: containers, networks and the proxy. It names `events` and `config` and knows
//! nothing of channels or conversations, so that it is usable alone.
//!
//! The proxy's own files (`proxy`) are also built without the gateway, into `airut-proxy`.

#[cfg(feature = "gateway")]
pub mod agent;
#[cfg(feature = "gateway")]
pub mod allowlist_file;
#[cfg(feature = "gateway")]
pub mod credentials;
#[cfg(feature = "gateway")]
pub mod cut;
#[cfg(feature = "gateway")]
pub mod git;
#[cfg(feature = "gateway")]
pub mod github;
#[cfg(feature = "gateway")]
pub mod https;
#[cfg(feature = "gateway")]
pub mod link_server;
#[cfg(feature = "gateway")]
pub mod mirrors;
#[cfg(feature = "gateway")]
pub mod podman;
#[cfg(feature = "gateway")]
pub mod podman_sandbox;
#[cfg(feature = "gateway")]
pub mod port;
#[cfg(feature = "gateway")]
pub mod process;
pub mod proxy;
#[cfg(feature = "gateway")]
pub mod recorder;
