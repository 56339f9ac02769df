//! The task board as text. Pure.

use crate::projections::task_board::{Answer, Card, FrozenCard, Status, TaskBoard};
use crate::service::look::when::time;

/// Returns a line for each task, oldest first.
pub fn lines(board: &TaskBoard) -> Vec<String> {
    board.cards().into_iter().map(card_line).collect()
}

/// Returns a task's line.
pub fn card_line(card: &Card) -> String {
    let Card {
        task,
        conversation,
        sender,
        title,
        ..
    } = card;
    let (status, answer) = (status(card), answer(&card.answer));
    let frozen: String = card.frozen.iter().map(frozen).collect();
    let title = match card.forgotten {
        true => "(forgotten)".to_owned(),
        false => title.replace(char::is_control, " "),
    };
    format!("{task}  {conversation}  {status}{answer}{frozen}  {sender}  {title}")
}

fn frozen(frozen: &FrozenCard) -> String {
    let FrozenCard { run, container, .. } = frozen;
    format!(", frozen in {container} (airut stop {})", run.task)
}

fn status(card: &Card) -> String {
    match &card.status {
        Status::Queued => "queued".to_owned(),
        Status::Parked { cause, until } => format!("parked until {}: {cause}", time(*until)),
        Status::Coalesced { into } => format!("answered with {into}"),
        Status::Executing { .. } => format!("executing (attempt {})", card.attempts),
        Status::Completed { reason, detail } if detail.is_empty() => format!("{reason:?}"),
        Status::Completed { reason, detail } => format!("{reason:?}: {detail}"),
    }
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::None => String::new(),
        Answer::Sending => ", answer on its way".to_owned(),
        Answer::Sent {
            labelled_duplicate: false,
        } => ", answered".to_owned(),
        Answer::Sent {
            labelled_duplicate: true,
        } => ", answered (labelled a duplicate)".to_owned(),
        Answer::Abandoned { error } => format!(", answer given up: {error}"),
    }
}
