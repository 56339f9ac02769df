//! The frame of a record, and the only file that calls rkyv.
