//! The `airut` program.

fn main() {}
