//! WHAT IS WANTED: the operator's configuration, checked once at the edge and then passed parsed.
//! It names nothing of ours but the ids.
//!
//! Pure: [`types`], [`yaml`] (text to nodes with places), [`resolve`] (`!env` and `!var`),
//! [`section`] (keys and scalars, with errors that say where), [`read`] (nodes to [`types`]),
//! [`cron`] (when an expression is due). Shell: [`env`](mod@env), [`load`], [`zone`].

pub mod cron;
pub mod env;
pub mod load;
pub mod read;
pub mod resolve;
pub mod sandbox_file;
pub mod section;
pub mod types;
pub mod yaml;
pub mod zone;
