//! `airut log`: work on the log itself, while no daemon runs.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::look;
use crate::service::surface::SledStore;

/// Arguments of `airut log`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Make the index again from the journal; the old one is kept beside it
    Rebuild {
        /// Take the journal as it is, also when events that were promised are missing
        #[arg(long)]
        accept_loss: bool,
    },
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Rebuild { accept_loss } => {
            let directory = look::log_directory(&paths::directories().state);
            if !directory.exists() {
                anyhow::bail!("there is no log at {}", directory.display());
            }
            let events = SledStore::rebuild(&directory, accept_loss)?;
            output.line(&format!("The index was made again: {events} events."));
        }
    }
    Ok(ExitCode::SUCCESS)
}
