//! `airut replay`: every view, a conversation or a task as it was at a moment: the same projections,
//! fed up to there and no further.

mod print;
mod reader;

use std::process::ExitCode;

use clap::Args;

use crate::cli::format::{Format, chosen};
use crate::cli::output::Output;
use crate::service::look::view::View;
use crate::service::look::when::When;
use crate::service::surface::{ConversationId, Subject, TaskId};

use print::Shown;
use reader::Reader;

/// Arguments of `airut replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show what was true then: after the event at a position (1200), or at a time
    /// (2026-11-24T14:03:00Z, or "2026-11-24 14:03" by this machine's clock); without it, now
    #[arg(long, visible_alias = "to", value_name = "MOMENT")]
    at: Option<When>,
    /// What to show
    #[arg(long, value_enum, default_value_t = View::Board)]
    view: View,
    /// Tell of this conversation: every message, what the agent said and did, each network decision
    #[arg(long, value_name = "ID", conflicts_with = "view")]
    conversation: Option<ConversationId>,
    /// Tell what this task could reach, who allowed it and what it sent
    #[arg(long, value_name = "ID", conflicts_with_all = ["view", "conversation"])]
    task: Option<TaskId>,
    /// Show what differs between two moments
    #[arg(
        long,
        num_args = 2,
        value_names = ["MOMENT", "MOMENT"],
        conflicts_with_all = ["at", "task", "conversation", "from"]
    )]
    diff: Vec<When>,
    /// Of a conversation, leave out what stands before this position
    #[arg(
        long,
        value_name = "POSITION",
        default_value_t = 1,
        requires = "conversation"
    )]
    from: u64,
    /// The form
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Prints what is asked for.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    super::block_on(replay(arguments, *output))??;
    Ok(ExitCode::SUCCESS)
}

async fn replay(arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let format = chosen(arguments.format, arguments.json, Format::Json);
    let subject = match (arguments.conversation, arguments.task) {
        (Some(conversation), _) => Some(Subject::Conversation(conversation)),
        (None, Some(task)) => Some(Subject::Task(task)),
        (None, None) => None,
    };
    let mut reader = Reader::open(subject, format).await?;
    let shown = show(arguments, subject, &mut reader).await;
    let source = reader.close().await;
    shown?.print(format, &source, output)
}

async fn show(
    arguments: &Arguments,
    subject: Option<Subject>,
    reader: &mut Reader,
) -> anyhow::Result<Shown> {
    if let [before, after] = arguments.diff.as_slice() {
        let before = reader
            .advance(Some(*before))
            .await?
            .snapshot(arguments.view)?;
        let after = reader
            .advance(Some(*after))
            .await?
            .snapshot(arguments.view)?;
        return Shown::difference(&before, &after);
    }
    let replay = reader.advance(arguments.at).await?;
    match subject {
        None => Ok(Shown::Views(replay.snapshot(arguments.view)?)),
        Some(subject) => Shown::subject(subject, replay, arguments.from),
    }
}
