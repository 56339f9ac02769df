//! What a thread shows while its work goes on: that a message was seen, that a direct message is being
//! prepared, and the agent's plan (spec rows SLK-17 to SLK-19). It follows the log and says what is to
//! be shown; when a message is answered, the answer itself sets the last mark. Pure: time is given.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::events::event::{MessageEvent, TaskEvent};
use crate::events::id::{AtMs, ConversationId, InboundId, RepoId, TaskId};
use crate::events::message::ReplyAddress;
use crate::events::task::{TaskPhase, TodoItem};
use crate::events::{Event, Recorded};
use crate::handlers::channels::slack::plan;
use crate::handlers::replies::address::is_direct;
use crate::projections::work_queue::QueuedTask;

/// Most tasks that are followed at once; further ones show no progress, and are answered all the same.
const FOLLOWED_MAX: usize = 1_024;

/// Most messages that are remembered between their reading and their queueing, which is one append;
/// of more the first are forgotten.
const READ_MAX: usize = 256;

/// The shortest time between two edits of a plan, in milliseconds (spec row SLK-19).
pub const EDIT_PAUSE_MS: u64 = 1_000;

/// How often in a row a plan may fail to be shown; then it is not shown any more.
pub const PLAN_FAILURES_MAX: u32 = 5;

/// What a direct message's composer says while its work is prepared.
pub const PREPARING: &str = "is working on this...";

/// Where something is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Channel id.
    pub channel: String,
    /// `thread_ts`.
    pub thread: String,
}

impl Thread {
    /// Says whether it is a direct message; those have a status, and no marks.
    fn is_direct(&self) -> bool {
        is_direct(&self.channel)
    }
}

/// Something to show once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    /// A message was seen: it gets its mark.
    Seen {
        /// The task that it became.
        task: TaskId,
        /// Channel id.
        channel: String,
        /// The message.
        ts: String,
    },
    /// A message was answered while its mark was being set: the mark goes.
    Unseen {
        /// Channel id.
        channel: String,
        /// The message.
        ts: String,
    },
    /// The status of a direct message; an empty one takes it away.
    Status {
        /// Where.
        thread: Thread,
        /// What it says.
        status: &'static str,
    },
}

/// The next thing to do about a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanStep {
    /// It may have been posted before: look for it in its thread.
    Find(Thread),
    /// The body of `chat.postMessage`.
    Post(Value),
    /// The body of `chat.update`.
    Update(Value),
}

/// A task that is followed.
#[derive(Debug)]
struct Followed {
    conversation: ConversationId,
    thread: Thread,
    items: Vec<TodoItem>,
    is_over: bool,
    /// Whether what is shown is not the newest.
    is_stale: bool,
    /// The message with the plan.
    ts: Option<String>,
    /// Whether that message may be there without its `ts` being known.
    may_be_there: bool,
    not_before: AtMs,
    failures: u32,
}

/// What is followed for one repository.
#[derive(Debug)]
pub struct Progress {
    repo: RepoId,
    read: BTreeMap<InboundId, (Thread, String)>,
    followed: BTreeMap<TaskId, Followed>,
    shows: Vec<Show>,
    /// Messages whose mark is being set: the task that answers each, and whether it is over.
    marking: BTreeMap<TaskId, (TaskId, bool)>,
}

impl Progress {
    /// Follows the tasks that are in the queue already, whose plans may have been posted before.
    pub fn of(repo: RepoId, queued: &[QueuedTask]) -> Self {
        let mut progress = Self {
            repo,
            read: BTreeMap::new(),
            followed: BTreeMap::new(),
            shows: vec![],
            marking: BTreeMap::new(),
        };
        let ours = queued.iter().filter(|task| task.repo == progress.repo);
        let ours: Vec<_> = ours
            .filter_map(|task| {
                let message = task.messages.last()?;
                Some((task, place(&message.parsed.reply_to)?.0))
            })
            .collect();
        for (task, thread) in ours {
            progress.follow(task.task, task.conversation, thread, true);
        }
        progress
    }

