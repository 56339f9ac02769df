//! Rebuilding all projections from a log with the kinds of a real day, beside a scan of the same log.

use std::path::Path;
use std::sync::Arc;

use airut::clock::Stopwatch;
use airut::events::Event;
use airut::events::conversation::{ConversationCreated, PromptComposed, ReplyRecorded, TokenUsage};
use airut::events::delivery::{
    DeliveryAttempted, DeliveryKind, DeliveryRequested, DeliverySucceeded, DeliveryTarget,
};
use airut::events::id::{
    AtMs, BlobRef, ChannelKind, ConversationId, DeliveryId, InboundId, Position, RepoId, RequestId,
    RunId, Sha256, StreamId, TaskId,
};
use airut::events::log::sled::SledStore;
use airut::events::log::{Append, Context, Log, replay};
use airut::events::message::MessageRouted;
use airut::events::proxy::{DnsQueryAnswered, RequestAllowed, RequestLine, ResponseCompleted};
use airut::events::run::{AgentEventObserved, LineBody};
use airut::events::task::{
    CompletionReason, TaskCompleted, TaskPhase, TaskPhaseEntered, TaskQueued, TaskStarted,
    TodoItem, TodoListUpdated, TodoStatus,
};
use airut::projections::Feed;
use airut::projections::views::Views;

use super::log::{MILLION, runtime, scan};
use super::{directory, print, print_rate};

/// Events of one task: three in five are lines of the agent, one in four is the proxy's.
const TASK_EVENTS: u64 = 250;
const AGENT_LINES: u32 = 150;

/// Tasks of one conversation.
const CONVERSATION_TASKS: u64 = 10;

/// Bytes of a line of the agent: most are short, and those above 4 KiB are bodies beside the log.
const LINE_BYTES: [usize; 5] = [160, 220, 300, 420, 900];

/// Fills a log like that of a busy year, then measures a scan of it and the rebuilding of everything
/// that is folded from it.
pub(crate) fn measure() {
    let directory = directory();
    fill(directory.path());
    let log = open(directory.path());
    let watch = Stopwatch::start();
    assert_eq!(scan(&log), MILLION);
    print_rate("log.mixed.scan", MILLION, watch.elapsed());
    runtime().block_on(log.close());
    let watch = Stopwatch::start();
    let mut views = Feed::<Views>::new();
    let end = replay::replay(directory.path(), None, Position(MILLION), |record| {
        views.apply(&record.recorded);
    });
    assert_eq!(end.unwrap(), views.position());
    print_rate("log.rebuild", views.position().0, watch.elapsed());
    let checkpoint = views.checkpoint().value.len();
    print("log.rebuild.checkpoint", checkpoint as f64 / 1024.0, "KiB");
}

fn open(path: &Path) -> Log {
    Log::open(Arc::new(SledStore::open(path).unwrap())).unwrap()
}

fn fill(path: &Path) {
    runtime().block_on(async {
        let log = open(path);
        for number in 0..MILLION / TASK_EVENTS {
            let append = Append {
                expected: Vec::new(),
                events: Task::of(number).events(),
                key: None,
                context: Context::system(AtMs(1_700_000_000_000 + number * 60_000)),
            };
            log.append(append).await.unwrap();
        }
        assert_eq!(log.head().position, Position(MILLION));
        log.close().await;
    });
}

/// One task and what it belongs to.
struct Task {
    number: u64,
    task: TaskId,
    run: RunId,
    inbound: InboundId,
    conversation: ConversationId,
    repo: RepoId,
}

impl Task {
    fn of(number: u64) -> Self {
        let inbound = InboundId::from_dedupe_key(&format!("bench {number}"));
        let task = inbound.task();
        Self {
            number,
            task,
            run: task.run(1),
            inbound,
            conversation: ConversationId((number / CONVERSATION_TASKS) as u32),
            repo: RepoId(format!("repo-{}", number % 7)),
        }
    }

    fn events(&self) -> Vec<(StreamId, Event)> {
        let mut events = self.beginning();
        for index in 1..=AGENT_LINES {
            events.push((StreamId::run(self.run), self.line(index)));
            if index % 7 == 0 {
                events.extend(self.request(index / 7));
            }
        }
        let end = self.end();
        let plans = TASK_EVENTS as usize - events.len() - end.len();
        events.extend((0..plans).map(|index| self.on_task(self.plan(index))));
        events.extend(end);
        events
    }

    fn on_task(&self, event: impl Into<Event>) -> (StreamId, Event) {
        (StreamId::task(self.task), event.into())
    }

