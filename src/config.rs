//! WHAT IS WANTED: the operator's configuration, checked once at the edge and then passed parsed.
//! It names nothing of ours but the ids. [`types`] is pure; the shell around it reads files and
//! the environment.

pub mod types;
