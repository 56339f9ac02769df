//! What stands behind the ports of one life: a channel, a container engine and mirrors that are slow,
//! fail, and lose answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use airut::clock;
use airut::events::container::{FrozenRunReleased, ReleaseCause};
use airut::events::id::{ChannelKind, RepoId, RunId};
use airut::handlers::channels::{
    BoxFuture, Channel, Evidence, OutboundMessage, SendOutcome, Trace, Triage,
};
use airut::handlers::intake::Intake;
use airut::sandbox::mirrors::{GitError, LastChange, MirrorHead, Mirrors};
use airut::sandbox::port::{ImageError, ImageRequest, RunEnd, RunFailure, RunRequest, Sandbox};
use airut::sandbox::recorder::{PortFuture, Recorder};
use tokio_util::sync::CancellationToken;

use crate::outside::{Life, Outside};
use crate::parts::{
    FakeMirrors, UNKNOWN, exited, failure, keep_session, limited, observe, read, result, said,
    session_of, source_of, spent, started,
};

/// The longest that a usage limit lasts.
const LIMIT_LASTS_MS_MAX: u64 = 6 * 3_600_000;

/// The time limit of a run; the sandbox keeps it.
const RUN_TIME_MAX: Duration = Duration::from_secs(3600);

/// The ports of one life.
#[derive(Clone)]
pub(crate) struct SimPorts {
    pub(crate) outside: Arc<Outside>,
    pub(crate) life: Life,
}

impl SimPorts {
    async fn step(&self, what: impl Fn() -> String) {
        self.outside.step(&self.life, what).await;
    }

    async fn send_one(&self, message: OutboundMessage) -> SendOutcome {
        let (id, labelled) = (message.delivery, message.labelled_duplicate);
        let outside = &self.outside;
        let checked = outside.ledger.lock().unwrap().check_sending(id, labelled);
        outside.check(&self.life, checked);
        self.step(|| format!("send {:?} {id}, labelled: {labelled}", message.kind))
            .await;
        if outside.percent(|rates| rates.refused) {
            let permanent = outside.percent(|rates| rates.refused_for_good);
            self.step(|| format!("{id} is refused, permanently: {permanent}"))
                .await;
            let error = "450 not now".to_owned();
            return SendOutcome::Refused { error, permanent };
        }
        let is_unknown = outside.percent(|rates| rates.unknown);
        if !is_unknown || outside.below(2) == 0 {
            outside.trace(self.life.number, || format!("{id} arrives"));
            let checked = outside.ledger.lock().unwrap().arrive(id, labelled);
            outside.check(&self.life, checked);
        }
        self.step(|| format!("answer to {id}, lost: {is_unknown}"))
            .await;
        if is_unknown {
            let detail = "connection lost after DATA".to_owned();
            return SendOutcome::Unknown { detail };
        }
        let receipt = "250 queued".to_owned();
        SendOutcome::Accepted { receipt }
    }

    async fn search_one(&self, message: OutboundMessage) -> Trace {
        let id = message.delivery;
        self.step(|| format!("search {id}")).await;
        if self.outside.percent(|rates| rates.unsearchable) {
            let error = "no connection".to_owned();
            return Trace::Unsearchable { error };
        }
        let arrived = self.outside.ledger.lock().unwrap().has_arrived(id);
        if arrived && !self.outside.percent(|rates| rates.blind_search) {
            let receipt = "found in INBOX".to_owned();
            return Trace::Found { receipt };
        }
        let searched = "Sent, INBOX".to_owned();
        Trace::Absent { searched }
    }

    fn enter(&self, run: RunId) {
        let outside = &self.outside;
        let mut ledger = outside.ledger.lock().unwrap();
        let mut alive = outside.alive.lock().unwrap();
        let here = ledger.conversation_of_run(run);
        let other = alive
            .iter()
            .find(|other| ledger.conversation_of_run(**other) == here);
        let checked = match other {
            Some(other) => Err(format!("{other} and {run} are in one workspace")),
            None => ledger.check_run(run),
        };
        alive.push(run);
        drop((ledger, alive));
        outside.check(&self.life, checked);
    }

    fn leave(&self, run: RunId) {
        self.outside
            .alive
            .lock()
            .unwrap()
            .retain(|alive| *alive != run);
    }

    async fn execute(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) -> Result<RunEnd, RunFailure> {
        let run = request.run;
        self.step(|| format!("start run {run}")).await;
        if self.outside.percent(|rates| rates.engine) {
            return Err(RunFailure::Setup("no network".to_owned()));
        }
        self.enter(run);
        let ended = self.live(&request, recorder.as_ref(), &stop).await;
        // Whatever way a run ends, what it made is removed.
        self.step(|| format!("remove what is left of run {run}"))
            .await;
        self.leave(run);
        ended
    }

