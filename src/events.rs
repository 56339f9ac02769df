//! WHAT HAPPENED: plain data, and the log that keeps it. This room names nothing else of ours.
//!
//! In reading order: [`id`] and the families, [`event`] (the catalogue), [`codec`] (their bytes),
//! [`log`] (the only doors to the store: append, read, subscribe), [`blobs`] (bodies), [`seal`],
//! [`keys`] and [`content`] (what can be erased, and how), [`tree`] and [`checkpoint`] (what makes a
//! change of the past visible).
#![warn(clippy::wildcard_enum_match_arm)]

pub mod blobs;
pub mod channel;
pub mod checkpoint;
pub mod codec;
pub mod container;
pub mod content;
pub mod conversation;
#[expect(
    missing_docs,
    reason = "rkyv copies no docs to the fields of archived enum variants"
)]
pub mod delivery;
pub mod event;
pub mod id;
pub mod keys;
pub mod log;
mod macros;
#[expect(
    missing_docs,
    reason = "rkyv copies no docs to the fields of archived enum variants"
)]
pub mod message;
pub mod proxy;
pub mod repository;
pub mod run;
#[expect(
    missing_docs,
    reason = "rkyv copies no docs to the fields of archived enum variants"
)]
pub mod schedule;
pub mod seal;
pub mod service;
pub mod task;
pub mod tree;

pub use event::{Event, Recorded};
