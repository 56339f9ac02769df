//! `airut events`: the log, a line for each event, or a form for programs.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::cli::format::{self, Format, chosen};
use crate::cli::log_source::LogSource;
use crate::cli::output::Output;
use crate::service::look::item::Item;
use crate::service::surface::{Position, Recorded, StoredRecord};

/// Longest payload in the form for people, in characters; the rest is left out.
const PAYLOAD_SHOWN_MAX: usize = 300;

/// Arguments of `airut events`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Begin with the event at this position; an export goes on from the one after its last
    #[arg(long, value_name = "POSITION", default_value_t = 1)]
    from: u64,
    /// Go on as events become durable (needs the daemon)
    #[arg(long)]
    follow: bool,
    /// The form
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The same as --format jsonl
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Prints events.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    super::block_on(print(arguments, *output))??;
    Ok(ExitCode::SUCCESS)
}

async fn print(arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let format = chosen(arguments.format, arguments.json, Format::Jsonl);
    if arguments.follow && format == Format::Json {
        anyhow::bail!("a log that is followed has no end, a JSON document has: use --format jsonl");
    }
    let mut source = if arguments.follow {
        // Never from disk: only a daemon adds to the log, and one that starts wants it for itself.
        LogSource::of_daemon().await?
    } else {
        LogSource::open().await?
    };
    let printed = print_from(arguments, format, &mut source, output).await;
    source.close().await;
    printed
}

async fn print_from(
    arguments: &Arguments,
    format: Format,
    source: &mut LogSource,
    output: Output,
) -> anyhow::Result<()> {
    let mut after = Position(arguments.from.saturating_sub(1));
    let head = source.head().await?;
    if after > head {
        let from = arguments.from;
        anyhow::bail!(
            "the log ends at position {head}, before position {from}: nothing is missing"
        );
    }
    let name = format::source_name(source, format).await?;
    let mut printer = Printer {
        format,
        source: name,
        output,
        printed: 0,
    };
    if arguments.follow {
        source.follow(after).await?;
    }
    loop {
        let records = match arguments.follow {
            true => source.next_records().await?,
            false => source.read(after).await?,
        };
        match printer.print(source, records)? {
            Some(last) => after = last,
            None => break,
        }
    }
    printer.end();
    Ok(())
}

/// Prints records in one form.
struct Printer {
    format: Format,
    source: String,
    output: Output,
    printed: u64,
}

impl Printer {
    /// Prints records and returns the last position; nothing when there were none or nobody reads.
    fn print(
        &mut self,
        source: &LogSource,
        records: Vec<StoredRecord>,
    ) -> anyhow::Result<Option<Position>> {
        let mut last = None;
        for record in records {
            let recorded = source.decode(&record)?;
            let line = match self.format {
                Format::Text => as_line(&recorded)?,
                Format::Json => format!("{}{}", self.before(), as_json(&recorded)?),
                Format::Jsonl => as_json(&recorded)?.to_string(),
                Format::Cloudevents => Item::event(&recorded)?
                    .cloud_event(&self.source)
                    .to_string(),
            };
            if !self.output.line(&line) {
                return Ok(None);
            }
            self.printed += 1;
            last = Some(recorded.position);
        }
        Ok(last)
    }

    /// What stands before an element of the document.
    fn before(&self) -> &'static str {
        if self.printed == 0 { "[" } else { "," }
    }

    /// Ends the document.
    fn end(&self) {
        if self.format == Format::Json {
            self.output.line(if self.printed == 0 { "[]" } else { "]" });
        }
    }
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