    async fn live(
        &self,
        request: &RunRequest,
        recorder: &dyn Recorder,
        stop: &CancellationToken,
    ) -> Result<RunEnd, RunFailure> {
        let run = request.run;
        let mut end = RunEnd {
            exit_code: 0,
            timed_out: false,
            stopped: false,
            out_of_memory: false,
            proxy_lost: false,
            too_much_output: false,
            duration_ms: 1000,
            stderr_tail: String::new(),
        };
        recorder.record(vec![started(run)]).await?;
        let session = session_of(request);
        keep_session(request, &session);
        let init = format!(r#"{{"type":"system","subtype":"init","session_id":"{session}"}}"#);
        let is_bad = self.outside.percent(|rates| rates.bad_run);
        let kind = if is_bad { self.outside.below(7) } else { 7 };
        let lines = match kind {
            0 => vec![failure("error_during_execution", "null", UNKNOWN)],
            1 => vec![init, failure("success", "529", "Overloaded")],
            2..=4 => vec![init, spent()],
            5 => vec![init, said("Done."), result("Done.", &session)],
            6 => {
                let resets_at = clock::now_ms() + self.outside.below(LIMIT_LASTS_MS_MAX);
                let words = "You've hit your session limit";
                vec![
                    init,
                    limited(resets_at / 1000),
                    failure("success", "429", words),
                ]
            }
            _ => {
                if self.outside.below(5) == 0 {
                    let file = source_of(request, "/outbox").join("result.txt");
                    std::fs::write(file, "content").unwrap();
                }
                vec![init, said("Done."), result("Done.", &session)]
            }
        };
        for line in lines {
            self.step(|| format!("run {run} works")).await;
            observe(recorder, run, vec![line]).await?;
        }
        match kind {
            // Its container does not end by itself.
            4 | 5 => tokio::select! {
                biased;
                () = stop.cancelled() => end.stopped = true,
                () = tokio::time::sleep(RUN_TIME_MAX) => end.timed_out = true,
            },
            2 => end.out_of_memory = true,
            3 => end.proxy_lost = true,
            _ => {}
        }
        end.exit_code = i32::from(kind < 2 || kind == 6) + i32::from((2..6).contains(&kind)) * 137;
        recorder.record(vec![exited(run, end.exit_code)]).await?;
        Ok(end)
    }
}

impl Channel for SimPorts {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Email
    }

    fn listen(self: Arc<Self>, _: Intake, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move { stop.cancelled().await })
    }

    fn triage(&self, raw: &[u8], _: Option<&Evidence>) -> Triage {
        read(raw)
    }

    fn send(&self, message: OutboundMessage) -> BoxFuture<'_, SendOutcome> {
        Box::pin(self.send_one(message))
    }

    fn search(&self, message: OutboundMessage) -> BoxFuture<'_, Trace> {
        Box::pin(self.search_one(message))
    }
}

impl Sandbox for SimPorts {
    fn ensure_image(
        &self,
        _: ImageRequest,
        _: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<String, ImageError>> {
        Box::pin(async move {
            self.step(|| "make the image".to_owned()).await;
            if self.outside.percent(|rates| rates.engine) {
                return Err(ImageError::Engine("no podman".to_owned()));
            }
            Ok("localhost/airut-overlay:1".to_owned())
        })
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
        Box::pin(async move {
            self.step(|| format!("remove run {run}")).await;
            self.leave(run);
            Ok(())
        })
    }

    fn release_frozen(
        &self,
        run: RunId,
        cause: ReleaseCause,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move {
            self.step(|| format!("let the frozen run {run} go")).await;
            let released = FrozenRunReleased { run, cause };
            Ok(recorder.record(vec![released.into()]).await?)
        })
    }

    fn sweep(&self, _: Arc<dyn Recorder>) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move {
            self.step(|| "sweep".to_owned()).await;
            if self.outside.percent(|rates| rates.engine) {
                return Err(RunFailure::Engine("no podman".to_owned()));
            }
            self.outside.alive.lock().unwrap().clear();
            Ok(())
        })
    }

    fn agent_binary(&self, version: String) -> PortFuture<'_, Result<PathBuf, RunFailure>> {
        let path = PathBuf::from("/claude").join(version);
        Box::pin(std::future::ready(Ok(path)))
    }
}

impl Mirrors for SimPorts {
    fn fetch<'a>(
        &'a self,
        repo: &'a RepoId,
        url: &'a str,
    ) -> PortFuture<'a, Result<MirrorHead, GitError>> {
        Box::pin(async move {
            self.step(|| "fetch the mirror".to_owned()).await;
            let fails = self.outside.percent(|rates| rates.mirror);
            let url = if fails { "unreachable" } else { url };
            FakeMirrors.fetch(repo, url).await
        })
    }

    fn read_file<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<Vec<u8>, GitError>> {
        FakeMirrors.read_file(repo, commit, path)
    }

    fn last_change<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<LastChange, GitError>> {
        FakeMirrors.last_change(repo, commit, path)
    }

    fn read_directory<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<Vec<(String, Vec<u8>)>, GitError>> {
        FakeMirrors.read_directory(repo, commit, path)
    }

    fn clone_workspace<'a>(
        &'a self,
        repo: &'a RepoId,
        url: &'a str,
        destination: &'a Path,
    ) -> PortFuture<'a, Result<(), GitError>> {
        Box::pin(async move {
            self.step(|| "clone the workspace".to_owned()).await;
            FakeMirrors.clone_workspace(repo, url, destination).await
        })
    }
}
