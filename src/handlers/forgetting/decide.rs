//! Whether a conversation may be forgotten, and which ones are old enough. An active one never is.
//! Pure.

use crate::events::conversation::{ConversationForgetRequested, ForgetReason};
use crate::events::id::{Actor, AtMs, ConversationId, DeliveryId, StreamId, TaskId};
use crate::events::log::{Append, Context};
use crate::projections::conversations::Conversation;
use crate::projections::state::State;

/// The pause between two looks at which conversations are too old.
pub const RETENTION_PAUSE_MS: u64 = DAY_MS;

/// Conversations that one look asks to forget; of more the others' turn comes with the next round.
pub const RETENTION_MAX: usize = 100;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Why a conversation is not forgotten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgetRefusal {
    /// There is none, or it is forgotten already.
    #[error("there is no conversation {0} (see airut replay --view conversation)")]
    Unknown(ConversationId),
    /// It is active: a task waits or runs.
    #[error(
        "conversation {conversation} is active: task {task} waits or runs; stop it, or wait for its \
         answer"
    )]
    Busy {
        /// The conversation.
        conversation: ConversationId,
        /// Its task.
        task: TaskId,
    },
    /// It is active: an answer is on its way.
    #[error(
        "conversation {conversation} is active: message {delivery} is not delivered yet; wait until \
         it is, or is given up"
    )]
    Undelivered {
        /// The conversation.
        conversation: ConversationId,
        /// What is on its way.
        delivery: DeliveryId,
    },
    /// It could not be recorded.
    #[error("the request cannot be recorded: {0}")]
    Unrecorded(String),
    /// The worker has ended.
    #[error("the service ends")]
    Ending,
}

/// Says why a conversation is active; `is_busy` tells whether something is still being done for a
/// task, also after its end.
fn activity(
    state: &State,
    conversation: &Conversation,
    is_busy: &dyn Fn(TaskId) -> bool,
) -> Option<ForgetRefusal> {
    let id = conversation.id;
    let queued = state.queue.tasks.values();
    let mut queued = queued.filter(|task| task.conversation == id);
    let mut tasks = conversation.tasks.iter().copied();
    let task = queued
        .next()
        .map(|task| task.task)
        .or_else(|| tasks.find(|task| is_busy(*task)));
    if let Some(task) = task {
        let conversation = id;
        return Some(ForgetRefusal::Busy { conversation, task });
    }
    let open = state.outbox.open().into_iter();
    let mut open = open.filter(|outgoing| outgoing.request.conversation == id);
    open.next().map(|outgoing| ForgetRefusal::Undelivered {
        conversation: id,
        delivery: outgoing.request.delivery,
    })
}

/// Asks for a conversation to be forgotten, unless it is active; nothing when that is under way.
///
/// # Errors
/// [`ForgetRefusal`], which says why not.
pub fn decide_forget(
    state: &State,
    id: ConversationId,
    by: &str,
    is_busy: &dyn Fn(TaskId) -> bool,
    now: AtMs,
) -> Result<Option<Append>, ForgetRefusal> {
    if state.conversations.is_forgotten(id) {
        return Ok(None);
    }
    let conversation = state.conversations.get(id);
    let conversation = conversation.ok_or(ForgetRefusal::Unknown(id))?;
    match activity(state, conversation, is_busy) {
        Some(refusal) => Err(refusal),
        None => Ok(Some(request(conversation, ForgetReason::Operator, by, now))),
    }
}

/// Asks for the conversations to be forgotten in which nothing happened for `days_max` days, the
/// oldest first and at most [`RETENTION_MAX`]; never for an active one.
pub fn decide_retention(
    state: &State,
    days_max: u32,
    is_busy: &dyn Fn(TaskId) -> bool,
    now: AtMs,
) -> Vec<Append> {
    let age_max = u64::from(days_max) * DAY_MS;
    let is_old = |conversation: &&Conversation| {
        let age = now.0.saturating_sub(conversation.last_activity.0);
        age >= age_max && activity(state, conversation, is_busy).is_none()
    };
    let mut old: Vec<_> = state.conversations.iter().filter(is_old).collect();
    old.sort_by_key(|conversation| (conversation.last_activity, conversation.id));
    let asked = old.into_iter().take(RETENTION_MAX);
    asked
        .map(|conversation| request(conversation, ForgetReason::Retention, "", now))
        .collect()
}

fn request(conversation: &Conversation, reason: ForgetReason, by: &str, now: AtMs) -> Append {
    let id = conversation.id;
    let requested = ConversationForgetRequested {
        conversation: id,
        reason,
        by: by.to_owned(),
        last_activity: conversation.last_activity,
    };
    let actor = match reason {
        ForgetReason::Operator => Actor::Operator(by.to_owned()),
        ForgetReason::Retention | ForgetReason::Silent => Actor::System,
    };
    let context = Context {
        actor,
        correlation: id.to_string(),
        ..Context::system(now)
    };
    let stream = StreamId::conversation(id);
    Append::to(&stream, vec![requested.into()], context).once(format!("forget:{id}"))
}
