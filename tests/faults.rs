//! The daemon on disks and clocks that fail: full, read-only, broken, damaged, put back. Each fault is
//! a real one, and what is said of it is read as an operator reads it. Whatever `airut send` was told is
//! in the log afterwards, and the log verifies.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]
#![expect(
    clippy::disallowed_methods,
    reason = "the rules on processes and the environment are for the product"
)]

#[path = "faults/damage.rs"]
mod damage;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/ground.rs"]
mod ground;
#[path = "faults/nightly.rs"]
mod nightly;
#[path = "faults/time.rs"]
mod time;
