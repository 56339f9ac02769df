//! Whole services beside the stand-in, in the test's process: everything but the sandbox is as the
//! daemon has it, and the log outlives each service. What is said reaches the intake from here.

mod apps;
mod crashes;
mod plan;
mod way;

use std::sync::Arc;
use std::time::Duration;

use airut::clock::Stopwatch;
use airut::events::id::{Position, RepoId};
use airut::events::log::Log;
use airut::handlers::channels::Incoming;
use airut::handlers::channels::slack::SlackChannel;
use airut::handlers::channels::slack::incoming::{self, Told};
use airut::handlers::channels::slack::parse::Message;
use airut::handlers::channels::slack::threads::Threads;
use airut::handlers::channels::slack::web::reading::Own;
use airut::handlers::intake::Intake;
use airut::handlers::memory::Memory;
use airut::handlers::operator::Operator;
use airut::handlers::ports::Channels;
use airut::handlers::snapshots::Snapshots;
use airut::service::{Parts, Service};
use serde_json::{Value, json};

use crate::fakes::Act;
use crate::hand::Hand;
use crate::out::settings;
use crate::parts::repo;
use crate::standin::{Options, Standin};
use crate::world::{Disk, World};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What outlives a service: the workspace, and the service's disk.
pub(crate) struct Ground {
    standin: Standin,
    pub(crate) slack: Workspace,
    pub(crate) world: World,
    repos: Vec<RepoId>,
}

/// The workspace as a test uses it.
pub(crate) struct Workspace {
    pub(crate) hand: Hand,
}

/// Something that is said: by whom, in which channel and thread, and what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) user: &'a str,
    pub(crate) channel: &'a str,
    pub(crate) thread: Option<&'a str>,
    pub(crate) text: &'a str,
}

impl Ground {
    /// A workspace, and a repository whose agents follow a script.
    pub(crate) fn new(script: &[Act]) -> Self {
        let standin = Standin::start(Options {
            limits: false,
            ..Options::default()
        });
        let standin = standin.unwrap();
        Self {
            slack: Workspace::of(Hand::of(&standin.api_url())),
            standin,
            world: World::new(script),
            repos: vec![repo()],
        }
    }

    /// Adds a repository, with an app of its own.
    pub(crate) fn with_repo(mut self, name: &str) -> Self {
        self.repos.push(RepoId(name.to_owned()));
        self
    }

    /// Starts a service, which listens when this returns.
    pub(crate) async fn service(&self) -> Service {
        let service = self.service_on(self.world.disk(u64::MAX)).await.unwrap();
        self.until_connected();
        service
    }

    /// Starts a service on a disk; nothing when that is gone before.
    pub(crate) async fn service_on(&self, disk: Arc<Disk>) -> Option<Service> {
        let log = self.world.open(disk);
        let memory = Memory::open(&log, Snapshots::below(self.world.state_dir())).unwrap();
        let mut ports = self.world.ports(&log);
        let mut channels = Channels::new();
        let mut config = (*ports.config).clone();
        let known = memory.state().slack.clone();
        let threads = Threads::following(known, log.subscribe(memory.position()));
        let threads = Arc::new(threads);
        for repo in &self.repos {
            let app = SlackChannel::new(repo.clone(), settings(&self.standin)).unwrap();
            let app = app.with_threads(Arc::clone(&threads));
            channels = channels.with(repo.clone(), Arc::new(app));
            let one = config.repos.values().next().unwrap().clone();
            config.repos.insert(repo.clone(), one);
        }
        ports.config = Arc::new(config);
        ports.channels = channels.clone();
        let (operator, questions) = Operator::new();
        let parts = Parts {
            intake: Intake::new(log.clone(), ports.bodies.clone()),
            memory,
            channels,
            ports,
            operator,
            questions,
            failed: vec![],
            closing: Default::default(),
        };
        Service::run(parts, &Stopwatch::start(), false).await.ok()
    }

    /// Hands a repository's intake what was said, as its app would, as often as it is called.
    pub(crate) async fn hears(&self, service: &Service, repo: &RepoId, said: Said<'_>, ts: &str) {
        let received = service.intake().receive(incoming(repo, said, ts)).await;
        received.unwrap();
    }
}

impl std::ops::Deref for Ground {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.slack
    }
}

impl Workspace {
    /// A workspace in which a hand acts.
    pub(crate) fn of(hand: Hand) -> Self {
        Self { hand }
    }

    /// Waits until an app is connected.
    #[track_caller]
    pub(crate) fn until_connected(&self) {
        let one = |seen: &Value| (seen["connections"] != 0).then_some(());
        self.hand.until("sockets", one);
    }

