//! `airut checkpoint`: prints the log's size and root, signed, to be kept where nobody who can
//! change the log can reach it.

use std::process::ExitCode;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::audit::Prover;

/// Arguments of `airut checkpoint`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Of the first SIZE events instead of all
    #[arg(long, value_name = "SIZE")]
    size: Option<u64>,
}

/// Prints it.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let prover = Prover::read(&paths::directories().state)?;
    output.line(prover.checkpoint(arguments.size)?.trim_end());
    Ok(ExitCode::SUCCESS)
}
