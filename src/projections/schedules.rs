//! Schedules: which are in force, up to which time they are dealt with, and what came of them last.
//! It knows no cron: when they are due next is decided in `handlers/schedule`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::events::delivery::DeliveryKind;
use crate::events::event::{DeliveryEvent, ScheduleEvent, ServiceEvent, TaskEvent};
use crate::events::id::{AtMs, ConversationId, DeliveryId, RepoId, TaskId};
use crate::events::schedule::{ScheduleFired, ScheduleInForce};
use crate::events::task::CompletionReason;
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// A jump back of the machine's clock, in milliseconds, after which schedules begin anew: whatever
/// they were dealt with up to was a time that the clock should never have shown. After a lesser one
/// each time still fires once, and those that the clock shows again do not.
pub const CLOCK_ERROR_MS: u64 = 24 * 60 * 60 * 1000;

/// What came of the time at which a schedule fired last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Its task waits or runs.
    Open,
    /// Its command had nothing to say.
    Silent,
    /// The task is over, and its answer is being sent.
    Sending {
        /// How the task ended.
        reason: CompletionReason,
    },
    /// The task is over, and its answer was sent.
    Sent {
        /// How the task ended.
        reason: CompletionReason,
    },
    /// The answer could not be sent, however the task ended.
    NotSent {
        /// How the task ended.
        reason: CompletionReason,
    },
}

impl Outcome {
    /// Returns whether it is what the schedule is for: an answer that told of no failure was sent, or
    /// there was nothing to say.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Sent { reason } => *reason == CompletionReason::Success,
            Self::Open | Self::Sending { .. } | Self::NotSent { .. } => false,
        }
    }

    fn reason(&self) -> CompletionReason {
        match self {
            Self::Sending { reason } | Self::Sent { reason } | Self::NotSent { reason } => {
                reason.clone()
            }
            Self::Open | Self::Silent => CompletionReason::Success,
        }
    }
}

/// A time at which a schedule fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fire {
    /// When it was due.
    pub slot: AtMs,
    /// How much later it fired.
    pub late_ms: u64,
    /// The task.
    pub task: TaskId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The exit code of its command, once that has ended.
    pub exit_code: Option<i32>,
    /// What came of it.
    pub outcome: Outcome,
}

/// A schedule in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// Its cron expression.
    pub cron: String,
    /// IANA name of its zone.
    pub zone: String,
    /// The time up to which it is dealt with.
    pub considered: AtMs,
    /// Tasks of it that are not over.
    pub open: BTreeSet<TaskId>,
    /// How often it fired.
    pub fired: u64,
    /// How many due times were passed over.
    pub missed: u64,
    /// When it fired last.
    pub last: Option<Fire>,
}

impl ScheduleState {
    fn new(in_force: &ScheduleInForce) -> Self {
        Self {
            cron: in_force.cron.clone(),
            zone: in_force.zone.clone(),
            considered: in_force.from,
            open: BTreeSet::new(),
            fired: 0,
            missed: 0,
            last: None,
        }
    }

    fn fire(&mut self, fired: &ScheduleFired) {
        self.considered = self.considered.max(fired.slot);
        self.fired += 1;
        self.open.insert(fired.task);
        self.last = Some(Fire {
            slot: fired.slot,
            late_ms: fired.late_ms,
            task: fired.task,
            conversation: fired.conversation,
            exit_code: None,
            outcome: Outcome::Open,
        });
    }
}

/// Whose task or delivery it is.
type Owner = (RepoId, String);

/// All schedules in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedules {
    by_repo: BTreeMap<RepoId, BTreeMap<String, ScheduleState>>,
    /// Tasks that are not over.
    tasks: BTreeMap<TaskId, Owner>,
    /// Answers without an end, and the task each is of.
    answers: BTreeMap<DeliveryId, (Owner, TaskId)>,
    /// How often schedules began anew because the clock had been wrong.
    turn: u32,
}

impl Schedules {
    /// Returns a schedule in force.
    pub fn get(&self, repo: &RepoId, name: &str) -> Option<&ScheduleState> {
        self.by_repo.get(repo)?.get(name)
    }

    /// Returns all of them, by repository and name.
    pub fn iter(&self) -> impl Iterator<Item = (&RepoId, &str, &ScheduleState)> {
        self.by_repo.iter().flat_map(|(repo, schedules)| {
            let named = schedules.iter();
            named.map(move |(name, state)| (repo, name.as_str(), state))
        })
    }

    /// Returns how often schedules began anew because the clock had been wrong: the same time fires
    /// once in each turn.
    pub fn turn(&self) -> u32 {
        self.turn
    }

    fn change(&mut self, (repo, name): &Owner, change: impl FnOnce(&mut ScheduleState)) {
        let schedules = self.by_repo.get_mut(repo);
        if let Some(state) = schedules.and_then(|schedules| schedules.get_mut(name)) {
            change(state);
        }
    }

    /// Changes what the schedule of a task knows of its last time, if that became this task.
    fn change_last(&mut self, owner: &Owner, task: TaskId, change: impl FnOnce(&mut Fire)) {
        self.change(owner, |state| {
            if let Some(last) = state.last.as_mut().filter(|last| last.task == task) {
                change(last);
            }
        });
    }

