//! Strictness in front of hyper's HTTP/1: every request head is read here first, as bytes, and hyper
//! sees it only if it can mean one thing. A head that two servers could cut apart differently is
//! never repaired (RFC 9112, 11.2). It knows nothing of rules, hosts or credentials.
//!
//! [`head`] and [`chunks`] are pure; [`stream`] is what hyper reads from.

pub mod chunks;
pub mod head;
pub mod stream;
pub mod verdicts;
