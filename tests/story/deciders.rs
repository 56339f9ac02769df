//! Decisions by themselves: given what is true, this is decided, and that is refused.
