//! What stands behind the ports: a channel that remembers what it sent, a sandbox that follows a
//! script, and mirrors of a repository that is always the same.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use airut::events::container::{ContainerExited, ContainerRole, ContainerStarted};
use airut::events::id::{ChannelKind, ConversationId, RepoId, RunId, SessionId};
use airut::events::message::{AuthenticationMethod, HintSource, RejectionReason, ReplyAddress};
use airut::events::run::{AgentEventObserved, LineBody};
use airut::handlers::channels::{
    BoxFuture, Channel, OutboundMessage, SendOutcome, Trace, Triage, Triaged,
};
use airut::handlers::intake::Intake;
use airut::sandbox::agent::Transcript;
use airut::sandbox::mirrors::{GitError, LastChange, MirrorHead, Mirrors};
use airut::sandbox::port::{ImageError, ImageRequest, RunEnd, RunFailure, RunRequest, Sandbox};
use airut::sandbox::recorder::{PortFuture, RecordError, Recorder};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A message of the fake channel: `sender|conversation or nothing|subject|text`.
pub(crate) fn raw(sender: &str, hint: &str, subject: &str, text: &str) -> String {
    format!("{sender}|{hint}|{subject}|{text}")
}

/// A channel of mails that keeps what it sends.
#[derive(Default)]
pub(crate) struct FakeChannel {
    /// Everything that arrived at its recipient.
    pub(crate) arrived: Mutex<Vec<OutboundMessage>>,
    /// Outcomes of the next attempts; accepted when there are none.
    pub(crate) outcomes: Mutex<VecDeque<SendOutcome>>,
    /// Whether a search finds what arrived; mail servers differ.
    pub(crate) is_searchable: Mutex<bool>,
    /// What becomes of every message that is read.
    pub(crate) change: Mutex<Option<fn(&mut Triaged)>>,
}

impl FakeChannel {
    pub(crate) fn replies(&self) -> Vec<OutboundMessage> {
        let arrived = self.arrived.lock().unwrap();
        let is_reply = |message: &&OutboundMessage| {
            message.kind == airut::events::delivery::DeliveryKind::Reply
        };
        arrived.iter().filter(is_reply).cloned().collect()
    }
}

impl Channel for FakeChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Email
    }

    fn listen(self: Arc<Self>, _: Intake, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move { stop.cancelled().await })
    }

    fn triage(&self, raw: &[u8]) -> Triage {
        let text = String::from_utf8(raw.to_vec()).unwrap();
        let parts: Vec<&str> = text.splitn(4, '|').collect();
        let [sender, hint, subject, body] = parts[..] else {
            panic!("a mail that makes its reader panic");
        };
        if sender == "mallory" {
            return Triage::Rejected {
                reason: RejectionReason::NotAuthorized,
                detail: "no rule permits mallory".to_owned(),
            };
        }
        let hint: Option<ConversationId> = hint.parse().ok();
        let verdict = if body.starts_with("Too long:") {
            Triage::Declined
        } else {
            Triage::Accepted
        };
        let mut triaged = Triaged {
            method: AuthenticationMethod::Dmarc,
            identity: sender.to_owned(),
            evidence: "mx.example.test".to_owned(),
            rule: "*@example.test".to_owned(),
            body: body.to_owned(),
            subject: subject.to_owned(),
            conversation_hint: hint.map(|hint| (hint, HintSource::SubjectTag)),
            model_hint: None,
            attachments: vec![],
            reply_to: ReplyAddress::Email {
                to: format!("{sender}@example.test"),
                message_id: format!("<{}@example.test>", body.len()),
                references: vec![],
            },
        };
        // Not locked while it runs: messages are read beside each other.
        let change = *self.change.lock().unwrap();
        if let Some(change) = change {
            change(&mut triaged);
        }
        verdict(Box::new(triaged))
    }

    fn send(&self, message: OutboundMessage) -> BoxFuture<'_, SendOutcome> {
        let scripted = self.outcomes.lock().unwrap().pop_front();
        let receipt = "250 queued".to_owned();
        let outcome = scripted.unwrap_or(SendOutcome::Accepted { receipt });
        if !matches!(outcome, SendOutcome::Refused { .. }) {
            self.arrived.lock().unwrap().push(message);
        }
        Box::pin(std::future::ready(outcome))
    }

    fn search(&self, message: OutboundMessage) -> BoxFuture<'_, Trace> {
        let arrived = self.arrived.lock().unwrap();
        let known = arrived.iter().any(|sent| sent.delivery == message.delivery);
        let trace = if known && *self.is_searchable.lock().unwrap() {
            let receipt = "found in INBOX".to_owned();
            Trace::Found { receipt }
        } else {
            let searched = "Sent, INBOX".to_owned();
            Trace::Absent { searched }
        };
        Box::pin(std::future::ready(trace))
    }
}

