//! `airut log`: work on the log itself.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::output::Output;
use crate::cli::{paths, upgrade};
use crate::config::env;
use crate::service::look;
use crate::service::rotate::rotate_key;
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
    /// Let a new key sign from now on; the log says so, signed by the old one
    RotateKey,
    /// Say what this version of Airut changes in a log of another one, and make it ready; the old
    /// daemon may go on meanwhile
    Upgrade(upgrade::Arguments),
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let state = paths::directories().state;
    let directory = look::log_directory(&state);
    if !directory.exists() {
        anyhow::bail!("there is no log at {}", directory.display());
    }
    match arguments.command {
        Command::Rebuild { accept_loss } => {
            let events = SledStore::rebuild(&directory, accept_loss)?;
            output.line(&format!("The index was made again: {events} events."));
        }
        Command::Upgrade(arguments) => return upgrade::run(arguments, *output),
        Command::RotateKey => {
            let operator = env::get("USER").unwrap_or_else(|| "unknown".to_owned());
            let (old, new) = super::block_on(rotate_key(&state, operator))??;
            output.line(&format!("old key  {old}"));
            output.line(&format!("new key  {new}"));
            output.line("Give the new key to whoever checks this log.");
        }
    }
    Ok(ExitCode::SUCCESS)
}