    /// Lets somebody say something, of which the app is told; returns its `ts`.
    #[track_caller]
    pub(crate) fn says(&self, said: Said<'_>) -> String {
        self.posts(said, false)
    }

    /// Lets somebody say something of which the app is not told; returns its `ts`.
    #[track_caller]
    pub(crate) fn says_unheard(&self, said: Said<'_>) -> String {
        self.posts(said, true)
    }

    #[track_caller]
    fn posts(&self, said: Said<'_>, silent: bool) -> String {
        let mut posted = json!({
            "user": said.user, "channel": said.channel, "text": said.text, "silent": silent,
        });
        if let Some(thread) = said.thread {
            posted["thread_ts"] = thread.into();
        }
        let posted = self.hand.act("post", &posted);
        posted["ts"].as_str().unwrap().to_owned()
    }

    /// Returns the messages of a thread that the app wrote, oldest first.
    #[track_caller]
    pub(crate) fn answers(&self, channel: &str, thread: &str) -> Vec<Value> {
        let seen = self.hand.look(&format!("channel?id={channel}"));
        let all = seen["messages"].as_array().unwrap().iter();
        let of_it = all.filter(|message| {
            let is_reply = message["thread_ts"] == thread && message["ts"] != thread;
            is_reply && message["user"] == "U0HERALD01"
        });
        of_it.cloned().collect()
    }

    /// Returns the texts of a thread's messages that are replies, and no acknowledgement and no plan.
    #[track_caller]
    pub(crate) fn replies(&self, channel: &str, thread: &str) -> Vec<String> {
        let answers = self.answers(channel, thread).into_iter();
        let is_reply = |message: &Value| {
            let is_answer = message["metadata"]["event_type"] == "airut_reply";
            is_answer && message["blocks"][1]["type"] != "actions"
        };
        let replies = answers.filter(is_reply);
        replies
            .map(|message| message["text"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until a message has exactly these reactions.
    #[track_caller]
    pub(crate) fn until_marked(&self, channel: &str, ts: &str, marks: &[&str]) {
        self.hand.until(&format!("channel?id={channel}"), |seen| {
            let mut messages = seen["messages"].as_array().unwrap().iter();
            let message = messages.find(|message| message["ts"] == ts).unwrap();
            let reactions = message["reactions"].as_array().into_iter().flatten();
            let names: Vec<&str> = reactions.map(|one| one["name"].as_str().unwrap()).collect();
            (names == marks).then_some(())
        });
    }
}

fn incoming(repo: &RepoId, said: Said<'_>, ts: &str) -> Incoming {
    let message = Message {
        channel: said.channel.to_owned(),
        ts: ts.to_owned(),
        thread_ts: said.thread.map(str::to_owned),
        user: Some(said.user.to_owned()),
        text: said.text.to_owned(),
        ..Message::default()
    };
    let event = json!({
        "type": "message", "channel": said.channel, "user": said.user, "text": said.text, "ts": ts,
        "thread_ts": said.thread,
    });
    let payload = json!({"type": "event_callback", "event_id": format!("Ev{ts}"), "event": event});
    let own = Own {
        team_id: "T0HERALD01".to_owned(),
        user_id: "U0HERALD01".to_owned(),
        bot_id: None,
    };
    let told = Told {
        repo,
        own: &own,
        event_id: "",
        payload: &payload.to_string(),
    };
    incoming::message(told, &message)
}

/// Waits until so many events of a kind are in the log.
#[track_caller]
pub(crate) fn until(
    log: &Log,
    name: &'static str,
    times: usize,
) -> impl Future<Output = ()> + use<> {
    until_any(log, &[name], times)
}

/// Waits until so many events of these kinds together are in the log.
#[track_caller]
pub(crate) fn until_any(
    log: &Log,
    names: &[&'static str],
    times: usize,
) -> impl Future<Output = ()> + use<> {
    let (log, names) = (log.clone(), names.to_vec());
    let place = std::panic::Location::caller();
    async move {
        let seen = async {
            let mut events = log.subscribe(Position(0));
            let mut met = 0;
            while met < times {
                let recorded = events.next().await.unwrap().unwrap();
                met += usize::from(names.contains(&recorded.event.name()));
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        seen.unwrap_or_else(|_| {
            let events = log.read(Position(0), usize::MAX).unwrap();
            let met: Vec<&str> = events.iter().map(|r| r.event.name()).collect();
            panic!("{place}: no {times} of {names:?} in {met:#?}")
        });
    }
}
