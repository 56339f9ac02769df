//! The `airut` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    airut::cli::main()
}
