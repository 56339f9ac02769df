//! `airut events`: the log, a line for each event, or JSON for programs.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::cli::log_source::LogSource;
use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::surface::{Client, Position, Recorded, StoredRecord, codec};

/// Longest payload in the form for people, in characters; the rest is left out.
const PAYLOAD_SHOWN_MAX: usize = 300;

/// Arguments of `airut events`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Begin with the event at this position
    #[arg(long, value_name = "POSITION", default_value_t = 1)]
    from: u64,
    /// Go on as events become durable (needs the daemon)
    #[arg(long)]
    follow: bool,
    /// Print each event as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Prints events.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    super::block_on(print(arguments, *output))??;
    Ok(ExitCode::SUCCESS)
}

async fn print(arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let mut after = Position(arguments.from.saturating_sub(1));
    if arguments.follow {
        // Never from disk: only a daemon adds to the log, and one that starts wants it for itself.
        let mut client = Client::connect(&paths::socket()).await?;
        client.follow(after).await?;
        while print_all(client.next_records().await?, arguments.json, output)?.is_some() {}
        return Ok(());
    }
    let mut source = LogSource::open().await?;
    while let Some(last) = print_all(source.read(after).await?, arguments.json, output)? {
        after = last;
    }
    source.close().await;
    Ok(())
}

/// Prints records and returns the last position; nothing when there were none or nobody reads.
fn print_all(
    records: Vec<StoredRecord>,
    json: bool,
    output: Output,
) -> anyhow::Result<Option<Position>> {
    let mut last = None;
    for record in records {
        let recorded = codec::decode(&record)?;
        let line = if json {
            as_json(&recorded)?.to_string()
        } else {
            as_line(&recorded)?
        };
        if !output.line(&line) {
            return Ok(None);
        }
        last = Some(recorded.position);
    }
    Ok(last)
}

/// Returns an event as JSON, the name of its kind as `type`.
fn as_json(recorded: &Recorded) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(recorded)?;
    value["type"] = recorded.event.name().into();
    Ok(value)
}

fn as_line(recorded: &Recorded) -> anyhow::Result<String> {
    let payload = serde_json::to_string(&recorded.event)?;
    let shown: String = payload.chars().take(PAYLOAD_SHOWN_MAX).collect();
    let cut = if shown.len() < payload.len() {
        "…"
    } else {
        ""
    };
    let at = jiff::Timestamp::from_millisecond(i64::try_from(recorded.at.0)?)?;
    let Recorded {
        position,
        stream,
        event,
        ..
    } = recorded;
    Ok(format!(
        "{position:>6}  {at:.3}  {:<26} {stream}  {shown}{cut}",
        event.name()
    ))
}