    fn begin_anew(&mut self, machine: AtMs) {
        self.turn += 1;
        for schedule in self.by_repo.values_mut().flat_map(BTreeMap::values_mut) {
            schedule.considered = schedule.considered.min(machine);
        }
    }

    fn apply_own(&mut self, event: &ScheduleEvent) {
        match event {
            ScheduleEvent::InForce(in_force) => {
                let (repo, name) = (in_force.repo.clone(), in_force.name.clone());
                let schedules = self.by_repo.entry(repo).or_default();
                let known = schedules.remove(&name);
                let mut state = ScheduleState::new(in_force);
                if let Some(known) = known {
                    let considered = known.considered.max(state.considered);
                    let (cron, zone) = (state.cron, state.zone);
                    state = ScheduleState {
                        cron,
                        zone,
                        considered,
                        ..known
                    };
                }
                schedules.insert(name, state);
            }
            ScheduleEvent::Withdrawn(withdrawn) => {
                if let Some(schedules) = self.by_repo.get_mut(&withdrawn.repo) {
                    schedules.remove(&withdrawn.name);
                }
                self.by_repo.retain(|_, schedules| !schedules.is_empty());
            }
            ScheduleEvent::Fired(fired) => {
                let owner = (fired.repo.clone(), fired.name.clone());
                self.change(&owner, |state| state.fire(fired));
                self.tasks.insert(fired.task, owner);
            }
            ScheduleEvent::SlotsMissed(missed) => {
                let owner = (missed.repo.clone(), missed.name.clone());
                self.change(&owner, |state| {
                    state.considered = state.considered.max(missed.last);
                    state.missed += u64::from(missed.count);
                });
            }
            ScheduleEvent::CommandEnded(ended) => {
                if let Some(owner) = self.tasks.get(&ended.task).cloned() {
                    self.change_last(&owner, ended.task, |last| {
                        last.exit_code = Some(ended.exit_code);
                    });
                }
            }
            ScheduleEvent::CameToNothing(nothing) => {
                let owner = (nothing.repo.clone(), nothing.name.clone());
                self.change_last(&owner, nothing.task, |last| last.outcome = Outcome::Silent);
            }
        }
    }

    fn complete(&mut self, task: TaskId, reason: &CompletionReason) {
        let Some(owner) = self.tasks.remove(&task) else {
            return;
        };
        self.change(&owner, |state| {
            state.open.remove(&task);
        });
        self.change_last(&owner, task, |last| {
            if last.outcome == Outcome::Open {
                let reason = reason.clone();
                last.outcome = Outcome::Sending { reason };
            }
        });
    }

    fn apply_delivery(&mut self, event: &DeliveryEvent) {
        match event {
            DeliveryEvent::Requested(request) if request.kind == DeliveryKind::Reply => {
                let Some(owner) = self.owner_of(request.task) else {
                    return;
                };
                // An answer that was refused with its files is sent once more without them.
                self.change_last(&owner, request.task, |last| {
                    if let Outcome::NotSent { reason } = last.outcome.clone() {
                        last.outcome = Outcome::Sending { reason };
                    }
                });
                self.answers.insert(request.delivery, (owner, request.task));
            }
            DeliveryEvent::Succeeded(succeeded) => self.end_answer(succeeded.delivery, true),
            DeliveryEvent::Abandoned(abandoned) => self.end_answer(abandoned.delivery, false),
            DeliveryEvent::Requested(_)
            | DeliveryEvent::Attempted(_)
            | DeliveryEvent::Failed(_)
            | DeliveryEvent::OutcomeUnknown(_)
            | DeliveryEvent::NotFound(_)
            | DeliveryEvent::CheckpointSent(_) => {}
        }
    }

    /// Returns whose task it is, as long as it is not over or is the newest one of its schedule.
    fn owner_of(&self, task: TaskId) -> Option<Owner> {
        let is_last = |state: &ScheduleState| state.last.as_ref().is_some_and(|l| l.task == task);
        let open = self.tasks.get(&task).cloned();
        open.or_else(|| {
            let mut all = self.iter();
            let (repo, name, _) = all.find(|(_, _, state)| is_last(state))?;
            Some((repo.clone(), name.to_owned()))
        })
    }

    fn end_answer(&mut self, delivery: DeliveryId, is_sent: bool) {
        let Some((owner, task)) = self.answers.remove(&delivery) else {
            return;
        };
        self.change_last(&owner, task, |last| {
            let reason = last.outcome.reason();
            last.outcome = if is_sent {
                Outcome::Sent { reason }
            } else {
                Outcome::NotSent { reason }
            };
        });
    }
}

impl Projection for Schedules {
    const NAME: &'static str = "schedules";
    const CODE_VERSION: u32 = 1;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Schedule(event) => self.apply_own(event),
            Event::Task(TaskEvent::Completed(completed)) => {
                self.complete(completed.task, &completed.reason);
            }
            Event::Delivery(event) => self.apply_delivery(event),
            Event::Service(ServiceEvent::ClockWentBack(back)) if back.by_ms >= CLOCK_ERROR_MS => {
                self.begin_anew(back.machine);
            }
            Event::Service(_)
            | Event::Task(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Message(_)
            | Event::Conversation(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Proxy(_) => {}
        }
    }
}
