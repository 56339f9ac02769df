//! What there is to do, given what is true now. Pure: the same state and time give the same
//! effects; what is in the air already is neither proposed nor copied.

use std::collections::{BTreeMap, BTreeSet};

use crate::events::id::{AtMs, ConversationId};
use crate::handlers::effect::{Assignment, Beginning, Effect, Start, Subject};
use crate::handlers::replies::decide::{due_at, is_due};
use crate::projections::frozen_runs::FrozenRun;
use crate::projections::inbox::WaitingMessage;
use crate::projections::outbox::{DeliveryState, Outgoing};
use crate::projections::state::State;
use crate::projections::work_queue::{QueuedTask, TaskState};

/// Messages judged at once; the others wait.
pub const TRIAGES_MAX: usize = 8;

/// Deliveries attempted at once; the others wait.
pub const DELIVERIES_MAX: usize = 32;

/// Conversations forgotten at once; the others wait.
pub const FORGETS_MAX: usize = 2;

/// Messages of a conversation that are answered together; the others are the next task's.
pub const BUNDLE_MESSAGES_MAX: usize = 64;

/// How much may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Tasks executing at once (`execution.max_concurrent`).
    pub tasks_max: usize,
    /// Whether further tasks may begin; not while the service drains.
    pub begins: bool,
}

/// What is in the air: it is not proposed, and not even copied.
#[derive(Debug, Default)]
pub struct Airborne<'a> {
    /// What is being performed; it takes a place.
    pub performing: BTreeSet<Subject>,
    /// What failed and is not tried again yet; it takes no place.
    pub paused: BTreeSet<Subject>,
    /// What was performed last; the same effect once more would be a repetition.
    pub performed: BTreeMap<Subject, &'a Effect>,
}

impl Airborne<'_> {
    fn holds(&self, subject: Subject) -> bool {
        self.performing.contains(&subject) || self.paused.contains(&subject)
    }

    fn has_performed(&self, effect: &Effect) -> bool {
        self.performed.get(&effect.subject()) == Some(&effect)
    }

    fn places(&self, max: usize, takes_one: impl Fn(&Subject) -> bool) -> usize {
        let taken = self.performing.iter().filter(|subject| takes_one(subject));
        max.saturating_sub(taken.count())
    }
}

/// Returns what there is to do beside what is in the air.
pub fn react(state: &State, now: AtMs, capacity: Capacity, airborne: &Airborne<'_>) -> Vec<Effect> {
    let mut effects = react_to_messages(state, airborne);
    effects.extend(react_to_active_tasks(state, now, airborne));
    if capacity.begins {
        let tasks_max = capacity.tasks_max;
        effects.extend(react_to_waiting_tasks(state, now, tasks_max, airborne));
    }
    effects.extend(react_to_outbox(state, now, airborne));
    effects.extend(react_to_forgetting(state, airborne));
    effects.extend(react_to_frozen_runs(state, now, airborne));
    effects
}

/// Returns the earliest later time at which there may be something else to do.
pub fn next_time(state: &State, now: AtMs) -> Option<AtMs> {
    let tasks = state.queue.tasks.values().map(|task| match task.state {
        TaskState::Waiting { not_before } => not_before,
        TaskState::Running { .. } | TaskState::Concluding | TaskState::Abandoning => task.retry_at,
    });
    let open = state.outbox.open();
    let deliveries = open.iter().filter_map(|outgoing| due_at(outgoing));
    let frozen = state.frozen.all().map(|frozen| frozen.kept_until);
    let times = tasks.chain(deliveries).chain(frozen);
    times.filter(|at| *at > now).min()
}

fn react_to_messages(state: &State, airborne: &Airborne<'_>) -> Vec<Effect> {
    let subject = |message: &&WaitingMessage| Subject::Message(message.received.inbound);
    let waiting = state.inbox.waiting().into_iter();
    let due = waiting.filter(|message| !airborne.holds(subject(message)));
    let effects = due.map(|message| Effect::Triage(Box::new(message.clone())));
    let is_message = |subject: &Subject| matches!(subject, Subject::Message(_));
    effects
        .filter(|effect| !airborne.has_performed(effect))
        .take(airborne.places(TRIAGES_MAX, is_message))
        .collect()
}

fn react_to_active_tasks(state: &State, now: AtMs, airborne: &Airborne<'_>) -> Vec<Effect> {
    let is_due = |task: &&QueuedTask| {
        !task.is_waiting() && task.retry_at <= now && !airborne.holds(Subject::Task(task.task))
    };
    let mut tasks: Vec<&QueuedTask> = state.queue.tasks.values().filter(is_due).collect();
    tasks.sort_by_key(|task| task.position);
    let effects = tasks.into_iter().filter_map(|task| match task.state {
        TaskState::Waiting { .. } => None,
        TaskState::Running { cut_off } if cut_off || is_planned(task) => {
            Some(Effect::Interrupt(Box::new(task.clone())))
        }
        TaskState::Running { .. } => assign(state, task, Start::Run),
        TaskState::Concluding => assign(state, task, Start::Conclude),
        TaskState::Abandoning => assign(state, task, Start::GiveUp),
    });
    effects
        .filter(|effect| !airborne.has_performed(effect))
        .collect()
}

/// Returns whether the agent of the newest execution may have begun: whoever executes the task then
/// is either still at it, or failed and must not begin it a second time under the same number.
fn is_planned(task: &QueuedTask) -> bool {
    task.run.is_some_and(|run| run.attempt >= task.started)
}

