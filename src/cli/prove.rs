//! `airut prove`: prints a proof that others check with `airut-verify`, without the log.

use std::process::ExitCode;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::audit::Prover;
use crate::service::surface::Position;

/// Arguments of `airut prove`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Prove that the event at this position is in the log
    #[arg(required_unless_present = "consistency")]
    position: Option<u64>,
    /// In the log of the first SIZE events instead of all
    #[arg(long, value_name = "SIZE", conflicts_with = "consistency")]
    size: Option<u64>,
    /// Prove that the first OLD events are the beginning of the first NEW
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with = "position")]
    consistency: Option<Vec<u64>>,
}

/// Prints the proof.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let prover = Prover::read(&paths::directories().state)?;
    let proof = match (arguments.consistency.as_deref(), arguments.position) {
        (Some([old, new]), _) => prover.consistency(*old, *new)?,
        (_, Some(position)) => prover.inclusion(Position(position), arguments.size)?,
        (_, None) => anyhow::bail!("name a position, or two sizes with --consistency"),
    };
    output.line(proof.trim_end());
    Ok(ExitCode::SUCCESS)
}
