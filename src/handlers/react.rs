//! What there is to do, given what is true now. Pure: the same state and time give the same
//! effects. Effects that are being performed already are proposed again; the worker leaves them out.

use std::collections::{BTreeMap, BTreeSet};

use crate::events::id::{AtMs, ConversationId};
use crate::handlers::effect::{Assignment, Beginning, Effect, Start};
use crate::projections::outbox::{DeliveryState, Outgoing};
use crate::projections::state::State;
use crate::projections::work_queue::{QueuedTask, TaskState};

/// Messages judged at once; the others wait.
pub const TRIAGES_MAX: usize = 8;

/// Deliveries attempted at once; the others wait.
pub const DELIVERIES_MAX: usize = 32;

/// How much may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Tasks executing at once (`execution.max_concurrent`).
    pub tasks_max: usize,
    /// Whether further tasks may begin; not while the service drains.
    pub begins: bool,
}

/// Returns what there is to do.
pub fn react(state: &State, now: AtMs, capacity: Capacity) -> Vec<Effect> {
    let mut effects = react_to_messages(state);
    effects.extend(react_to_active_tasks(state));
    if capacity.begins {
        effects.extend(react_to_waiting_tasks(state, now, capacity.tasks_max));
    }
    effects.extend(react_to_outbox(state, now));
    effects
}

/// Returns the earliest later time at which there may be something else to do.
pub fn next_time(state: &State, now: AtMs) -> Option<AtMs> {
    let tasks = state
        .queue
        .tasks
        .values()
        .filter_map(|task| match task.state {
            TaskState::Waiting { not_before } => Some(not_before),
            TaskState::Running { .. } | TaskState::Concluding | TaskState::Abandoning => None,
        });
    let open = state.outbox.open();
    let deliveries = open.iter().filter_map(|outgoing| match outgoing.state {
        DeliveryState::Due { not_before } => Some(not_before),
        DeliveryState::Attempted | DeliveryState::Unknown { .. } => None,
    });
    tasks.chain(deliveries).filter(|at| *at > now).min()
}

fn react_to_messages(state: &State) -> Vec<Effect> {
    let waiting = state.inbox.waiting().into_iter().take(TRIAGES_MAX);
    waiting
        .map(|message| Effect::Triage(Box::new(message.clone())))
        .collect()
}

fn react_to_active_tasks(state: &State) -> Vec<Effect> {
    let mut tasks: Vec<&QueuedTask> = state.queue.tasks.values().collect();
    tasks.sort_by_key(|task| task.position);
    tasks
        .into_iter()
        .filter_map(|task| match task.state {
            TaskState::Waiting { .. } => None,
            TaskState::Running { cut_off } if cut_off || is_planned(task) => {
                Some(Effect::Interrupt(Box::new(task.clone())))
            }
            TaskState::Running { .. } => assign(state, task, Start::Run),
            TaskState::Concluding => assign(state, task, Start::Conclude),
            TaskState::Abandoning => assign(state, task, Start::GiveUp),
        })
        .collect()
}

/// Returns whether the agent of the newest execution may have begun: whoever executes the task then
/// is either still at it, or failed and must not begin it a second time under the same number.
fn is_planned(task: &QueuedTask) -> bool {
    task.run.is_some_and(|run| run.attempt >= task.started)
}

fn assign(state: &State, task: &QueuedTask, start: Start) -> Option<Effect> {
    let conversation = state.conversations.get(task.conversation)?;
    Some(Effect::Execute(Box::new(Assignment {
        task: task.clone(),
        conversation: conversation.clone(),
        start,
    })))
}

/// Begins tasks while there is room: one for each conversation that is free, in the order of their
/// oldest waiting task, so that no conversation overtakes another by writing more.
fn react_to_waiting_tasks(state: &State, now: AtMs, tasks_max: usize) -> Vec<Effect> {
    let room = tasks_max.saturating_sub(state.queue.executing());
    let mut bundles = waiting_by_conversation(state, now);
    bundles.sort_by_key(|bundle| bundle[0].position);
    let effects = bundles
        .into_iter()
        .filter_map(|bundle| begin(state, &bundle));
    effects.take(room).collect()
}

fn waiting_by_conversation(state: &State, now: AtMs) -> Vec<Vec<&QueuedTask>> {
    let tasks = state.queue.tasks.values();
    let busy: BTreeSet<ConversationId> = tasks
        .clone()
        .filter(|task| !task.is_waiting())
        .map(|task| task.conversation)
        .collect();
    let mut bundles: BTreeMap<ConversationId, Vec<&QueuedTask>> = BTreeMap::new();
    for task in tasks {
        let due = matches!(task.state, TaskState::Waiting { not_before } if not_before <= now);
        if due && !busy.contains(&task.conversation) {
            bundles.entry(task.conversation).or_default().push(task);
        }
    }
    let mut bundles: Vec<_> = bundles.into_values().collect();
    for bundle in &mut bundles {
        bundle.sort_by_key(|task| task.position);
    }
    bundles
}

fn begin(state: &State, bundle: &[&QueuedTask]) -> Option<Effect> {
    let (first, others) = bundle.split_first()?;
    if first.stop_requested_by.is_some() {
        return assign(state, first, Start::Stopped);
    }
    let unstopped = others
        .iter()
        .filter(|task| task.stop_requested_by.is_none());
    Some(Effect::Begin(Box::new(Beginning {
        task: (*first).clone(),
        coalesced: unstopped.map(|task| (*task).clone()).collect(),
        conversation: state.conversations.get(first.conversation)?.clone(),
    })))
}

fn react_to_outbox(state: &State, now: AtMs) -> Vec<Effect> {
    let open = state.outbox.open().into_iter();
    let effects = open.filter_map(|outgoing| react_to_delivery(outgoing, now));
    effects.take(DELIVERIES_MAX).collect()
}

fn react_to_delivery(outgoing: &Outgoing, now: AtMs) -> Option<Effect> {
    let outgoing = Box::new(outgoing.clone());
    match outgoing.state {
        DeliveryState::Due { not_before } if not_before > now => None,
        DeliveryState::Due { .. } => Some(Effect::Deliver(outgoing)),
        DeliveryState::Attempted => Some(Effect::ForgetAttempt(outgoing)),
        DeliveryState::Unknown { .. } => Some(Effect::Reconcile(outgoing)),
    }
}
