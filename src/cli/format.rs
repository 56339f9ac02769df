//! The forms that programs read: JSON, a line of JSON each, or CloudEvents.

use clap::ValueEnum;
use serde_json::Value;

use crate::cli::log_source::LogSource;
use crate::cli::output::Output;
use crate::service::look::item::{self, Item};
use crate::service::surface::Position;

/// In which form things are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// A line of JSON for each thing
    Jsonl,
    /// A line for each thing: CloudEvents 1.0 in their JSON form
    Cloudevents,
}

/// Returns the form that the options ask for.
pub(super) fn chosen(format: Option<Format>, json: bool, json_means: Format) -> Format {
    let plain = if json { json_means } else { Format::Text };
    format.unwrap_or(plain)
}

/// Returns what a log is called in CloudEvents; asked only where they are wanted.
pub(super) async fn source_name(source: &mut LogSource, format: Format) -> anyhow::Result<String> {
    if format != Format::Cloudevents {
        return Ok(String::new());
    }
    let records = source.read(Position(0)).await?;
    Ok(records.first().map(item::source_of).unwrap_or_default())
}

/// Prints items, a line each; returns whether somebody still reads.
pub(super) fn print(items: &[Item], format: Format, source: &str, output: Output) -> bool {
    items.iter().all(|item| {
        let line: Value = match format {
            Format::Cloudevents => item.cloud_event(source),
            Format::Text | Format::Json | Format::Jsonl => item.line(),
        };
        output.foreign(&line.to_string())
    })
}
