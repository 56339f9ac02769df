//! Whose turn it is, decided on what the real projections hold: limits are kept, nobody starves, and
//! no place stays empty that somebody may have.

use std::collections::BTreeMap;

use airut::config::types::QueueLimits;
use airut::events::conversation::ConversationCreated;
use airut::events::id::{
    Actor, AtMs, BlobRef, ChannelKind, ConversationId, InboundId, Position, RepoId, Sha256,
    StreamId, StreamVersion, TaskId,
};
use airut::events::message::{MessageParsed, ReplyAddress};
use airut::events::task::{
    CompletionReason, TaskCoalesced, TaskCompleted, TaskQueued, TaskStarted, TaskStopRequested,
};
use airut::events::{Event, Recorded};
use airut::handlers::effect::{Beginning, Effect};
use airut::handlers::react::{Airborne, react};
use airut::handlers::turns::{Capacity, turns};
use airut::projections::Projection as _;
use airut::projections::state::State;
use airut::projections::work_queue::WorkQueue;
use proptest::collection::vec;
use proptest::prelude::*;

const NOW: AtMs = AtMs(1_000_000);
const SENDERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const REPOS: [&str; 3] = ["red", "green", "blue"];

/// Tasks that may run at once, in all, of a repository and of a sender.
fn capacity(all: usize, per_repo: Option<usize>, per_sender: Option<usize>) -> Capacity {
    Capacity {
        tasks_max: all,
        queue: QueueLimits {
            per_repo_max: per_repo,
            per_sender_max: per_sender,
            ..QueueLimits::default()
        },
        begins: true,
    }
}

/// A queue, and how its tasks came and began.
struct House {
    state: State,
    position: u64,
    capacity: Capacity,
    /// The tasks that run, the longest first.
    running: Vec<TaskId>,
    /// How many had begun, and how many may at most, when each waiting task begins.
    patience: BTreeMap<TaskId, usize>,
    begun: usize,
    /// Titles in the order of beginning.
    order: Vec<String>,
}

impl House {
    fn new(capacity: Capacity) -> Self {
        Self {
            state: State::default(),
            position: 0,
            capacity,
            running: vec![],
            patience: BTreeMap::new(),
            begun: 0,
            order: vec![],
        }
    }

    fn happens(&mut self, event: impl Into<Event>) {
        self.position += 1;
        self.state.apply(&Recorded {
            position: Position(self.position),
            stream: StreamId::service(),
            stream_version: StreamVersion(self.position),
            at: AtMs(self.position),
            actor: Actor::System,
            causation: None,
            correlation: String::new(),
            event: event.into(),
        });
    }

    /// A message becomes a task of a conversation.
    fn arrives(&mut self, title: &str, sender: &str, repo: &str, conversation: u32) {
        let inbound = InboundId::from_dedupe_key(title);
        let (repo, conversation) = (RepoId(repo.to_owned()), ConversationId(conversation));
        if self.state.conversations.get(conversation).is_none() {
            self.happens(ConversationCreated {
                conversation,
                repo: repo.clone(),
                channel: ChannelKind::Email,
                owner: sender.to_owned(),
                model: "opus".to_owned(),
                effort: None,
            });
        }
        self.happens(MessageParsed {
            inbound,
            body: BlobRef {
                sha256: Sha256::of(b""),
                bytes: 0,
                media_type: "text/markdown".to_owned(),
            },
            subject: title.to_owned(),
            conversation_hint: None,
            hint_source: None,
            model_hint: None,
            attachments: vec![],
            reply_to: ReplyAddress::Local,
        });
        self.happens(TaskQueued {
            task: inbound.task(),
            inbound,
            repo,
            conversation,
            sender: sender.to_owned(),
            title: title.to_owned(),
            sender_name: String::new(),
        });
    }

    fn effects(&self) -> Vec<Effect> {
        react(&self.state, NOW, self.capacity, &Airborne::default())
    }

    /// Begins whatever may; what is to begin is in one reaction, and nothing in the next.
    fn begins(&mut self) {
        let begins = |effect| match effect {
            Effect::Begin(beginning) => Some(*beginning),
            _ => None,
        };
        let beginnings: Vec<Beginning> = self.effects().into_iter().filter_map(begins).collect();
        for beginning in beginnings {
            self.begin(&beginning);
        }
        let more = self.effects().into_iter().filter_map(begins).count();
        assert_eq!(more, 0, "a place was left empty");
        self.check_limits();
    }

