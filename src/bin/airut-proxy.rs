//! The `airut-proxy` program.

fn main() {}
