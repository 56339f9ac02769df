//! The `airut-sandbox` program: `airut sandbox` under the name that CI jobs know.

use std::process::ExitCode;

fn main() -> ExitCode {
    airut::cli::sandbox_main()
}
