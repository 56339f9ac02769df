//! `airut tasks`: the tasks of the running daemon that have no answer yet, and what each waits for.

use std::process::ExitCode;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::look::waiting::task_line;
use crate::service::surface::Client;

/// Arguments of `airut tasks`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print a line of JSON for each
    #[arg(long)]
    json: bool,
}

/// Prints them.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let asking = async { Client::connect(&paths::socket()).await?.tasks().await };
    let (tasks, left_out) = super::block_on(asking)??;
    for task in &tasks {
        let line = match arguments.json {
            true => serde_json::to_string(task)?,
            false => task_line(task),
        };
        if !output.foreign(&line) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    if tasks.is_empty() && !arguments.json {
        output.line("Nothing runs or waits.");
    }
    if left_out > 0 {
        output.note(&format!("{left_out} younger tasks are left out."));
    }
    Ok(ExitCode::SUCCESS)
}
