//! Whose turn it is: which waiting tasks may begin now, in which order, and what keeps the others.
//! It knows no conversation's content, starts nothing and reads no clock. Pure.
//!
//! Turns go round the senders, each counted once in each repository, and within a turn the oldest
//! conversation is next. Whoever had no turn for longest has it first, and again only after everybody
//! else who waits: so a task begins after a bounded number of others, whatever anybody sends later.
//! Whoever cannot use a turn because a limit is reached keeps it; one that is kept by their
//! repository's limit keeps their own place too, or their work elsewhere would take it each time.
//! What a restart cut off has had its turn, and goes on first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use crate::config::types::{Execution, QueueLimits};
use crate::events::id::{AtMs, ConversationId, Position, RepoId};
use crate::handlers::effect::Subject;
use crate::handlers::react::Airborne;
use crate::projections::state::State;
use crate::projections::work_queue::{QueuedTask, TaskState, WorkQueue};

/// How much may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Tasks executing at once (`execution.max_concurrent`).
    pub tasks_max: usize,
    /// What one repository and one sender may take of them.
    pub queue: QueueLimits,
    /// Whether further tasks may begin; not while the service drains.
    pub begins: bool,
}

impl Capacity {
    /// Returns what a configuration allows.
    pub fn of(execution: &Execution, begins: bool) -> Self {
        Self {
            tasks_max: execution.max_concurrent,
            queue: execution.queue,
            begins,
        }
    }
}

/// What keeps a task from beginning. A further kind of limit is a further kind of hold and a further
/// line in `turns`, `holds_of` or `Taken::holds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Its conversation is busy with another task.
    Conversation,
    /// It is put off, or parked, until then.
    Time(AtMs),
    /// The service is about to end.
    Drain,
    /// The disk is nearly full.
    Storage,
    /// As many tasks run as may at all.
    Workers,
    /// As many tasks of its repository run as may.
    Repository,
    /// As many tasks of its sender run as may.
    Sender,
}

impl Hold {
    /// Returns its name, as the log and people know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Time(_) => "time",
            Self::Drain => "drain",
            Self::Storage => "storage",
            Self::Workers => "workers",
            Self::Repository => "repository",
            Self::Sender => "sender",
        }
    }

    /// Returns whether a place that becomes free ends it: its sender may be told that it waits for one.
    pub fn is_for_a_place(self) -> bool {
        matches!(self, Self::Workers | Self::Repository | Self::Sender)
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The waiting tasks of a conversation, and what keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn<'a> {
    /// The tasks, oldest first; the others are answered with the first.
    pub tasks: Vec<&'a QueuedTask>,
    /// What keeps them; they begin now when nothing does.
    pub holds: Vec<Hold>,
}

impl<'a> Turn<'a> {
    fn first(&self) -> &'a QueuedTask {
        self.tasks[0]
    }
}

/// Returns the turns of all conversations with waiting tasks that nobody has stopped: first those that
/// begin now, in their order, then those that are kept.
pub fn turns<'a>(
    state: &'a State,
    now: AtMs,
    capacity: Capacity,
    airborne: &Airborne<'_>,
) -> Vec<Turn<'a>> {
    let queue = &state.queue;
    let mut taken = Taken::by_what_runs(queue, capacity, airborne);
    let busy = busy_conversations(queue, airborne);
    let mut turns = waiting(queue);
    for turn in &mut turns {
        turn.holds = holds_of(turn.first(), now, &busy);
        if !capacity.begins {
            turn.holds.push(Hold::Drain);
        }
        if state.storage.low().is_some() {
            turn.holds.push(Hold::Storage);
        }
    }
    let (open, mut kept): (Vec<_>, Vec<_>) =
        turns.into_iter().partition(|turn| turn.holds.is_empty());
    let mut round = Round::of(queue, open);
    let mut beginning = vec![];
    while let Some(mut line) = round.next() {
        let first = line[0].first();
        let holds = taken.holds(first);
        if holds.is_empty() {
            taken.add(first);
            beginning.extend(line.pop_front());
            round.join(line, beginning.len());
        } else {
            taken.keep_place(first, &holds);
            kept.extend(line.into_iter().map(|turn| Turn {
                holds: holds.clone(),
                ..turn
            }));
        }
    }
    kept.sort_by_key(|turn| turn.first().position);
    beginning.extend(kept);
    beginning
}

/// Returns the waiting tasks of each conversation, oldest first, without those that were stopped.
fn waiting(queue: &WorkQueue) -> Vec<Turn<'_>> {
    let mut conversations: BTreeMap<ConversationId, Vec<&QueuedTask>> = BTreeMap::new();
    let tasks = queue.tasks.values();
    for task in tasks.filter(|task| task.is_waiting() && task.stop_requested_by.is_none()) {
        let waiting = conversations.entry(task.conversation).or_default();
        waiting.push(task);
    }
    let turns = conversations.into_values().map(|mut tasks| {
        tasks.sort_by_key(|task| task.position);
        let holds = vec![];
        Turn { tasks, holds }
    });
    turns.collect()
}

