//! What stands behind the ports: a channel that remembers what it sent, a sandbox that follows a
//! script, and mirrors of a repository that is always the same.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use airut::events::container::{FrozenRunReleased, FrozenState, ReleaseCause, RunFrozen};
use airut::events::id::{AtMs, ChannelKind, RunId};
use airut::events::proxy::HoneySurrogateSeen;
use airut::handlers::channels::{
    BoxFuture, Channel, Evidence, OutboundMessage, SendOutcome, Trace, Triage, Triaged,
};
use airut::handlers::intake::Intake;
use airut::sandbox::podman::OutputChunk;
use airut::sandbox::port::{
    Entrypoint, ImageError, ImageRequest, OutputKind, RunEnd, RunFailure, RunRequest, Sandbox,
    Streams,
};
use airut::sandbox::recorder::{PortFuture, RecordError, Recorder};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::parts::{
    UNKNOWN, exited, failure, keep_session, limited, observe, read, result, said, session_of,
    source_of, spent, started,
};

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

    fn triage(&self, raw: &[u8], _: Option<&Evidence>) -> Triage {
        let mut triage = read(raw);
        // Not locked while it runs: messages are read beside each other.
        let change = *self.change.lock().unwrap();
        if let (Some(change), Triage::Accepted(triaged) | Triage::Declined(triaged)) =
            (change, &mut triage)
        {
            change(triaged);
        }
        triage
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
    /// It writes each line when the story goes on, and answers when it goes on once more.
    WriteWhenReleased(Vec<String>, &'static str),
    /// It says that the session is unknown.
    UnknownSession,
    /// It says so, but its container never ends.
    UnknownSessionAndHang,
    /// It says that the API is busy.
    Overloaded,
    /// It says that the account's usage limit is reached until then, in seconds since 1970.
    Limited(u64),
    /// It has used tokens for ten dollars when its time limit ends it, or the daemon dies.
    SpendAndHang,
    /// The same, at its time limit.
    SpendUntilTimeout,
    /// It writes more than it may and is ended.
    Flood,
    /// Its honey surrogate is seen and it is frozen, whatever it has said.
    Freeze(&'static str),
    /// Its honey surrogate is seen there, and the daemon dies before anything else is recorded.
    SeeHoneyAndHang(&'static str),
    /// It runs until it is stopped.
    Hang,
    /// Its output is complete, but its container never ends.
    AnswerAndHang(&'static str),
    /// It is a command: exit code, standard output and standard error.
    Command(i32, &'static str, &'static str),
    /// It is a command that runs until it is stopped.
    CommandHangs,
}

/// A run as the sandbox was asked for it.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) run: RunId,
    pub(crate) prompt: String,
    pub(crate) argv: Vec<String>,
    pub(crate) targets: Vec<String>,
    pub(crate) timeout_ms: Option<u64>,
}

/// A sandbox that follows a script; what runs in it outlives the daemon.
pub(crate) struct FakeSandbox {
    pub(crate) script: Mutex<VecDeque<Act>>,
    pub(crate) ran: Mutex<Vec<Ran>>,
    pub(crate) alive: Mutex<Vec<RunId>>,
    pub(crate) most_alive: Mutex<usize>,
    pub(crate) image_error: Mutex<Option<ImageError>>,
    /// What every command does, and every agent, whatever the script says.
    pub(crate) by_kind: Mutex<Option<(Act, Act)>>,
    /// What images were asked for.
    pub(crate) images: Mutex<Vec<Entrypoint>>,
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
            by_kind: Mutex::default(),
            images: Mutex::default(),
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
        let act = self.next_act(&request.output);
        self.enter(&request);
        recorder.record(vec![started(run)]).await?;
        if let OutputKind::Passed(streams) = &request.output {
            let exit_code = command(streams.as_ref(), act, &stop).await;
            return self.end(run, exit_code, recorder.as_ref()).await;
        }
        let session = session_of(&request);
        keep_session(&request, &session);
        let init = format!(r#"{{"type":"system","subtype":"init","session_id":"{session}"}}"#);
        let observe = |lines: Vec<String>| observe(recorder.as_ref(), run, lines);
        if let Act::AnswerWithFile(_, name) = act {
            let outbox = source_of(&request, "/outbox").join(name);
            std::fs::write(outbox, "content").unwrap();
        }
        observe(first_lines(&act, init, &session)).await?;
        let exit_code = match act {
            Act::Answer(_) | Act::AnswerWithFile(..) => 0,
            Act::AnswerWhenReleased(text) => {
                self.release.acquire().await.unwrap().forget();
                observe(vec![said(text), result(text, &session)]).await?;
                0
            }
            Act::WriteWhenReleased(lines, text) => {
                let answer = vec![said(text), result(text, &session)];
                let steps = lines.into_iter().map(|line| vec![line]).chain([answer]);
                let write = self.write(recorder.as_ref(), run, steps.collect());
                tokio::select! {
                    code = stopped(&stop) => code,
                    written = write => written.map(|()| 0)?,
                }
            }
            Act::UnknownSession | Act::Overloaded | Act::Limited(_) => 1,
            Act::SpendUntilTimeout => TIMED_OUT,
            Act::Flood => 137,
            Act::Freeze(why) => {
                recorder.record(vec![frozen(run, why)]).await?;
                137
            }
            Act::SeeHoneyAndHang(place) => {
                recorder.record(vec![honey_seen(run, place)]).await?;
                stopped(&stop).await
            }
            Act::Command(..) | Act::CommandHangs => panic!("{run} is no command"),
            Act::UnknownSessionAndHang | Act::SpendAndHang | Act::Hang | Act::AnswerAndHang(_) => {
                stopped(&stop).await
            }
        };
        self.end(run, exit_code, recorder.as_ref()).await
    }

    async fn end(
        &self,
        run: RunId,
        exit_code: i32,
        recorder: &dyn Recorder,
    ) -> Result<RunEnd, RunFailure> {
        recorder.record(vec![exited(run, exit_code)]).await?;
        self.leave(run);
        Ok(end_of(exit_code))
    }

    /// Writes each step as the story lets it.
    async fn write(
        &self,
        recorder: &dyn Recorder,
        run: RunId,
        steps: Vec<Vec<String>>,
    ) -> Result<(), RecordError> {
        for lines in steps {
            self.release.acquire().await.unwrap().forget();
            observe(recorder, run, lines).await?;
        }
        Ok(())
    }

    /// Returns what the next run does.
    fn next_act(&self, output: &OutputKind) -> Act {
        let next = self.script.lock().unwrap().pop_front();
        match (self.by_kind.lock().unwrap().clone(), output) {
            (Some((command, _)), OutputKind::Passed(_)) => command,
            (Some((_, agent)), OutputKind::AgentStream) => agent,
            (None, _) => next.unwrap_or(Act::Answer("Done.")),
        }
    }

    fn enter(&self, request: &RunRequest) {
        self.ran.lock().unwrap().push(Ran {
            run: request.run,
            targets: request.mounts.iter().map(|m| m.target.clone()).collect(),
            timeout_ms: request.limits.timeout_ms,
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

impl Sandbox for FakeSandbox {
    fn ensure_image(
        &self,
        request: ImageRequest,
        _: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<String, ImageError>> {
        self.images.lock().unwrap().push(request.entrypoint);
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

    fn release_frozen(
        &self,
        run: RunId,
        cause: ReleaseCause,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move {
            let released = FrozenRunReleased { run, cause };
            Ok(recorder.record(vec![released.into()]).await?)
        })
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

/// Does what a command does; returns its exit code.
async fn command(streams: &dyn Streams, act: Act, stop: &CancellationToken) -> i32 {
    assert_eq!(streams.read().await, None, "nobody writes to a command");
    match act {
        Act::Command(exit_code, output, errors) => {
            let output = OutputChunk::Stdout(output.as_bytes().to_vec());
            let errors = OutputChunk::Stderr(errors.as_bytes().to_vec());
            streams.write(output).await;
            streams.write(errors).await;
            exit_code
        }
        Act::CommandHangs => stopped(stop).await,
        other => panic!("a command does not {other:?}"),
    }
}

fn frozen(run: RunId, why: &str) -> airut::events::Event {
    RunFrozen {
        run,
        container: "airut-run-x".to_owned(),
        state: FrozenState::Paused,
        why: why.to_owned(),
        kept_until: AtMs(u64::MAX),
    }
    .into()
}

fn honey_seen(run: RunId, place: &str) -> airut::events::Event {
    HoneySurrogateSeen {
        run,
        request: None,
        line: None,
        place: place.to_owned(),
        bytes_up: 0,
    }
    .into()
}

/// Returns what an agent says before anything else happens to it.
fn first_lines(act: &Act, init: String, session: &str) -> Vec<String> {
    match act {
        Act::Answer(text) | Act::AnswerWithFile(text, _) | Act::AnswerAndHang(text) => {
            vec![init, said(text), result(text, session)]
        }
        Act::Freeze(_) => {
            let done = "I am done.";
            vec![init, said(done), result(done, session)]
        }
        Act::UnknownSession | Act::UnknownSessionAndHang => {
            vec![failure("error_during_execution", "null", UNKNOWN)]
        }
        Act::Overloaded => vec![init, failure("success", "529", "Overloaded")],
        Act::Limited(resets_at) => {
            let words = "You've hit your session limit";
            vec![init, limited(*resets_at), failure("success", "429", words)]
        }
        Act::SpendAndHang | Act::SpendUntilTimeout => vec![init, spent()],
        Act::Command(..) | Act::CommandHangs => vec![],
        Act::AnswerWhenReleased(_)
        | Act::WriteWhenReleased(..)
        | Act::Flood
        | Act::SeeHoneyAndHang(_)
        | Act::Hang => vec![init],
    }
}

/// Waits until the run is to stop; returns the exit code of a process that is told to end.
async fn stopped(stop: &CancellationToken) -> i32 {
    stop.cancelled().await;
    143
}

/// The exit code of a run that its time limit ended.
const TIMED_OUT: i32 = 124;

fn end_of(exit_code: i32) -> RunEnd {
    RunEnd {
        exit_code,
        timed_out: exit_code == TIMED_OUT,
        stopped: exit_code == 143,
        out_of_memory: false,
        proxy_lost: false,
        too_much_output: exit_code == 137,
        duration_ms: 1000,
        stderr_tail: String::new(),
    }
}
