//! The daemon, but for its sandbox, beside the stand-in: what is written in Slack is answered in Slack.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use airut::config::load::{self, WithoutFile};
use airut::events::Event;
use airut::events::id::Position;
use airut::sandbox::port::Sandbox;
use airut::service::standby::Starter;
use airut::service::{Service, ServicePlan};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::agent::EchoSandbox;
use crate::common::repository::Repository;
use crate::hand::Hand;
use crate::rules::{APP_TOKEN, BOT_TOKEN};
use crate::standin::{Options, Standin};

/// A workspace, and a daemon that can be started and stopped beside it.
pub(crate) struct Rig {
    _standin: Standin,
    pub(crate) hand: Hand,
    pub(crate) agent: Arc<EchoSandbox>,
    pub(crate) dir: TempDir,
    api_url: String,
    runtime: Runtime,
}

impl Rig {
    /// A workspace in which nothing waits long, and whose members may use the repository.
    pub(crate) fn new() -> Self {
        Self::with(quick(), "authorized: [workspace_members: true]")
    }

    /// A workspace with these options, and these lines of the app's configuration.
    pub(crate) fn with(options: Options, settings: &str) -> Self {
        let standin = Standin::start(options).unwrap();
        let api_url = standin.api_url();
        let dir = TempDir::new().unwrap();
        Repository::make(dir.path());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let rig = Self {
            hand: Hand::of(&api_url),
            agent: EchoSandbox::new(),
            _standin: standin,
            dir,
            api_url,
            runtime,
        };
        let path = rig.dir.path().join("airut.yaml");
        std::fs::write(path, rig.config(settings)).unwrap();
        rig
    }

    fn config(&self, settings: &str) -> String {
        let repository = self.dir.path().join("repositories/work.git");
        let repository = repository.display();
        let api_url = &self.api_url;
        let mut lines = vec![
            "config_version: 5".to_owned(),
            "execution: {max_concurrent: 2, shutdown_timeout: 5}".to_owned(),
            "dashboard: {enabled: false}".to_owned(),
            "network: {upstream_dns: 127.0.0.1}".to_owned(),
            "repos:".to_owned(),
            "  work:".to_owned(),
            format!("    repo_url: {repository}"),
            "    slack:".to_owned(),
            format!("      bot_token: {BOT_TOKEN}"),
            format!("      app_token: {APP_TOKEN}"),
            format!("      api_url: {api_url}"),
        ];
        lines.extend(settings.lines().map(|line| format!("      {line}")));
        lines.join("\n") + "\n"
    }

    /// Starts the daemon over the same directories; it is connected on return.
    #[track_caller]
    pub(crate) fn start(&self) -> Running<'_> {
        let serving = serve(self.dir.path(), Arc::clone(&self.agent));
        let running = Running {
            rig: self,
            service: Some(self.runtime.block_on(serving)),
        };
        let one = |seen: &Value| (seen["connections"] != 0).then_some(());
        self.hand.until("sockets", one);
        running
    }

    /// Somebody says something; returns channel and `ts`.
    #[track_caller]
    pub(crate) fn says(&self, what: &Value) -> (String, String) {
        let said = self.hand.act("post", what);
        let text = |name: &str| said[name].as_str().unwrap().to_owned();
        (text("channel"), text("ts"))
    }

    /// What Airut has said in a thread so far, but for its acknowledgements.
    pub(crate) fn answers(&self, channel: &str, thread: &str) -> Vec<String> {
        let seen = self.hand.look(&format!("channel?id={channel}"));
        let mut answers = Vec::new();
        for message in seen["messages"].as_array().unwrap() {
            let is_answer = message["metadata"]["event_type"] == "airut_reply";
            let text = message["text"].as_str().unwrap();
            if is_answer && message["thread_ts"] == thread && !is_acknowledgement(text) {
                answers.push(text.to_owned());
            }
        }
        answers
    }

    /// Waits until Airut has given so many answers in a thread, and returns them.
    #[track_caller]
    pub(crate) fn answered(&self, channel: &str, thread: &str, count: usize) -> Vec<String> {
        self.hand.until(&format!("channel?id={channel}"), |_| {
            let answers = self.answers(channel, thread);
            (answers.len() >= count).then_some(answers)
        })
    }
}

/// A workspace in which nothing waits long.
pub(crate) fn quick() -> Options {
    Options {
        retry_delays_ms: vec![0, 300, 600],
        limits: false,
        ..Options::default()
    }
}

fn is_acknowledgement(text: &str) -> bool {
    text.contains("I've started working on this")
}

/// A running daemon; it is stopped in good order when this is dropped.
pub(crate) struct Running<'a> {
    rig: &'a Rig,
    service: Option<Service>,
}

impl Running<'_> {
    /// Everything that is recorded.
    pub(crate) fn events(&self) -> Vec<Event> {
        let log = self.service.as_ref().unwrap().log();
        let records = log.read(Position(0), 100_000).unwrap();
        records.into_iter().map(|recorded| recorded.event).collect()
    }

    /// How many events of a kind are recorded.
    pub(crate) fn count(&self, kind: &str) -> usize {
        let events = self.events();
        events.iter().filter(|event| event.name() == kind).count()
    }

    /// Waits until so many events of a kind are recorded.
    #[track_caller]
    pub(crate) fn until_recorded(&self, kind: &str, count: usize) {
        let enough = |_: &Value| (self.count(kind) >= count).then_some(());
        self.rig.hand.until("sockets", enough);
    }

    /// Stops it in good order.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        let service = self.service.take().unwrap();
        assert!(self.rig.runtime.block_on(service.stop("test")));
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(service) = self.service.take() {
            self.rig.runtime.block_on(service.stop("test"));
        }
    }
}

/// What a person says with the app alone, or in a channel.
pub(crate) fn message(user: &str, channel: Option<&str>, text: &str) -> Value {
    let mut message = json!({ "user": user, "text": text });
    if let Some(channel) = channel {
        message["channel"] = channel.into();
    }
    message
}

/// The same in a thread.
pub(crate) fn reply(user: &str, channel: &str, thread: &str, text: &str) -> Value {
    json!({ "user": user, "channel": channel, "thread_ts": thread, "text": text })
}

/// Starts a service of the configuration in a directory.
pub(crate) async fn serve(dir: &Path, agent: Arc<EchoSandbox>) -> Service {
    let loaded = load::load(&dir.join("airut.yaml"), WithoutFile::Refused).unwrap();
    let plan = ServicePlan {
        config: loaded.config,
        config_sha256: loaded.sha256,
        state_dir: dir.join("state"),
        runtime_dir: dir.join("runtime"),
        proxy_binary: PathBuf::new(),
        resilient: false,
        crash_at: None,
        crash_after: None,
    };
    let starter: Starter = Box::new(move || {
        let sandbox: Arc<dyn Sandbox> = Arc::clone(&agent) as Arc<dyn Sandbox>;
        Box::pin(std::future::ready(Ok(sandbox)))
    });
    Service::start_with(plan, starter).await.unwrap()
}
