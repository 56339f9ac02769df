//! Work that nobody writes for: when it is due. It knows no clock; times come in as arguments.

pub mod cron;
pub mod zone;
