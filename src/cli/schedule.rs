//! `airut schedule`: when a cron expression is due. It needs no daemon and no configuration, and runs
//! nothing.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::output::Output;
use crate::service::look::when::When;
use crate::service::scheduling;

/// Most due times that are told at once.
const COUNT_MAX: u64 = 10_000;

/// Arguments of `airut schedule`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell when a cron expression is due next
    Next(Next),
}

#[derive(Debug, Args)]
struct Next {
    /// Five fields: minute, hour, day of month, month, day of week
    #[arg(value_name = "EXPR")]
    expression: String,
    /// The zone whose clocks count, by its IANA name; without it, this machine's
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Begin after this time (2026-11-24T14:03:00Z, or a local time); without it, now
    #[arg(long, value_name = "TIME")]
    after: Option<When>,
    /// How many times to tell
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=COUNT_MAX))]
    count: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Next(next) => tell(next, output),
    }
}

fn tell(next: &Next, output: &Output) -> anyhow::Result<ExitCode> {
    let count = usize::try_from(next.count)?;
    let times = scheduling::next(&next.expression, next.tz.as_deref(), next.after, count)?;
    if next.json {
        output.line(&serde_json::to_string_pretty(&times)?);
        return Ok(ExitCode::SUCCESS);
    }
    for due in times {
        let line = format!("{} {}  {}  {}", due.weekday, due.local, due.utc, due.zone);
        if !output.line(&line) {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}
