//! What a sender is told whose task waits for a place: once, and in place of the word that work has
//! begun. Pure.

use crate::events::Event;
use crate::events::id::{AtMs, BlobRef, StreamId};
use crate::events::log::{Append, Expected};
use crate::events::task::TaskHeld;
use crate::handlers::effect::Holding;
use crate::handlers::tasks::begin::{context_of, decide_acknowledgement};

/// Returns the words.
pub fn waiting_text(holding: &Holding) -> String {
    let others = match holding.others {
        1 => "one other task runs or waits".to_owned(),
        others => format!("{others} other tasks run or wait"),
    };
    let is_limit = |name: &str| holding.reasons.iter().any(|reason| reason == name);
    let why = if is_limit("sender") {
        " As many of your own tasks run as may at once."
    } else if is_limit("repository") {
        " As many tasks of this repository run as may at once."
    } else {
        ""
    };
    format!(
        "Your message is taken in and waits for its turn: {others} before it.{why} Work on it begins \
         by itself, and you will get the answer here. To withdraw it, reply with `/stop` as the first \
         line."
    )
}

/// Records that a task is held, and lets its sender be told; `body` is the kept text, `from` the
/// configured `From` of mails.
pub fn decide_holding(holding: &Holding, body: &BlobRef, from: &str, now: AtMs) -> Append {
    let task = &holding.task;
    let held = TaskHeld {
        task: task.task,
        reasons: holding.reasons.clone(),
        others: holding.others,
    };
    let stream = StreamId::task(task.task);
    let mut events: Vec<(StreamId, Event)> = vec![(stream.clone(), held.into())];
    if let Some(message) = task.newest_message() {
        events.extend(decide_acknowledgement(task, message, body, from, now));
    }
    Append {
        // Nobody may have begun or stopped it since it was looked at.
        expected: vec![(stream, Expected::Version(task.version))],
        events,
        key: Some(format!("held:{}", task.task)),
        context: context_of(task, now),
    }
}
