//! How a task ends: judgement, answer, delivery and end in one append, so that exactly one answer is
//! ever recorded. Pure.

use std::collections::BTreeSet;

use crate::events::Event;
use crate::events::conversation::ReplyRecorded;
use crate::events::delivery::{AnswerTone, DeliveryKind};
use crate::events::id::{AtMs, BlobRef, ChannelKind, DeliveryId, SessionId, StoredFile, StreamId};
use crate::events::log::Append;
use crate::events::message::ReplyAddress;
use crate::events::run::RunOutcomeClassified;
use crate::events::task::{CompletionReason, TaskCompleted};
use crate::handlers::effect::Assignment;
use crate::handlers::replies::address::Marks;
use crate::handlers::tasks::answer::Answer;
use crate::handlers::tasks::begin::{Outgoing, context_of, request_delivery};
use crate::projections::usage::Spent;
use crate::projections::work_queue::{QueuedMessage, QueuedTask};

/// Characters of a task's detail that its end keeps; the rest is cut, since the end of a task must
/// always fit into the log.
pub const DETAIL_CHARS_MAX: usize = 2000;

/// What a task's end consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    /// The answer.
    pub answer: Answer,
    /// Its text with everything under it, kept.
    pub body: BlobRef,
    /// Files to attach, kept.
    pub files: Vec<StoredFile>,
    /// The judgement on the last run, if there was one.
    pub judgement: Option<RunOutcomeClassified>,
    /// The session the answer came from, if the agent named one.
    pub session: Option<SessionId>,
    /// What all runs of the task took.
    pub spent: Spent,
}

/// Returns the append that ends a task; `from` is the configured `From` of mails.
pub fn decide_conclusion(
    assignment: &Assignment,
    conclusion: Conclusion,
    from: &str,
    now: AtMs,
) -> Append {
    let task = &assignment.task;
    let mut events: Vec<(StreamId, Event)> = vec![];
    if let Some(judgement) = conclusion.judgement.clone() {
        events.push((StreamId::run(judgement.run), judgement.into()));
    }
    let stream = StreamId::conversation(task.conversation);
    events.push((stream, decide_reply(assignment, &conclusion).into()));
    let answered = task.messages.iter();
    let answered: Vec<&ReplyAddress> = answered.map(|message| &message.parsed.reply_to).collect();
    let marks = Marks {
        answered: &answered,
        tone: tone(&conclusion.answer.reason),
        title: title(assignment),
    };
    for (index, message) in (1..).zip(answered_messages(task)) {
        events.extend(request_delivery(Outgoing {
            task,
            message,
            delivery: DeliveryId::derive(task.task, "reply", index),
            kind: DeliveryKind::Reply,
            body: &conclusion.body,
            files: conclusion.files.clone(),
            marks,
            from,
            now,
        }));
    }
    let detail = conclusion.answer.detail.chars().take(DETAIL_CHARS_MAX);
    let completed = TaskCompleted {
        task: task.task,
        reason: conclusion.answer.reason,
        detail: detail.collect(),
        duration_ms: now.0.saturating_sub(task.queued_at.0),
    };
    events.push((StreamId::task(task.task), completed.into()));
    Append {
        expected: vec![],
        events,
        // A task ends once: a second end under this key is refused, whatever it says.
        key: Some(format!("completed:{}", task.task)),
        context: context_of(task, now),
    }
}

/// Returns what an answer tells that ends a task so.
pub fn tone(reason: &CompletionReason) -> AnswerTone {
    match reason {
        CompletionReason::Success => AnswerTone::Good,
        CompletionReason::InternalError => AnswerTone::Broken,
        CompletionReason::ExecutionFailed
        | CompletionReason::Timeout
        | CompletionReason::Stopped => AnswerTone::Failed,
    }
}

/// Returns what a conversation is called: its first request, said with the first answer only, so that
/// a later "thanks" does not rename it.
fn title(assignment: &Assignment) -> &str {
    let is_first = assignment.conversation.replies.is_empty();
    if is_first { &assignment.task.title } else { "" }
}

/// Returns the messages the answer is threaded under, the newest first: of each recipient the newest
/// one, so that everybody who wrote is answered, and nobody twice.
pub fn answered_messages(task: &QueuedTask) -> Vec<&QueuedMessage> {
    let mut recipients = BTreeSet::new();
    let newest = task.messages.iter().rev();
    newest
        .filter(|message| recipients.insert(recipient(&message.parsed.reply_to)))
        .collect()
}

/// Returns what tells recipients apart: the channel, and who or where in it.
fn recipient(reply_to: &ReplyAddress) -> (ChannelKind, String) {
    match reply_to {
        ReplyAddress::Email { to, .. } => (ChannelKind::Email, to.to_lowercase()),
        // Whoever waits at the socket reads the answer of the task.
        ReplyAddress::Local => (ChannelKind::Local, String::new()),
        ReplyAddress::Slack {
            channel, thread, ..
        } => (ChannelKind::Slack, format!("{channel}:{thread}")),
    }
}

fn decide_reply(assignment: &Assignment, conclusion: &Conclusion) -> ReplyRecorded {
    let replies = assignment.conversation.replies.len();
    ReplyRecorded {
        conversation: assignment.task.conversation,
        task: assignment.task.task,
        index: u32::try_from(replies + 1).unwrap_or(u32::MAX),
        session: conclusion.session.clone(),
        body: conclusion.body.clone(),
        files: conclusion.files.clone(),
        usage: conclusion.spent.usage,
        cost_microusd: conclusion.spent.cost_microusd,
        turns: conclusion.spent.turns,
        duration_ms: conclusion.spent.duration_ms,
        is_error: conclusion.answer.is_error(),
    }
}
