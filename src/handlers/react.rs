//! What there is to do, given what is true now. Pure: the same state and time give the same
//! effects; what is in the air already is neither proposed nor copied.

use std::collections::{BTreeMap, BTreeSet};

use crate::events::id::AtMs;
use crate::handlers::effect::{Assignment, Beginning, Effect, Holding, Start, Subject};
use crate::handlers::replies::decide::{due_at, is_due};
use crate::handlers::tasks::begin::is_acknowledged;
use crate::handlers::turns::{Capacity, Turn, turns};
use crate::projections::frozen_runs::FrozenRun;
use crate::projections::inbox::WaitingMessage;
use crate::projections::outbox::{DeliveryState, Outgoing};
use crate::projections::state::State;
use crate::projections::work_queue::{QueuedTask, TaskState};

/// Messages judged at once; the others wait.
pub const TRIAGES_MAX: usize = 8;

/// Deliveries attempted at once; the others wait.
pub const DELIVERIES_MAX: usize = 32;

/// Senders told at once that their task waits; the others wait for that too.
pub const NOTICES_MAX: usize = 8;

/// Conversations forgotten at once; the others wait.
pub const FORGETS_MAX: usize = 2;

/// Messages of a conversation that are answered together; the others are the next task's.
pub const BUNDLE_MESSAGES_MAX: usize = 64;

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
    /// Returns whether nothing is to be done about a subject just now.
    pub fn holds(&self, subject: Subject) -> bool {
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
    effects.extend(react_to_stopped_tasks(state, airborne));
    effects.extend(react_to_waiting_tasks(state, now, capacity, airborne));
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
        TaskState::Running { .. } if task.stop_requested_by.is_some() => {
            assign(state, task, Start::Stopped)
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

/// Answers those that were stopped while they waited; that takes no place, and waits for none.
fn react_to_stopped_tasks(state: &State, airborne: &Airborne<'_>) -> Vec<Effect> {
    let is_stopped = |task: &&QueuedTask| {
        let stopped = task.is_waiting() && task.stop_requested_by.is_some();
        stopped && !airborne.holds(Subject::Task(task.task))
    };
    let mut tasks: Vec<_> = state.queue.tasks.values().filter(is_stopped).collect();
    tasks.sort_by_key(|task| task.position);
    let effects = tasks
        .into_iter()
        .filter_map(|task| assign(state, task, Start::Stopped));
    effects
        .filter(|effect| !airborne.has_performed(effect))
        .collect()
}

/// Begins the tasks whose turn it is, and tells the senders of the others that they wait.
fn react_to_waiting_tasks(
    state: &State,
    now: AtMs,
    capacity: Capacity,
    airborne: &Airborne<'_>,
) -> Vec<Effect> {
    let turns = turns(state, now, capacity, airborne);
    let (begins, kept): (Vec<_>, Vec<_>) = turns.iter().partition(|turn| turn.holds.is_empty());
    let begins = begins.into_iter().filter_map(|turn| begin(state, turn));
    let is_notice = |subject: &Subject| matches!(subject, Subject::Notice(_));
    let notices = airborne.places(NOTICES_MAX, is_notice);
    let holds = kept
        .into_iter()
        .filter_map(|turn| hold(state, turn, airborne));
    let holds = holds.filter(|effect| !airborne.has_performed(effect));
    begins
        .filter(|effect| !airborne.has_performed(effect))
        .chain(holds.take(notices))
        .collect()
}

fn begin(state: &State, turn: &Turn<'_>) -> Option<Effect> {
    let (first, others) = turn.tasks.split_first()?;
    let is_behind = |task: &&&QueuedTask| task.revision.is_some();
    if let Some(behind) = turn.tasks.iter().find(is_behind) {
        return Some(Effect::Revise(Box::new((*behind).clone())));
    }
    let mut messages = first.messages.len();
    let others = others.iter().take_while(|task| {
        messages += task.messages.len();
        messages <= BUNDLE_MESSAGES_MAX
    });
    Some(Effect::Begin(Box::new(Beginning {
        task: (*first).clone(),
        coalesced: others.map(|task| (*task).clone()).collect(),
        conversation: state.conversations.get(first.conversation)?.clone(),
    })))
}

/// Tells the sender of a new conversation, once, that it waits for a place.
fn hold(state: &State, turn: &Turn<'_>, airborne: &Airborne<'_>) -> Option<Effect> {
    let first = *turn.tasks.first()?;
    let waits_for_a_place = turn.holds.iter().all(|hold| hold.is_for_a_place());
    let conversation = state.conversations.get(first.conversation)?;
    let is_told = is_acknowledged(conversation, turn.tasks.iter().copied());
    if !waits_for_a_place || !is_told || airborne.holds(Subject::Notice(first.task)) {
        return None;
    }
    let before = |task: &&QueuedTask| !task.is_waiting() || task.position < first.position;
    let others = state.queue.tasks.values().filter(before).count();
    let reasons = turn.holds.iter().map(|hold| hold.name().to_owned());
    Some(Effect::Hold(Box::new(Holding {
        task: first.clone(),
        reasons: reasons.collect(),
        others: u32::try_from(others).unwrap_or(u32::MAX),
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
