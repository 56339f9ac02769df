//! How a task begins: together with everything else its conversation waits for, and with a word to
//! the sender when the conversation is new. Pure.

use crate::events::Event;
use crate::events::conversation::ThreadLinked;
use crate::events::delivery::{DeliveryKind, DeliveryRequested};
use crate::events::id::{
    AtMs, BlobRef, ChannelKind, DeliveryId, Position, StoredFile, StreamId, TaskId,
};
use crate::events::log::{Append, Context, Expected};
use crate::events::task::{TaskCoalesced, TaskPhase, TaskPhaseEntered, TaskStarted};
use crate::handlers::effect::Beginning;
use crate::handlers::replies::address::{
    Envelope, Marks, channel_of, marked, new_mail, target, thread_key,
};
use crate::projections::conversations::Conversation;
use crate::projections::work_queue::{QueuedMessage, QueuedTask};

/// What the sender of a new conversation's first message is told (spec row EML-35).
pub fn acknowledgement_text(conversation_url: Option<&str>) -> String {
    let started = "I've started working on this and will reply shortly.";
    conversation_url.map_or_else(
        || started.to_owned(),
        |url| format!("{started}\n\nSee progress at {url}"),
    )
}

/// Returns whether the sender is told that the work has begun, or that it waits: once in a
/// conversation, and not somebody who waits at the socket, nor where nobody wrote.
pub fn is_acknowledged<'a>(
    conversation: &Conversation,
    mut tasks: impl Iterator<Item = &'a QueuedTask>,
) -> bool {
    let is_new = conversation.replies.is_empty() && conversation.channel != ChannelKind::Local;
    is_new && tasks.all(|task| task.attempt == 0 && !task.was_told && task.schedule.is_none())
}

/// Begins a task. `acknowledgement` is the text for the sender, kept; `from` is the configured
/// `From` of mails.
pub fn decide_begin(
    beginning: &Beginning,
    acknowledgement: Option<&BlobRef>,
    from: &str,
    now: AtMs,
) -> Append {
    let task = &beginning.task;
    let attempt = task.attempt + 1;
    let coalesced = beginning.coalesced.iter();
    let started = TaskStarted {
        task: task.task,
        attempt,
        coalesced: coalesced.clone().map(|other| other.task).collect(),
    };
    let preparing = TaskPhaseEntered {
        task: task.task,
        phase: TaskPhase::Preparing,
    };
    let stream = StreamId::task(task.task);
    let mut events: Vec<(StreamId, Event)> =
        vec![(stream.clone(), started.into()), (stream, preparing.into())];
    events.extend(coalesced.map(|other| coalesce(other.task, task.task)));
    let message = newest_message(beginning);
    if let (Some(body), Some(message)) = (acknowledgement, message) {
        events.extend(decide_acknowledgement(task, message, body, from, now));
    }
    Append {
        expected: expectations(beginning),
        events,
        key: Some(format!("started:{}.{attempt}", task.task)),
        context: context_of(task, now),
    }
}

fn newest_message(beginning: &Beginning) -> Option<&QueuedMessage> {
    let newest = beginning.coalesced.last().unwrap_or(&beginning.task);
    newest.newest_message()
}

fn coalesce(task: TaskId, into: TaskId) -> (StreamId, Event) {
    (StreamId::task(task), TaskCoalesced { task, into }.into())
}

/// Nobody may have begun, stopped or ended any of the tasks since they were looked at.
fn expectations(beginning: &Beginning) -> Vec<(StreamId, Expected)> {
    let tasks = std::iter::once(&beginning.task).chain(&beginning.coalesced);
    tasks
        .map(|task| (StreamId::task(task.task), Expected::Version(task.version)))
        .collect()
}

/// Returns the word that work begins, or waits: whichever comes first, and no other.
pub(super) fn decide_acknowledgement(
    task: &QueuedTask,
    message: &QueuedMessage,
    body: &BlobRef,
    from: &str,
    now: AtMs,
) -> Vec<(StreamId, Event)> {
    let delivery = DeliveryId::derive(task.task, "acknowledgement", 1);
    request_delivery(Outgoing {
        task,
        message,
        delivery,
        kind: DeliveryKind::Acknowledgement,
        body,
        files: vec![],
        // It answers nothing yet.
        marks: Marks::NONE,
        from,
        now,
    })
}

/// A message to be sent for a task.
pub(super) struct Outgoing<'a> {
    /// The task.
    pub(super) task: &'a QueuedTask,
    /// The message it answers.
    pub(super) message: &'a QueuedMessage,
    /// The delivery.
    pub(super) delivery: DeliveryId,
    /// What it is.
    pub(super) kind: DeliveryKind,
    /// Its text.
    pub(super) body: &'a BlobRef,
    /// Its files.
    pub(super) files: Vec<StoredFile>,
    /// What it does in Slack beside being read.
    pub(super) marks: Marks<'a>,
    /// The configured `From` of mails.
    pub(super) from: &'a str,
    /// The time.
    pub(super) now: AtMs,
}

/// Requests a delivery, and links the conversation to the thread it will stand in.
pub(super) fn request_delivery(outgoing: Outgoing<'_>) -> Vec<(StreamId, Event)> {
    let Outgoing { task, message, .. } = outgoing;
    let conversation = task.conversation;
    let envelope = Envelope {
        delivery: outgoing.delivery,
        conversation,
        subject: &message.parsed.subject,
        from: outgoing.from,
        at: outgoing.now,
    };
    // What stands for a schedule is no mail that could be answered.
    let target = match &task.schedule {
        Some(schedule) if schedule.fired.inbound == message.inbound => {
            new_mail(&schedule.fired.to, envelope)
        }
        Some(_) | None => target(&message.parsed.reply_to, envelope),
    };
    let target = marked(target, outgoing.marks);
    let channel = channel_of(&target);
    let link = thread_key(&target).map(|key| {
        let linked = ThreadLinked {
            conversation,
            channel,
            key,
        };
        (StreamId::conversation(conversation), linked.into())
    });
    let request = DeliveryRequested {
        delivery: outgoing.delivery,
        kind: outgoing.kind,
        repo: task.repo.clone(),
        channel,
        conversation,
        task: task.task,
        target,
        body: outgoing.body.clone(),
        files: outgoing.files,
    };
    let stream = StreamId::delivery(outgoing.delivery);
    link.into_iter().chain([(stream, request.into())]).collect()
}

/// The circumstances of everything the service does for a task.
pub fn context_of(task: &QueuedTask, now: AtMs) -> Context {
    Context {
        causation: Some(task.position).filter(|position| *position > Position(0)),
        correlation: task.conversation.to_string(),
        ..Context::system(now)
    }
}
