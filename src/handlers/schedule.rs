//! Work that nobody writes for. [`timetable`] is what the configuration wants, [`decide`] what is due
//! of it; the worker fires that between two events, and from then on it is a task as any other.

pub mod decide;
pub mod timetable;