    /// Takes an event in.
    pub fn observe(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Message(MessageEvent::Parsed(parsed)) => {
                if let Some(place) = place(&parsed.reply_to) {
                    self.read.insert(parsed.inbound, place);
                }
                if self.read.len() > READ_MAX {
                    self.read.pop_first();
                }
            }
            Event::Task(event) => self.observe_task(event),
            Event::Message(_)
            | Event::Service(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Conversation(_)
            | Event::Schedule(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Proxy(_)
            | Event::Delivery(_) => {}
        }
    }

    fn observe_task(&mut self, event: &TaskEvent) {
        match event {
            TaskEvent::Queued(queued) => {
                let Some((thread, ts)) = self.read.remove(&queued.inbound) else {
                    return;
                };
                if queued.repo != self.repo {
                    return;
                }
                let is_followed = self.followed.len() < FOLLOWED_MAX;
                if is_followed && !thread.is_direct() && !ts.is_empty() {
                    self.shows.push(Show::Seen {
                        task: queued.task,
                        channel: thread.channel.clone(),
                        ts,
                    });
                }
                self.follow(queued.task, queued.conversation, thread, false);
            }
            TaskEvent::Coalesced(coalesced) => {
                self.followed.remove(&coalesced.task);
                if let Some((answered_by, _)) = self.marking.get_mut(&coalesced.task) {
                    *answered_by = coalesced.into;
                }
            }
            TaskEvent::PhaseEntered(entered) => {
                let status = match entered.phase {
                    TaskPhase::Preparing => PREPARING,
                    TaskPhase::Running => "",
                };
                self.show_status(entered.task, status);
            }
            TaskEvent::TodoListUpdated(updated) => {
                if let Some(followed) = self.followed.get_mut(&updated.task) {
                    followed.items.clone_from(&updated.items);
                    followed.is_stale = true;
                }
            }
            TaskEvent::CommandGiven(given) => self.forget_seen(given.task),
            TaskEvent::Completed(completed) => {
                self.forget_seen(completed.task);
                for (answered_by, is_over) in self.marking.values_mut() {
                    *is_over |= *answered_by == completed.task;
                }
                self.end(completed.task);
            }
            TaskEvent::Started(_)
            | TaskEvent::StopRequested(_)
            | TaskEvent::Interrupted(_)
            | TaskEvent::RetryScheduled(_)
            | TaskEvent::Held(_)
            | TaskEvent::TurnedAway(_)
            | TaskEvent::Parked(_) => {}
        }
    }

    fn follow(&mut self, task: TaskId, conversation: ConversationId, at: Thread, is_old: bool) {
        if self.followed.len() >= FOLLOWED_MAX {
            return;
        }
        let followed = Followed {
            conversation,
            thread: at,
            items: vec![],
            is_over: false,
            is_stale: false,
            ts: None,
            may_be_there: is_old,
            not_before: AtMs(0),
            failures: 0,
        };
        self.followed.insert(task, followed);
    }

    fn show_status(&mut self, task: TaskId, status: &'static str) {
        let Some(followed) = self.followed.get(&task) else {
            return;
        };
        if followed.thread.is_direct() {
            let thread = followed.thread.clone();
            // Only the newest counts.
            self.shows.retain(
                |show| !matches!(show, Show::Status { thread: other, .. } if *other == thread),
            );
            self.shows.push(Show::Status { thread, status });
        }
    }

    /// What is answered already is not marked as seen.
    fn forget_seen(&mut self, of: TaskId) {
        self.shows
            .retain(|show| !matches!(show, Show::Seen { task, .. } if *task == of));
    }

    /// A plan is shown once more, without its buttons.
    fn end(&mut self, task: TaskId) {
        if let Some(followed) = self.followed.get_mut(&task) {
            let has_plan = !followed.items.is_empty() || followed.ts.is_some();
            followed.is_over = true;
            followed.is_stale = has_plan;
            if !has_plan {
                self.followed.remove(&task);
            }
        }
    }

    /// Takes the next thing that is to be shown once.
    pub fn take_show(&mut self) -> Option<Show> {
        if self.shows.is_empty() {
            return None;
        }
        let show = self.shows.remove(0);
        if let Show::Seen { task, .. } = &show {
            self.marking.insert(*task, (*task, false));
        }
        Some(show)
    }

    /// Says that the mark of a message was set. If the message was answered in the meantime, it goes
    /// again.
    pub fn mark_set(&mut self, task: TaskId, channel: String, ts: String) {
        if let Some((_, true)) = self.marking.remove(&task) {
            self.shows.push(Show::Unseen { channel, ts });
        }
    }

    /// Returns the plan that has waited longest to be shown, if its time has come.
    pub fn due_plan(&self, now: AtMs) -> Option<TaskId> {
        self.next_plan()
            .filter(|(_, not_before)| *not_before <= now)
            .map(|(task, _)| task)
    }

    /// Returns when the next plan may be shown.
    pub fn wakes_at(&self) -> Option<AtMs> {
        self.next_plan().map(|(_, not_before)| not_before)
    }

    fn next_plan(&self) -> Option<(TaskId, AtMs)> {
        let stale = self.followed.iter().filter(|(_, task)| task.is_stale);
        let stale = stale.map(|(id, task)| (*id, task.not_before));
        stale.min_by_key(|(_, not_before)| *not_before)
    }

    /// Returns what is to be done to show the plan of a task.
    pub fn plan_step(&self, task: TaskId) -> Option<PlanStep> {
        let followed = self.followed.get(&task)?;
        let place = plan::Place {
            conversation: followed.conversation,
            task,
            channel: &followed.thread.channel,
            thread: &followed.thread.thread,
        };
        let (items, is_over) = (&followed.items, followed.is_over);
        Some(match &followed.ts {
            Some(ts) => PlanStep::Update(plan::update(place, ts, items, is_over)),
            None if followed.may_be_there => PlanStep::Find(followed.thread.clone()),
            None => PlanStep::Post(plan::post(place, items, is_over)),
        })
    }

    /// Says what looking for a plan found: its `ts`, or that it is not there.
    pub fn plan_looked_for(&mut self, task: TaskId, ts: Option<String>) {
        if let Some(followed) = self.followed.get_mut(&task) {
            followed.may_be_there = false;
            followed.ts = ts;
        }
    }

    /// Says that the plan of a task is shown, in the message `ts`.
    pub fn plan_shown(&mut self, task: TaskId, ts: String, now: AtMs) {
        let Some(followed) = self.followed.get_mut(&task) else {
            return;
        };
        followed.ts = Some(ts);
        followed.may_be_there = false;
        followed.is_stale = false;
        followed.failures = 0;
        followed.not_before = AtMs(now.0 + EDIT_PAUSE_MS);
        if followed.is_over {
            self.followed.remove(&task);
        }
    }

    /// Says that the plan of a task could not be shown, and when it may be tried again. Where nobody
    /// knows whether it was posted, it is looked for first.
    pub fn plan_failed(&mut self, task: TaskId, is_unknown: bool, not_before: AtMs) {
        let Some(followed) = self.followed.get_mut(&task) else {
            return;
        };
        followed.failures += 1;
        followed.may_be_there |= is_unknown && followed.ts.is_none();
        followed.not_before = not_before;
        if followed.failures >= PLAN_FAILURES_MAX {
            self.followed.remove(&task);
        }
    }
}

fn place(reply_to: &ReplyAddress) -> Option<(Thread, String)> {
    match reply_to {
        ReplyAddress::Slack {
            channel,
            thread,
            message,
        } => {
            let thread = Thread {
                channel: channel.clone(),
                thread: thread.clone(),
            };
            Some((thread, message.clone()))
        }
        ReplyAddress::Email { .. } | ReplyAddress::Local => None,
    }
}

#[cfg(test)]
mod tests;