fn assign(state: &State, task: &QueuedTask, start: Start) -> Option<Effect> {
    let conversation = state.conversations.get(task.conversation)?;
    let messages = || task.messages.iter().map(|message| &message.parsed);
    Some(Effect::Execute(Box::new(Assignment {
        task: task.clone(),
        conversation: conversation.clone(),
        start,
        forgotten: state.conversations.forgotten_of(messages()),
        foreign: state
            .conversations
            .foreign_of(task.conversation, &task.repo, messages()),
    })))
}

/// Begins tasks while there is room: one for each conversation that is free, in the order of their
/// oldest waiting task, so that no conversation overtakes another by writing more.
fn react_to_waiting_tasks(
    state: &State,
    now: AtMs,
    tasks_max: usize,
    airborne: &Airborne<'_>,
) -> Vec<Effect> {
    // A task that is just beginning still counts as waiting, and takes a place already.
    let is_beginning = |subject: &Subject| match subject {
        Subject::Task(task) => state
            .queue
            .tasks
            .get(task)
            .is_some_and(QueuedTask::is_waiting),
        Subject::Message(_)
        | Subject::Delivery(_)
        | Subject::Conversation(_)
        | Subject::Frozen(_) => false,
    };
    let room = tasks_max.saturating_sub(state.queue.executing());
    let mut bundles = waiting_by_conversation(state, now, airborne);
    bundles.sort_by_key(|bundle| bundle[0].position);
    let effects = bundles
        .into_iter()
        .filter_map(|bundle| begin(state, &bundle));
    effects
        .filter(|effect| !airborne.has_performed(effect))
        .take(airborne.places(room, is_beginning))
        .collect()
}

fn waiting_by_conversation<'a>(
    state: &'a State,
    now: AtMs,
    airborne: &Airborne<'_>,
) -> Vec<Vec<&'a QueuedTask>> {
    let tasks = state.queue.tasks.values();
    let busy: BTreeSet<ConversationId> = tasks
        .clone()
        .filter(|task| !task.is_waiting() || airborne.holds(Subject::Task(task.task)))
        .map(|task| task.conversation)
        .collect();
    let mut bundles: BTreeMap<ConversationId, Vec<&QueuedTask>> = BTreeMap::new();
    for task in tasks {
        let due = match task.state {
            TaskState::Waiting { not_before } => {
                not_before <= now || task.stop_requested_by.is_some()
            }
            TaskState::Running { .. } | TaskState::Concluding | TaskState::Abandoning => false,
        };
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
    let mut messages = first.messages.len();
    let unstopped = others
        .iter()
        .filter(|task| task.stop_requested_by.is_none())
        .take_while(|task| {
            messages += task.messages.len();
            messages <= BUNDLE_MESSAGES_MAX
        });
    Some(Effect::Begin(Box::new(Beginning {
        task: (*first).clone(),
        coalesced: unstopped.map(|task| (*task).clone()).collect(),
        conversation: state.conversations.get(first.conversation)?.clone(),
    })))
}

fn react_to_outbox(state: &State, now: AtMs, airborne: &Airborne<'_>) -> Vec<Effect> {
    let subject = |outgoing: &&Outgoing| Subject::Delivery(outgoing.request.delivery);
    let open = state.outbox.open().into_iter();
    let due = open.filter(|outgoing| !airborne.holds(subject(outgoing)));
    let effects = due.filter_map(|outgoing| react_to_delivery(outgoing, now));
    let is_delivery = |subject: &Subject| matches!(subject, Subject::Delivery(_));
    effects
        .filter(|effect| !airborne.has_performed(effect))
        .take(airborne.places(DELIVERIES_MAX, is_delivery))
        .collect()
}

fn react_to_forgetting(state: &State, airborne: &Airborne<'_>) -> Vec<Effect> {
    let asked = state.conversations.forgetting();
    let due = asked.filter(|forgetting| !airborne.holds(Subject::Conversation(forgetting.id)));
    let effects = due.map(|forgetting| Effect::Forget(Box::new(forgetting.clone())));
    let is_conversation = |subject: &Subject| matches!(subject, Subject::Conversation(_));
    effects
        .filter(|effect| !airborne.has_performed(effect))
        .take(airborne.places(FORGETS_MAX, is_conversation))
        .collect()
}

/// Lets go what somebody asked for, and what was kept long enough.
fn react_to_frozen_runs(state: &State, now: AtMs, airborne: &Airborne<'_>) -> Vec<Effect> {
    let is_due = |frozen: &&FrozenRun| {
        let released = frozen.release_requested_by.is_some() || frozen.kept_until <= now;
        released && !airborne.holds(Subject::Frozen(frozen.run))
    };
    let due = state.frozen.all().filter(is_due);
    due.map(|frozen| Effect::Release(Box::new(frozen.clone())))
        .filter(|effect| !airborne.has_performed(effect))
        .collect()
}

fn react_to_delivery(outgoing: &Outgoing, now: AtMs) -> Option<Effect> {
    let copied = || Box::new(outgoing.clone());
    match outgoing.state {
        DeliveryState::Due { .. } if !is_due(outgoing, now) => None,
        DeliveryState::Due { .. } => Some(Effect::Deliver(copied())),
        DeliveryState::Attempted => Some(Effect::ForgetAttempt(copied())),
        DeliveryState::Unknown { .. } => Some(Effect::Reconcile(copied())),
    }
}
