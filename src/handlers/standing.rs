//! How each task stands that has no answer yet: what it does, or what keeps it, by the names of its
//! holds. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::id::{AtMs, ConversationId, RepoId, TaskId};
use crate::handlers::react::Airborne;
use crate::handlers::turns::{Capacity, Hold, turns};
use crate::projections::state::State;
use crate::projections::work_queue::{QueuedTask, TaskState};

/// A task without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStanding {
    /// The task.
    pub task: TaskId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its repository.
    pub repo: RepoId,
    /// Who asked for it.
    pub sender: String,
    /// Subject or first words.
    pub title: String,
    /// When it was queued.
    pub queued_at: AtMs,
    /// Whether it is being worked on.
    pub runs: bool,
    /// What it waits for, by name; nothing when it runs or is about to.
    pub holds: Vec<String>,
    /// Not before this time does it begin, if it is put off or parked.
    pub until: Option<AtMs>,
    /// Why it is parked.
    pub parked: Option<String>,
    /// Who asked for it to be stopped.
    pub stop_requested_by: Option<String>,
}

/// Returns how all tasks stand, the oldest first.
pub fn standings(
    state: &State,
    now: AtMs,
    capacity: Capacity,
    airborne: &Airborne<'_>,
) -> Vec<TaskStanding> {
    let turns = turns(state, now, capacity, airborne);
    let held = turns.iter().flat_map(|turn| {
        let tasks = turn.tasks.iter();
        tasks.map(|task| (task.task, turn.holds.as_slice()))
    });
    let held: BTreeMap<TaskId, &[Hold]> = held.collect();
    let mut tasks: Vec<&QueuedTask> = state.queue.tasks.values().collect();
    tasks.sort_by_key(|task| task.position);
    let standings = tasks
        .into_iter()
        .map(|task| standing(task, held.get(&task.task).copied().unwrap_or_default()));
    standings.collect()
}

fn standing(task: &QueuedTask, holds: &[Hold]) -> TaskStanding {
    let until = match task.state {
        TaskState::Waiting { not_before } => Some(not_before).filter(|at| *at > AtMs(0)),
        TaskState::Running { .. } | TaskState::Concluding | TaskState::Abandoning => None,
    };
    TaskStanding {
        task: task.task,
        conversation: task.conversation,
        repo: task.repo.clone(),
        sender: task.sender.clone(),
        title: task.title.clone(),
        queued_at: task.queued_at,
        runs: !task.is_waiting(),
        holds: holds.iter().map(|hold| hold.name().to_owned()).collect(),
        until,
        parked: task.parked.clone(),
        stop_requested_by: task.stop_requested_by.clone(),
    }
}
