//! `airut replay`: the task board and a conversation as they were at a position: the same
//! projections, fed up to there and no further.

use std::process::ExitCode;

use clap::Args;

use crate::cli::log_source::LogSource;
use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::look::{self, Replay};
use crate::service::surface::{
    Answer, Card, Conversation, ConversationId, Position, Status, Views, codec,
};

/// Arguments of `airut replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show what was true after the event at this position; without it, what is true now
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Show only this conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the board.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let to = Position(arguments.to.unwrap_or(u64::MAX));
    let replay = super::block_on(fold(to))??;
    if arguments
        .to
        .is_some_and(|to| replay.position() < Position(to))
    {
        anyhow::bail!("the log ends at position {}", replay.position());
    }
    if arguments.json {
        output.line(&serde_json::to_string_pretty(replay.views())?);
        return Ok(ExitCode::SUCCESS);
    }
    print(&replay, arguments.conversation, *output)
}

async fn fold(to: Position) -> anyhow::Result<Replay> {
    let mut source = LogSource::open().await?;
    let mut replay = Replay::default();
    'reading: loop {
        let records = source.read(replay.position()).await?;
        if records.is_empty() {
            break;
        }
        for record in records {
            if record.position > to {
                break 'reading;
            }
            replay.apply(&codec::decode(&record)?);
        }
    }
    source.close().await;
    Ok(replay)
}

fn print(
    replay: &Replay,
    only: Option<ConversationId>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let views = replay.views();
    let wanted = |id: ConversationId| only.is_none_or(|only| only == id);
    output.heading(&format!("Tasks at position {}", replay.position()));
    let cards = views.board.cards();
    for card in cards.iter().filter(|card| wanted(card.conversation)) {
        output.foreign(&format!("  {}", card_line(card)));
    }
    if cards.is_empty() {
        output.line("  none");
    }
    if let Some(id) = only {
        let conversation = views.state.conversations.get(id);
        let Some(conversation) = conversation else {
            anyhow::bail!(
                "at position {} there was no conversation {id}",
                replay.position()
            );
        };
        print_conversation(conversation, views, output);
    }
    Ok(ExitCode::SUCCESS)
}

fn card_line(card: &Card) -> String {
    let Card {
        task,
        conversation,
        sender,
        title,
        ..
    } = card;
    let status = match &card.status {
        Status::Queued => "queued".to_owned(),
        Status::Coalesced { into } => format!("answered with {into}"),
        Status::Executing { .. } => format!("executing (attempt {})", card.attempts),
        Status::Completed { reason, detail } if detail.is_empty() => format!("{reason:?}"),
        Status::Completed { reason, detail } => format!("{reason:?}: {detail}"),
    };
    let answer = match &card.answer {
        Answer::None => String::new(),
        Answer::Sending => ", answer on its way".to_owned(),
        Answer::Sent {
            labelled_duplicate: false,
        } => ", answered".to_owned(),
        Answer::Sent {
            labelled_duplicate: true,
        } => ", answered (labelled a duplicate)".to_owned(),
        Answer::Abandoned { error } => format!(", answer given up: {error}"),
    };
    let title = title.replace(char::is_control, " ");
    format!("{task}  {conversation}  {status}{answer}  {sender}  {title}")
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn print_conversation(conversation: &Conversation, views: &Views, output: Output) {
    let id = conversation.id;
    output.heading(&format!("Conversation {id}"));
    let Conversation {
        repo, owner, model, ..
    } = conversation;
    output.line(&format!(
        "  repository {repo}, begun by {owner}, model {model}"
    ));
    for (at, reply) in &conversation.replies {
        let dollars = reply.cost_microusd as f64 / 1e6;
        let kind = if reply.is_error {
            "error reply"
        } else {
            "reply"
        };
        let when = i64::try_from(at.0)
            .ok()
            .map(jiff::Timestamp::from_millisecond);
        let when = match when {
            Some(Ok(when)) => format!("{when:.0}"),
            Some(Err(_)) | None => format!("{at} ms"),
        };
        let (index, turns, bytes) = (reply.index, reply.turns, reply.body.bytes);
        output.line(&format!(
            "  {kind} {index} at {when}: {bytes} bytes, {turns} turns, ${dollars:.4}"
        ));
        match look::text(&paths::directories().state, &reply.body) {
            Ok(text) => output.foreign(&indented(&text)),
            Err(error) => output.line(&format!("    {error}")),
        };
    }
    let Some(lines) = views.network.lines(id) else {
        return;
    };
    output.heading("Network");
    for line in &lines.lines {
        output.foreign(&format!("  {line}"));
    }
}
