//! Backups of a log on a real disk: beside a writer, extended, interrupted, tampered with, restored.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the rules on processes and the environment are for the product"
)]

#[path = "backup/fixture.rs"]
mod fixture;
#[path = "backup/restoring.rs"]
mod restoring;
#[path = "backup/taking.rs"]
mod taking;