    fn beginning(&self) -> Vec<(StreamId, Event)> {
        let Self {
            task, conversation, ..
        } = *self;
        let is_new = self.number.is_multiple_of(CONVERSATION_TASKS);
        let created = is_new.then(|| ConversationCreated {
            conversation,
            repo: self.repo.clone(),
            channel: ChannelKind::Email,
            owner: "alice@example.test".to_owned(),
            model: "opus".to_owned(),
            effort: None,
        });
        let routed = MessageRouted {
            inbound: self.inbound,
            conversation,
            new: is_new,
            task,
        };
        let queued = TaskQueued {
            sender_name: String::new(),
            task,
            inbound: self.inbound,
            repo: self.repo.clone(),
            conversation,
            sender: "alice@example.test".to_owned(),
            title: "Please look at the failing build".to_owned(),
        };
        let started = TaskStarted {
            task,
            attempt: 1,
            coalesced: Vec::new(),
        };
        let composed = PromptComposed {
            conversation,
            run: self.run,
            prompt: body(),
            resumes: None,
        };
        let in_conversation = StreamId::conversation(conversation);
        let mut events: Vec<_> = created
            .map(|created| (in_conversation.clone(), created.into()))
            .into_iter()
            .collect();
        events.push((StreamId::inbound(self.inbound), routed.into()));
        events.push(self.on_task(queued));
        events.push(self.on_task(started));
        events.push((in_conversation, composed.into()));
        let phase = TaskPhase::Running;
        events.push(self.on_task(TaskPhaseEntered { task, phase }));
        events
    }

    fn line(&self, index: u32) -> Event {
        let bytes = LINE_BYTES[index as usize % LINE_BYTES.len()];
        let event = AgentEventObserved {
            run: self.run,
            index,
            event_type: "assistant".to_owned(),
            subtype: String::new(),
            session: None,
            line: LineBody::Inline("x".repeat(bytes)),
        };
        event.into()
    }

    fn request(&self, index: u32) -> Vec<(StreamId, Event)> {
        let request = RequestId(u64::from(index));
        let host = "api.anthropic.com".to_owned();
        let asked = DnsQueryAnswered {
            run: self.run,
            name: host.clone(),
            query_type: "A".to_owned(),
            answer: "10.89.0.2".to_owned(),
        };
        let line = RequestLine {
            method: "POST".to_owned(),
            scheme: "https".to_owned(),
            host,
            port: 443,
            path: "/v1/messages".to_owned(),
            query_sha256: Some(Sha256([4; 32])),
            http_version: "HTTP/2".to_owned(),
        };
        let allowed = RequestAllowed {
            run: self.run,
            request,
            line,
            rule: "domains[0]".to_owned(),
            credentials: Vec::new(),
            stripped: Vec::new(),
        };
        let completed = ResponseCompleted {
            run: self.run,
            request,
            status: 200,
            bytes_up: 12_000,
            bytes_down: 4_000,
            first_byte_ms: 300,
            duration_ms: 2_000,
            complete: true,
        };
        let stream = StreamId::proxy(self.run);
        let events: [Event; 3] = [asked.into(), allowed.into(), completed.into()];
        events.map(|event| (stream.clone(), event)).into()
    }

    fn plan(&self, index: usize) -> TodoListUpdated {
        let item = |number: usize| TodoItem {
            content: format!("Step {number} of the work"),
            active_form: format!("Doing step {number} of the work"),
            status: if number < index {
                TodoStatus::Completed
            } else {
                TodoStatus::Pending
            },
        };
        TodoListUpdated {
            task: self.task,
            items: (0..5).map(item).collect(),
        }
    }

    fn end(&self) -> Vec<(StreamId, Event)> {
        let (task, conversation) = (self.task, self.conversation);
        let delivery = DeliveryId::derive(task, "reply", 0);
        let reply = ReplyRecorded {
            conversation,
            task,
            index: (self.number % CONVERSATION_TASKS) as u32 + 1,
            session: None,
            body: body(),
            files: Vec::new(),
            usage: TokenUsage::default(),
            cost_microusd: 42_300,
            turns: 21,
            duration_ms: 65_000,
            is_error: false,
        };
        let requested = DeliveryRequested {
            delivery,
            kind: DeliveryKind::Reply,
            repo: self.repo.clone(),
            channel: ChannelKind::Local,
            conversation,
            task,
            target: DeliveryTarget::Local,
            body: body(),
            files: Vec::new(),
        };
        let completed = TaskCompleted {
            task,
            reason: CompletionReason::Success,
            detail: String::new(),
            duration_ms: 65_000,
        };
        let attempted = DeliveryAttempted {
            delivery,
            attempt: 1,
            labelled_duplicate: false,
        };
        let succeeded = DeliverySucceeded {
            delivery,
            attempt: 1,
            receipt: "250 queued".to_owned(),
            reconciled: false,
        };
        let to = StreamId::delivery(delivery);
        vec![
            (StreamId::conversation(conversation), reply.into()),
            (to.clone(), requested.into()),
            self.on_task(completed),
            (to.clone(), attempted.into()),
            (to, succeeded.into()),
        ]
    }
}

fn body() -> BlobRef {
    BlobRef {
        sha256: Sha256([9; 32]),
        bytes: 1234,
        media_type: "text/markdown".to_owned(),
    }
}
