//! What a command does: it stops tasks, chooses a model, or tells how the work stands. One that
//! leaves no work is answered [`at_once`](super::at_once). Pure.

use crate::events::Event;
use crate::events::conversation::ConversationModelChosen;
use crate::events::id::{AtMs, ConversationId, StreamId};
use crate::events::message::MessageReceived;
use crate::events::task::{TaskCommandGiven, TaskStopRequested};
use crate::handlers::channels::Triaged;
use crate::handlers::intake::command::Command;
use crate::projections::civil::iso_seconds;
use crate::projections::conversations::Conversation;
use crate::projections::state::State;
use crate::projections::work_queue::QueuedTask;

/// Tasks that an answer names; of more, the number is told.
const NAMED_MAX: usize = 10;

/// A command with the message it stands in.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// What is asked for.
    pub command: &'a Command,
    /// The message.
    pub received: &'a MessageReceived,
    /// What it says.
    pub triaged: &'a Triaged,
    /// The conversation it continues or begins.
    pub conversation: ConversationId,
}

impl Order<'_> {
    /// Returns the answer to a command that leaves no work, as Markdown.
    pub fn answer(&self, state: &State) -> String {
        match self.command {
            Command::Stop => self.answer_stop(state),
            Command::Status => self.answer_status(state),
            Command::Model(name) => format!(
                "From now on this conversation uses the model `{name}`. If the agent does not know \
                 it, the next answer says so; choose another one with `/model NAME` then."
            ),
            Command::ModelUnnamed => {
                "Say which model: the first line `/model NAME` with one name, \
                                      for example `/model opus`. Nothing was changed."
                    .to_owned()
            }
        }
    }

    fn answer_stop(&self, state: &State) -> String {
        let tasks = tasks_of(state, self.conversation);
        if tasks.is_empty() {
            return "Nothing runs or waits in this conversation, so nothing was stopped."
                .to_owned();
        }
        format!(
            "These are being stopped, and each is answered by itself:\n\n{}",
            listed(&tasks)
        )
    }

    fn answer_status(&self, state: &State) -> String {
        let tasks = tasks_of(state, self.conversation);
        let mut text = if tasks.is_empty() {
            "Nothing runs or waits in this conversation.".to_owned()
        } else {
            format!("In this conversation:\n\n{}", listed(&tasks))
        };
        if let Some(known) = state.conversations.get(self.conversation) {
            text = format!("{text}\n\n{}", standing(known));
        }
        let (executing, waiting) = (state.queue.executing(), state.queue.waiting());
        text + &format!("\n\nIn the whole service {executing} tasks run and {waiting} wait.")
    }

    /// Returns the events of the command itself: beside those that take its message in.
    pub fn decide(&self, state: &State) -> Vec<(StreamId, Event)> {
        let task = self.received.inbound.task();
        let by = &self.triaged.identity;
        let given = TaskCommandGiven {
            task,
            command: self.command.to_string(),
            by: by.clone(),
        };
        let mut events: Vec<(StreamId, Event)> = vec![(StreamId::task(task), given.into())];
        match self.command {
            Command::Stop => events.extend(decide_stops(state, self.conversation, by)),
            Command::Model(model) => {
                let chosen = ConversationModelChosen {
                    conversation: self.conversation,
                    model: model.clone(),
                    by: by.clone(),
                };
                let stream = StreamId::conversation(self.conversation);
                events.push((stream, chosen.into()));
            }
            Command::Status | Command::ModelUnnamed => {}
        }
        events
    }
}

fn decide_stops(
    state: &State,
    conversation: ConversationId,
    by: &str,
) -> impl Iterator<Item = (StreamId, Event)> {
    let tasks = tasks_of(state, conversation).into_iter();
    let by = by.to_owned();
    tasks.map(move |task| {
        let requested = TaskStopRequested {
            task: task.task,
            by: by.clone(),
        };
        (StreamId::task(task.task), requested.into())
    })
}

/// What is known of a conversation beside its tasks.
fn standing(known: &Conversation) -> String {
    // Rounded to ten-thousandths, in whole numbers.
    let cost = (known.cost_microusd() + 50) / 100;
    let last = known.replies.last();
    let last = last.map_or_else(|| "none yet".to_owned(), |(at, _)| time(*at));
    let (dollars, rest) = (cost / 10_000, cost % 10_000);
    let model = &known.model;
    format!("Model: `{model}`  \nCost so far: ${dollars}.{rest:04}  \nLast answer: {last}")
}

/// Returns what a conversation is busy with or waits for, oldest first.
fn tasks_of(state: &State, conversation: ConversationId) -> Vec<&QueuedTask> {
    let tasks = state.queue.tasks.values();
    let mut tasks: Vec<_> = tasks
        .filter(|task| task.conversation == conversation)
        .collect();
    tasks.sort_by_key(|task| task.position);
    tasks
}

fn listed(tasks: &[&QueuedTask]) -> String {
    let line = |task: &&QueuedTask| {
        let state = if task.is_waiting() { "waits" } else { "runs" };
        let title = task.title.replace('`', "'");
        format!("* `{title}` {state}, received {}", time(task.queued_at))
    };
    let mut lines: Vec<String> = tasks.iter().take(NAMED_MAX).map(line).collect();
    if tasks.len() > NAMED_MAX {
        lines.push(format!("* and {} more", tasks.len() - NAMED_MAX));
    }
    lines.join("\n")
}

fn time(at: AtMs) -> String {
    format!("{} UTC", iso_seconds(at).replace('T', " "))
}