fn busy_conversations(queue: &WorkQueue, airborne: &Airborne<'_>) -> BTreeSet<ConversationId> {
    let tasks = queue.tasks.values();
    // One that was stopped is answered first, so that a conversation reads in its order.
    let is_busy = |task: &&QueuedTask| {
        let is_stopped = task.stop_requested_by.is_some();
        !task.is_waiting() || is_stopped || airborne.holds(Subject::Task(task.task))
    };
    tasks
        .filter(is_busy)
        .map(|task| task.conversation)
        .collect()
}

/// Returns what keeps a task by itself.
fn holds_of(task: &QueuedTask, now: AtMs, busy: &BTreeSet<ConversationId>) -> Vec<Hold> {
    let mut holds = vec![];
    if busy.contains(&task.conversation) {
        holds.push(Hold::Conversation);
    }
    if let TaskState::Waiting { not_before } = task.state
        && not_before > now
    {
        holds.push(Hold::Time(not_before));
    }
    holds
}

/// The places that are taken.
struct Taken<'a> {
    capacity: Capacity,
    all: usize,
    senders: BTreeMap<&'a str, usize>,
    repos: BTreeMap<&'a RepoId, usize>,
    /// Who keeps a place for a task of theirs in a repository that has no room.
    kept: BTreeSet<(&'a str, &'a RepoId)>,
}

impl<'a> Taken<'a> {
    /// A task that is just beginning still counts as waiting, and takes a place already; telling that
    /// it was stopped takes none.
    fn by_what_runs(queue: &'a WorkQueue, capacity: Capacity, airborne: &Airborne<'_>) -> Self {
        let mut taken = Self {
            capacity,
            all: 0,
            senders: BTreeMap::new(),
            repos: BTreeMap::new(),
            kept: BTreeSet::new(),
        };
        for task in queue.tasks.values() {
            let performing = airborne.performing.contains(&Subject::Task(task.task));
            let is_beginning = performing && task.stop_requested_by.is_none();
            if !task.is_waiting() || is_beginning {
                taken.add(task);
            }
        }
        taken
    }

    fn add(&mut self, task: &'a QueuedTask) {
        self.all += 1;
        *self.senders.entry(&task.sender).or_default() += 1;
        *self.repos.entry(&task.repo).or_default() += 1;
    }

    fn keep_place(&mut self, task: &'a QueuedTask, holds: &[Hold]) {
        let both = (task.sender.as_str(), &task.repo);
        if holds.contains(&Hold::Repository) && self.kept.insert(both) {
            *self.senders.entry(&task.sender).or_default() += 1;
        }
    }

    /// Returns the limits that a further task would break.
    fn holds(&self, task: &QueuedTask) -> Vec<Hold> {
        let of_sender = self.senders.get(task.sender.as_str()).copied();
        let of_repo = self.repos.get(&task.repo).copied();
        let limits = [
            (Hold::Workers, self.all, Some(self.capacity.tasks_max)),
            (
                Hold::Repository,
                of_repo.unwrap_or_default(),
                self.capacity.queue.per_repo_max,
            ),
            (
                Hold::Sender,
                of_sender.unwrap_or_default(),
                self.capacity.queue.per_sender_max,
            ),
        ];
        let reached =
            |(_, count, max): &(Hold, usize, Option<usize>)| max.is_some_and(|max| *count >= max);
        let reached = limits.into_iter().filter(reached);
        reached.map(|(hold, ..)| hold).collect()
    }
}

/// The conversations of one sender in one repository, the next first; there is at least one.
type Line<'a> = VecDeque<Turn<'a>>;

/// When a line is served; the smallest is next: those whose first was cut off, then by the number of
/// the turn that was just given to it, by its last turn in the log, and by the place of its first.
type Key = (bool, usize, Position, Position);

/// The order of turns; a line that had one goes to the end of the round.
struct Round<'a> {
    queue: &'a WorkQueue,
    lines: BTreeMap<Key, Line<'a>>,
}

impl<'a> Round<'a> {
    fn of(queue: &'a WorkQueue, mut turns: Vec<Turn<'a>>) -> Self {
        turns.sort_by_key(|turn| (!was_cut_off(turn.first()), turn.first().position));
        let mut lines: BTreeMap<(&str, &RepoId), Line<'a>> = BTreeMap::new();
        for turn in turns {
            let first = turn.first();
            let line = lines.entry((&first.sender, &first.repo)).or_default();
            line.push_back(turn);
        }
        let mut round = Self {
            queue,
            lines: BTreeMap::new(),
        };
        for line in lines.into_values() {
            round.join(line, 0);
        }
        round
    }

    /// Takes the next line out.
    fn next(&mut self) -> Option<Line<'a>> {
        self.lines.pop_first().map(|(_, line)| line)
    }

    /// Lets what is left of a line join after its turn with this number; 0 before any.
    fn join(&mut self, line: Line<'a>, given: usize) {
        if let Some(turn) = line.front() {
            let first = turn.first();
            let last = self.queue.turns.last(&first.sender, &first.repo);
            let key = (!was_cut_off(first), given, last, first.position);
            self.lines.insert(key, line);
        }
    }
}

fn was_cut_off(task: &QueuedTask) -> bool {
    task.interruptions > 0
}
