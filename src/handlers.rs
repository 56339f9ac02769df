//! WHAT TO DO NEXT: decisions are pure (`decide`, [`react`]), their siblings are the shell that
//! performs them. This room names no command line, and none of the other rooms names it.
//!
//! [`worker`] is the one loop: read the log, fold it, [`react`] to what is true now with
//! [`effect`]s, perform those, append their outcome, which comes back through the log.

pub mod barrier;
pub mod bodies;
pub mod channels;
pub mod effect;
pub mod forgetting;
pub mod intake;
pub mod memory;
pub mod operator;
pub mod perform;
pub mod ports;
pub mod react;
pub mod replies;
pub mod schedule;
pub mod setback;
pub mod snapshots;
pub mod standing;
pub mod tasks;
pub mod turns;
pub mod worker;