    fn begin(&mut self, beginning: &Beginning) {
        let task = beginning.task.task;
        self.happens(TaskStarted {
            task,
            attempt: 1,
            coalesced: beginning.coalesced.iter().map(|other| other.task).collect(),
        });
        for other in &beginning.coalesced {
            self.happens(TaskCoalesced {
                task: other.task,
                into: task,
            });
        }
        for begun in beginning.tasks() {
            let latest = self.patience.remove(&begun.task);
            assert!(
                latest.is_none_or(|latest| self.begun <= latest),
                "{} began after {} others, which is later than {latest:?}",
                begun.title,
                self.begun
            );
        }
        self.begun += 1;
        self.running.push(task);
        self.order.push(beginning.task.title.clone());
    }

    fn check_limits(&self) {
        let tasks = self.state.queue.tasks.values();
        let running: Vec<_> = tasks.filter(|task| !task.is_waiting()).collect();
        let limits = self.capacity.queue;
        assert!(running.len() <= self.capacity.tasks_max);
        for task in &running {
            let of_repo = running.iter().filter(|other| other.repo == task.repo);
            let of_sender = running.iter().filter(|other| other.sender == task.sender);
            assert!(limits.per_repo_max.is_none_or(|max| of_repo.count() <= max));
            assert!(
                limits
                    .per_sender_max
                    .is_none_or(|max| of_sender.count() <= max)
            );
        }
    }

    /// The task that has run longest comes to its end.
    fn ends(&mut self) {
        if !self.running.is_empty() {
            let task = self.running.remove(0);
            self.happens(TaskCompleted {
                task,
                reason: CompletionReason::Success,
                detail: String::new(),
                duration_ms: 1,
            });
        }
    }

    /// What runs for a sender comes to its end.
    fn ends_of(&mut self, sender: &str) {
        let tasks = &self.state.queue.tasks;
        let is_of = |task: &TaskId| tasks[task].sender == sender;
        if let Some(index) = self.running.iter().position(is_of) {
            let task = self.running.remove(index);
            self.running.insert(0, task);
            self.ends();
        }
    }

    /// Everything that waits begins, one after the other.
    fn empties(&mut self) {
        while self.state.queue.waiting() > 0 {
            self.begins();
            self.ends();
        }
    }

    /// Says how many may begin before a task that just came: each line has as many turns as there are
    /// older conversations in the task's own, and whoever is at the front of the round waits for two
    /// places at most, one of a repository and one of a sender, during which others begin.
    fn expects(&mut self, title: &str) {
        let task = InboundId::from_dedupe_key(title).task();
        let own = &self.state.queue.tasks[&task];
        let tasks = self.state.queue.tasks.values();
        let of_line = tasks.filter(|other| other.sender == own.sender && other.repo == own.repo);
        let lines = SENDERS.len() * REPOS.len();
        let rounds = of_line.count() + 1;
        let latest = self.begun + rounds * (lines + 2 * self.capacity.tasks_max);
        self.patience.insert(task, latest);
    }
}

/// Something that happens to a queue.
#[derive(Debug, Clone)]
enum Step {
    Arrives {
        sender: usize,
        repo: usize,
        conversation: u32,
    },
    Ends,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let arrives = (0..SENDERS.len(), 0..REPOS.len(), 0..6_u32);
    let arrives = arrives.prop_map(|(sender, repo, conversation)| Step::Arrives {
        sender,
        repo,
        conversation,
    });
    vec(prop_oneof![3 => arrives, 2 => Just(Step::Ends)], 1..120)
}

