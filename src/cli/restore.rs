//! `airut restore`: puts a backup in the place of a log that is not there.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;

use crate::cli::backup::print_lacking;
use crate::cli::output::{Mark, Output};
use crate::cli::paths;
use crate::service::backup::{KeyChoice, restore};

/// Arguments of `airut restore`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The backup
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The log's private key, when the backup was made without it
    #[arg(long, value_name = "FILE", conflicts_with = "new_key")]
    key: Option<PathBuf>,
    /// Give the log another key because its own is lost; airut verify will say for ever that nobody
    /// vouched for it
    #[arg(long)]
    new_key: bool,
    /// Restore also when bodies are missing from the backup
    #[arg(long)]
    accept_loss: bool,
}

/// Restores, and says what came back.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let state = paths::directories().state;
    let choice = match &arguments.key {
        Some(file) => KeyChoice::File(file.clone()),
        None if arguments.new_key => KeyChoice::New,
        None => KeyChoice::Found,
    };
    let restoring = restore(&arguments.directory, &state, &choice, arguments.accept_loss);
    let restored = super::block_on(restoring)??;
    let (events, root) = (restored.events, BASE64_STANDARD.encode(restored.root.0));
    let words = format!("restored {events} events, root {root}, equal to the checkpoint");
    output.finding(Mark::Good, &words);
    print_lacking(&restored.lacking, *output);
    output.line(&format!("key     {}", restored.key));
    Ok(ExitCode::SUCCESS)
}