/// What an agent does in a run.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// It answers.
    Answer(&'static str),
    /// It puts a file into the outbox and answers.
    AnswerWithFile(&'static str, &'static str),
    /// It waits until the story goes on, then answers.
    AnswerWhenReleased(&'static str),
    /// It says that the session is unknown.
    UnknownSession,
    /// It says so, but its container never ends.
    UnknownSessionAndHang,
    /// It says that the API is busy.
    Overloaded,
    /// It writes more than it may and is ended.
    Flood,
    /// It runs until it is stopped.
    Hang,
    /// Its output is complete, but its container never ends.
    AnswerAndHang(&'static str),
}

/// A run as the sandbox was asked for it.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) run: RunId,
    pub(crate) prompt: String,
    pub(crate) argv: Vec<String>,
}

/// A sandbox that follows a script; what runs in it outlives the daemon.
pub(crate) struct FakeSandbox {
    pub(crate) script: Mutex<VecDeque<Act>>,
    pub(crate) ran: Mutex<Vec<Ran>>,
    pub(crate) alive: Mutex<Vec<RunId>>,
    pub(crate) most_alive: Mutex<usize>,
    pub(crate) image_error: Mutex<Option<ImageError>>,
    /// A permit lets one waiting agent answer.
    pub(crate) release: Semaphore,
}

impl Default for FakeSandbox {
    fn default() -> Self {
        Self {
            script: Mutex::default(),
            ran: Mutex::default(),
            alive: Mutex::default(),
            most_alive: Mutex::default(),
            image_error: Mutex::default(),
            release: Semaphore::new(0),
        }
    }
}

impl FakeSandbox {
    async fn execute(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) -> Result<RunEnd, RunFailure> {
        let run = request.run;
        let next = self.script.lock().unwrap().pop_front();
        let act = next.unwrap_or(Act::Answer("Done."));
        self.enter(&request);
        recorder.record(vec![started(run)]).await?;
        let session = session_of(&request);
        keep_session(&request, &session);
        let init = format!(r#"{{"type":"system","subtype":"init","session_id":"{session}"}}"#);
        let observe = |lines: Vec<String>| observe(recorder.as_ref(), run, lines);
        let exit_code = match act {
            Act::Answer(text) => {
                observe(vec![init, said(text), result(text, &session)]).await?;
                0
            }
            Act::AnswerWithFile(text, name) => {
                let outbox = source_of(&request, "/outbox").join(name);
                std::fs::write(outbox, "content").unwrap();
                observe(vec![init, said(text), result(text, &session)]).await?;
                0
            }
            Act::AnswerWhenReleased(text) => {
                observe(vec![init]).await?;
                self.release.acquire().await.unwrap().forget();
                observe(vec![said(text), result(text, &session)]).await?;
                0
            }
            Act::UnknownSession => {
                observe(vec![failure("error_during_execution", "null", UNKNOWN)]).await?;
                1
            }
            Act::UnknownSessionAndHang => {
                observe(vec![failure("error_during_execution", "null", UNKNOWN)]).await?;
                stop.cancelled().await;
                143
            }
            Act::Overloaded => {
                observe(vec![init, failure("success", "529", "Overloaded")]).await?;
                1
            }
            Act::Flood => {
                observe(vec![init]).await?;
                137
            }
            Act::Hang => {
                observe(vec![init]).await?;
                stop.cancelled().await;
                143
            }
            Act::AnswerAndHang(text) => {
                observe(vec![init, said(text), result(text, &session)]).await?;
                stop.cancelled().await;
                143
            }
        };
        recorder.record(vec![exited(run, exit_code)]).await?;
        self.leave(run);
        Ok(RunEnd {
            exit_code,
            timed_out: false,
            stopped: exit_code == 143,
            out_of_memory: false,
            proxy_lost: false,
            too_much_output: exit_code == 137,
            duration_ms: 1000,
            stderr_tail: String::new(),
        })
    }

    fn enter(&self, request: &RunRequest) {
        self.ran.lock().unwrap().push(Ran {
            run: request.run,
            prompt: String::from_utf8(request.stdin.clone()).unwrap(),
            argv: request.argv.clone(),
        });
        let mut alive = self.alive.lock().unwrap();
        let workspace = |run: &RunId| run.task == request.run.task;
        assert!(!alive.iter().any(workspace), "two agents in one workspace");
        alive.push(request.run);
        let mut most = self.most_alive.lock().unwrap();
        *most = (*most).max(alive.len());
    }

    fn leave(&self, run: RunId) {
        self.alive.lock().unwrap().retain(|alive| *alive != run);
    }
}

const UNKNOWN: &str = "No conversation found with session ID: x";

fn session_of(request: &RunRequest) -> String {
    let resumed = request.argv.iter().position(|word| word == "--resume");
    resumed.map_or_else(
        || format!("session-{}", request.run),
        |at| request.argv[at + 1].clone(),
    )
}

fn keep_session(request: &RunRequest, session: &str) {
    let project = source_of(request, "/root/.claude").join("projects/-workspace");
    std::fs::create_dir_all(&project).unwrap();
    std::fs::write(project.join(format!("{session}.jsonl")), "").unwrap();
}

fn source_of(request: &RunRequest, target: &str) -> PathBuf {
    let mut mounts = request.mounts.iter();
    let mount = mounts.find(|mount| mount.target == target);
    PathBuf::from(&mount.unwrap().source)
}

fn said(text: &str) -> String {
    format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
}

fn result(text: &str, session: &str) -> String {
    format!(
        r#"{{"type":"result","subtype":"success","is_error":false,"result":"{text}","session_id":"{session}","num_turns":2,"duration_ms":900,"total_cost_usd":0.01}}"#
    )
}

fn failure(subtype: &str, status: &str, text: &str) -> String {
    format!(
        r#"{{"type":"result","subtype":"{subtype}","is_error":true,"api_error_status":{status},"result":"{text}","errors":["{text}"],"total_cost_usd":0.005}}"#
    )
}

fn started(run: RunId) -> airut::events::Event {
    let role = ContainerRole::Agent;
    ContainerStarted { run, role }.into()
}

fn exited(run: RunId, exit_code: i32) -> airut::events::Event {
    ContainerExited {
        run,
        role: ContainerRole::Agent,
        exit_code,
        out_of_memory: false,
        duration_ms: 1000,
    }
    .into()
}

/// Records each line by itself, so that a crash may come between any two.
async fn observe(
    recorder: &dyn Recorder,
    run: RunId,
    lines: Vec<String>,
) -> Result<(), RecordError> {
    let mut transcript = Transcript::default();
    for (index, line) in (1..).zip(lines) {
        let facts = transcript.observe(&line);
        let observed = AgentEventObserved {
            run,
            index,
            event_type: facts.event_type,
            subtype: facts.subtype,
            session: facts.session.map(|session| SessionId(session.0)),
            line: LineBody::Inline(line),
        };
        recorder.record(vec![observed.into()]).await?;
    }
    Ok(())
}

impl Sandbox for FakeSandbox {
    fn ensure_image(
        &self,
        _: ImageRequest,
        _: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<String, ImageError>> {
        let error = self.image_error.lock().unwrap().clone();
        let tag = "localhost/airut-overlay:1".to_owned();
        Box::pin(std::future::ready(error.map_or(Ok(tag), Err)))
    }

    fn run(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) -> PortFuture<'_, Result<RunEnd, RunFailure>> {
        Box::pin(self.execute(request, recorder, stop))
    }

    fn remove_run(
        &self,
        run: RunId,
        _: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>> {
        self.leave(run);
        Box::pin(std::future::ready(Ok(())))
    }

    fn sweep(&self, _: Arc<dyn Recorder>) -> PortFuture<'_, Result<(), RunFailure>> {
        self.alive.lock().unwrap().clear();
        Box::pin(std::future::ready(Ok(())))
    }

    fn agent_binary(&self, version: String) -> PortFuture<'_, Result<PathBuf, RunFailure>> {
        let path = PathBuf::from("/claude").join(version);
        Box::pin(std::future::ready(Ok(path)))
    }
}

/// Mirrors of a repository that is always the same; `unreachable` is one that cannot be fetched.
pub(crate) struct FakeMirrors;

impl Mirrors for FakeMirrors {
    fn fetch<'a>(
        &'a self,
        _: &'a RepoId,
        url: &'a str,
    ) -> PortFuture<'a, Result<MirrorHead, GitError>> {
        assert_ne!(url, "panicking", "a panic while a task is prepared");
        let fetched = if url == "unreachable" {
            Err(GitError::Remote("could not resolve host".to_owned()))
        } else {
            Ok(MirrorHead {
                branch: "main".to_owned(),
                commit: "c0ffee".to_owned(),
                created: true,
            })
        };
        Box::pin(std::future::ready(fetched))
    }

    fn read_file<'a>(
        &'a self,
        _: &'a RepoId,
        _: &'a str,
        _: &'a str,
    ) -> PortFuture<'a, Result<Vec<u8>, GitError>> {
        Box::pin(std::future::ready(Ok(b"domains: []\n".to_vec())))
    }

    fn last_change<'a>(
        &'a self,
        _: &'a RepoId,
        commit: &'a str,
        _: &'a str,
    ) -> PortFuture<'a, Result<LastChange, GitError>> {
        let change = LastChange {
            commit: commit.to_owned(),
            author: "Olive <olive@example.test>".to_owned(),
            committed_at: "2026-11-20T09:00:00+00:00".to_owned(),
        };
        Box::pin(std::future::ready(Ok(change)))
    }

    fn read_directory<'a>(
        &'a self,
        _: &'a RepoId,
        _: &'a str,
        _: &'a str,
    ) -> PortFuture<'a, Result<Vec<(String, Vec<u8>)>, GitError>> {
        let dockerfile = ("Dockerfile".to_owned(), b"FROM scratch\n".to_vec());
        Box::pin(std::future::ready(Ok(vec![dockerfile])))
    }

    fn clone_workspace<'a>(
        &'a self,
        _: &'a RepoId,
        _: &'a str,
        destination: &'a Path,
    ) -> PortFuture<'a, Result<(), GitError>> {
        let made = std::fs::create_dir_all(destination);
        let made = made.map_err(|error| GitError::Local(error.to_string()));
        Box::pin(std::future::ready(made))
    }
}