fn limit() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![Just(None), (1..3_usize).prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn gap_38_every_task_begins_in_bounded_time_and_no_limit_is_exceeded(
        steps in steps(), all in 1..4_usize, per_repo in limit(), per_sender in limit(),
    ) {
        let mut house = House::new(capacity(all, per_repo, per_sender));
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Arrives { sender, repo, conversation } => {
                    let title = number.to_string();
                    // A conversation is of one sender and one repository here.
                    let of_both = (sender * REPOS.len() + repo) as u32;
                    let conversation = conversation * 100 + of_both;
                    house.arrives(&title, SENDERS[sender], REPOS[repo], conversation);
                    house.expects(&title);
                }
                Step::Ends => house.ends(),
            }
            house.begins();
        }
        house.empties();
        prop_assert!(house.patience.is_empty());
        while !house.running.is_empty() {
            house.ends();
        }
        let left = &house.state.queue;
        prop_assert_eq!(left, &WorkQueue::default(), "gap 40: nothing is kept of whoever has gone");
    }
}

#[test]
fn turns_go_round_the_senders_however_much_one_of_them_writes() {
    let mut house = House::new(capacity(1, None, None));
    for number in 0..4 {
        let title = format!("a{number}");
        house.arrives(&title, "alice", "red", number);
    }
    house.begins();
    house.arrives("b0", "bob", "red", 10);
    house.arrives("b1", "bob", "red", 11);
    house.arrives("c0", "carol", "red", 20);
    house.ends();
    house.empties();
    assert_eq!(house.order, ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]);
}

#[test]
fn whoever_writes_again_and_again_overtakes_nobody() {
    let mut house = House::new(capacity(1, None, None));
    house.arrives("a0", "alice", "red", 1);
    house.begins();
    house.arrives("b0", "bob", "red", 2);
    // Alice has nothing left in the queue, and comes again.
    house.ends();
    house.arrives("a1", "alice", "red", 3);
    house.empties();
    assert_eq!(house.order, ["a0", "b0", "a1"]);
}

#[test]
fn limits_of_a_sender_and_of_a_repository_leave_room_for_others() {
    let mut house = House::new(capacity(4, Some(2), Some(1)));
    for (number, (sender, repo)) in (0..).zip([
        ("alice", "red"),
        ("alice", "green"),
        ("bob", "red"),
        ("carol", "red"),
        ("dave", "green"),
    ]) {
        house.arrives(&format!("{sender} {repo}"), sender, repo, number);
    }
    house.begins();
    assert_eq!(house.order, ["alice red", "bob red", "dave green"]);
    let kept = turns(&house.state, NOW, house.capacity, &Airborne::default());
    let kept: Vec<(&str, Vec<&str>)> = kept
        .iter()
        .map(|turn| {
            let names = turn.holds.iter().map(|hold| hold.name());
            (turn.tasks[0].title.as_str(), names.collect())
        })
        .collect();
    let expected = [
        ("alice green", vec!["sender"]),
        ("carol red", vec!["repository"]),
    ];
    assert_eq!(kept, expected);
}

#[test]
fn work_elsewhere_does_not_take_the_place_that_a_full_repository_makes_wait() {
    let mut house = House::new(capacity(2, Some(1), Some(1)));
    house.arrives("bob red 0", "bob", "red", 0);
    house.arrives("alice green 0", "alice", "green", 1);
    house.begins();
    house.arrives("alice red", "alice", "red", 2);
    for number in 1..6 {
        let (green, red) = (format!("alice green {number}"), format!("bob red {number}"));
        house.arrives(&green, "alice", "green", 10 + number);
        house.arrives(&red, "bob", "red", 20 + number);
    }
    // Whenever the one ends, the other runs: their places are never free together.
    for _ in 0..4 {
        for sender in ["alice", "bob"] {
            house.ends_of(sender);
            house.begins();
        }
    }
    let expected = [
        "bob red 0",
        "alice green 0",
        "alice green 1",
        "bob red 1",
        "alice red",
    ];
    assert_eq!(house.order[..5], expected);
}

#[test]
fn a_stop_of_what_waits_is_answered_though_no_place_is_free() {
    let mut house = House::new(capacity(1, None, None));
    house.arrives("runs", "alice", "red", 1);
    house.begins();
    house.arrives("waits", "alice", "red", 1);
    house.happens(TaskStopRequested {
        task: InboundId::from_dedupe_key("waits").task(),
        by: "alice".to_owned(),
    });
    let stopped = house.effects().into_iter().any(
        |effect| matches!(&effect, Effect::Execute(assignment) if assignment.task.title == "waits"),
    );
    assert!(stopped);
}
