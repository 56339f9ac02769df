//! `airut schedule`: when a cron expression is due, and what the log says of the schedules. It needs no
//! configuration, and runs nothing.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::block_on;
use crate::cli::log_source::LogSource;
use crate::cli::output::Output;
use crate::service::look::when::When;
use crate::service::scheduling::{self, Due, Standing};
use crate::service::surface::Position;

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
    /// List the schedules in force: when each is due next, and what came of it last
    List(List),
}

#[derive(Debug, Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
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
        Command::List(list) => block_on(show(list, output))?,
    }
}

async fn show(list: &List, output: &Output) -> anyhow::Result<ExitCode> {
    let mut source = LogSource::open().await?;
    let mut standing = Standing::default();
    let mut read = Position(0);
    loop {
        let records = source.read(read).await?;
        let Some(last) = records.last() else { break };
        read = last.position;
        for record in &records {
            standing.take_in(&source.decode(record)?);
        }
    }
    source.close().await;
    let listed = standing.list(scheduling::shown());
    if list.json {
        output.line(&serde_json::to_string_pretty(&listed)?);
        return Ok(ExitCode::SUCCESS);
    }
    if listed.is_empty() {
        output.line("no schedule is in force");
    }
    for schedule in listed {
        let time =
            |due: Option<&Due>| due.map_or_else(|| "never".to_owned(), |due| due.local.clone());
        let line = format!(
            "{}/{}  {}  next {}  last {}: {}",
            schedule.repo,
            schedule.name,
            schedule.cron,
            time(schedule.next.as_ref()),
            time(schedule.last.as_ref()),
            schedule.outcome
        );
        if !output.line(&line) {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
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
