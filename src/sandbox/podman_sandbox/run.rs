//! One run from its network to its removal: every step is recorded when it is done, and everything
//! made is removed again, whatever way the run ends.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Stopwatch;
use crate::events::container::{
    ContainerCreated, ContainerExited, ContainerRole, ContainerStarted, PromptWritten,
    StopSignalSent,
};
use crate::sandbox::link_server::LinkState;
use crate::sandbox::podman::Attached;
use crate::sandbox::podman_sandbox::agent_spec::agent_spec;
use crate::sandbox::podman_sandbox::cut::{Cut, await_cut, cause_of, has_seen_honey};
use crate::sandbox::podman_sandbox::names::Names;
use crate::sandbox::podman_sandbox::oom::OomCounter;
use crate::sandbox::podman_sandbox::output::Output;
use crate::sandbox::podman_sandbox::recording::{SharedOutput, record_output};
use crate::sandbox::podman_sandbox::{PodmanSandbox, network, passed};
use crate::sandbox::port::{NetworkRequest, OutputKind, RunEnd, RunFailure, RunRequest};
use crate::sandbox::recorder::Recorder;

/// Time a container has after `SIGTERM`; then it gets `SIGKILL` (spec row GW-24).
const TERM_GRACE: Duration = Duration::from_secs(5);

/// Time for a killed container to be gone and for its last output to arrive.
const KILL_TIME_MAX: Duration = Duration::from_secs(20);

/// Time for the step of a set-up that is under way when the run is stopped; then it is left.
const STEP_END_TIME_MAX: Duration = Duration::from_secs(5);

/// The exit code of a process that was killed.
const KILLED: i32 = 137;

/// A started agent.
struct Started {
    attached: Attached,
    link: Option<watch::Receiver<LinkState>>,
    since: Stopwatch,
    oom: OomCounter,
}

impl PodmanSandbox {
    pub(super) async fn execute(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) -> Result<RunEnd, RunFailure> {
        let run = request.run;
        self.service.ensure().await?;
        self.release_due(recorder.as_ref()).await;
        self.remove_left_overs(recorder.as_ref()).await;
        let over = CancellationToken::new();
        let ended = self.execute_inside(request, &recorder, &stop, &over).await;
        over.cancel();
        // Whatever way it ended, nothing of it stays; and whatever stays is no reason to throw away
        // what the agent did. It is tried again before the next run, and by the next sweep.
        if let Err(error) = self.remove_all_of(run, recorder.as_ref()).await {
            tracing::warn!(%run, %error, "something of the run could not be removed");
        }
        ended
    }

    async fn execute_inside(
        &self,
        request: RunRequest,
        recorder: &Arc<dyn Recorder>,
        stop: &CancellationToken,
        over: &CancellationToken,
    ) -> Result<RunEnd, RunFailure> {
        let names = Names::of(&self.settings.instance, request.run);
        let left = async {
            stop.cancelled().await;
            tokio::time::sleep(STEP_END_TIME_MAX).await;
        };
        let started = tokio::select! {
            started = self.set_up(&request, &names, recorder, stop, over) => started,
            () = left => {
                // Podman may still do what it was asked, after the removal that comes now.
                self.note_left_over(request.run);
                Err(stopped())
            }
        };
        match started {
            Ok(started) => {
                self.follow(&request, &names, started, recorder.as_ref(), stop)
                    .await
            }
            Err(RunFailure::Engine(_) | RunFailure::Setup(_)) if stop.is_cancelled() => {
                Ok(stopped_early())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Makes everything and starts the agent; a stop ends it before its next step.
    async fn set_up(
        &self,
        request: &RunRequest,
        names: &Names,
        recorder: &Arc<dyn Recorder>,
        stop: &CancellationToken,
        over: &CancellationToken,
    ) -> Result<Started, RunFailure> {
        still_wanted(stop)?;
        network::close_host_doors()
            .await
            .map_err(RunFailure::Setup)?;
        let guard = match &request.network {
            NetworkRequest::Open => None,
            NetworkRequest::Sandboxed(policy) => Some(
                self.start_proxy(request.run, names, policy, recorder, stop, over)
                    .await?,
            ),
        };
        still_wanted(stop)?;
        let mut spec = agent_spec(request, names, guard.as_ref());
        spec.seccomp = self.seccomp.clone();
        let id = self.podman().create_container(&spec).await?;
        let role = ContainerRole::Agent;
        let (run, name) = (request.run, names.agent.clone());
        let created = ContainerCreated {
            run,
            role,
            name,
            container_id: id,
        };
        recorder.record(vec![created.into()]).await?;
        still_wanted(stop)?;
        let attached = self.podman().attach(&names.agent).await?;
        let since = Stopwatch::start();
        self.podman().start(&names.agent).await?;
        recorder
            .record(vec![ContainerStarted { run, role }.into()])
            .await?;
        Ok(Started {
            attached,
            link: guard.map(|guard| guard.link),
            since,
            oom: self.oom_counter(request, names).await,
        })
    }

    /// Returns the counter of a limited container; one that has ended already has none.
    async fn oom_counter(&self, request: &RunRequest, names: &Names) -> OomCounter {
        if request.limits.memory_bytes.is_none() {
            return OomCounter::default();
        }
        let facts = self.podman().inspect_container(&names.agent).await;
        match facts.ok().and_then(|facts| facts["State"]["Pid"].as_i64()) {
            Some(id) if id > 0 => OomCounter::of_process(id).await,
            Some(_) | None => OomCounter::default(),
        }
    }

    /// Feeds the agent, follows what it writes, and ends it when it must end.
    async fn follow(
        &self,
        request: &RunRequest,
        names: &Names,
        started: Started,
        recorder: &dyn Recorder,
        stop: &CancellationToken,
    ) -> Result<RunEnd, RunFailure> {
        let Started {
            mut attached,
            link,
            since,
            oom,
        } = started;
        let run = request.run;
        let output = Arc::new(Mutex::new(Output::new(run, Arc::clone(&self.blobs))));
        let (flood, seen) = (CancellationToken::new(), link.clone());
        let decided = OnceLock::new();
        {
            let working = self.work(request, names, &mut attached, &output, &flood, recorder);
            let cut = await_cut(request, link, stop, &flood);
            let guard = self.end_when_due(request, names, cut, recorder, &decided);
            tokio::pin!(working, guard);
            tokio::select! {
                // An agent that ends right after the theft is kept all the same.
                worked = &mut working => {
                    if has_seen_honey(seen.as_ref()) {
                        guard.await?;
                    } else {
                        worked?;
                    }
                }
                ended = &mut guard => {
                    ended?;
                    // What it wrote until its end still arrives.
                    let frozen = matches!(decided.get(), Some(Cut::HoneySeen(_)));
                    if !frozen
                        && let Ok(worked) = tokio::time::timeout(KILL_TIME_MAX, &mut working).await
                    {
                        worked?;
                    }
                }
            }
        }
        if matches!(decided.get(), Some(Cut::HoneySeen(_))) {
            return Ok(frozen(since.elapsed_ms()));
        }
        // Its streams are closed, its control group is about to go.
        let oom_kills = oom.kills().await;
        let cut = decided.get();
        let exit_code = self.await_exit(names).await?;
        let is_limited = request.limits.memory_bytes.is_some();
        let may_be_oom = is_limited && exit_code == KILLED && cut.is_none();
        // Where the kernel's count cannot be read, a kill that nobody of us sent is its own.
        let out_of_memory = may_be_oom && oom_kills.is_none_or(|kills| kills > 0);
        let role = ContainerRole::Agent;
        let duration_ms = since.elapsed_ms();
        let exited = ContainerExited {
            run,
            role,
            exit_code,
            out_of_memory,
            duration_ms,
        };
        recorder.record(vec![exited.into()]).await?;
        Ok(RunEnd {
            exit_code,
            timed_out: cut == Some(&Cut::TimedOut),
            stopped: matches!(cut, Some(Cut::Stopped | Cut::ServiceEnds)),
            out_of_memory,
            proxy_lost: cut == Some(&Cut::ProxyLost),
            too_much_output: cut == Some(&Cut::TooMuchOutput),
            duration_ms,
            stderr_tail: stderr_tail(&output),
        })
    }

    /// Feeds the agent and takes what it writes, until it ends.
    async fn work(
        &self,
        request: &RunRequest,
        names: &Names,
        attached: &mut Attached,
        output: &SharedOutput,
        flood: &CancellationToken,
        recorder: &dyn Recorder,
    ) -> Result<(), RunFailure> {
        let stdin = attached.take_stdin();
        if let OutputKind::Passed(streams) = &request.output {
            passed::pass(streams.as_ref(), stdin, attached).await;
            // A command may close its output and go on.
            return Ok(self.podman().wait(&names.agent).await.map(drop)?);
        }
        let (run, bytes) = (request.run, request.stdin.len() as u64);
        let feed = async {
            let Some(stdin) = stdin else { return Ok(()) };
            match stdin.write_all(&request.stdin).await {
                Ok(()) => {
                    recorder
                        .record(vec![PromptWritten { run, bytes }.into()])
                        .await
                }
                // The pipe is closed: the agent has ended, and its exit and output are the record.
                Err(_) => Ok(()),
            }
        };
        let read = record_output(attached, output, flood, recorder);
        Ok(tokio::try_join!(feed, read).map(drop)?)
    }

    async fn await_exit(&self, names: &Names) -> Result<i32, RunFailure> {
        let waiting = tokio::time::timeout(KILL_TIME_MAX, self.podman().wait(&names.agent)).await;
        let code = waiting.map_err(|_| {
            let seconds = KILL_TIME_MAX.as_secs();
            RunFailure::Setup(format!(
                "the container closed its output but did not end in {seconds} s"
            ))
        })?;
        Ok(code?)
    }

    /// Waits for a reason to end the agent, notes it, and ends the agent.
    async fn end_when_due(
        &self,
        request: &RunRequest,
        names: &Names,
        cut: impl Future<Output = Cut>,
        recorder: &dyn Recorder,
        decided: &OnceLock<Cut>,
    ) -> Result<(), RunFailure> {
        let cut = cut.await;
        let cut = decided.get_or_init(|| cut);
        if let Cut::HoneySeen(why) = cut {
            return self.freeze(request.run, names, why.clone(), recorder).await;
        }
        // Only a request leaves time to finish; what ran out of time or lost its guard is killed.
        let signals: &[&str] = match cut {
            Cut::Stopped | Cut::ServiceEnds => &["SIGTERM", "SIGKILL"],
            Cut::TimedOut | Cut::ProxyLost | Cut::TooMuchOutput | Cut::HoneySeen(_) => &["SIGKILL"],
        };
        for signal in signals {
            let sent = StopSignalSent {
                run: request.run,
                signal: (*signal).to_owned(),
                cause: cause_of(cut),
            };
            recorder.record(vec![sent.into()]).await?;
            self.podman().kill(&names.agent, signal).await?;
            let ended = tokio::time::timeout(TERM_GRACE, self.podman().wait(&names.agent)).await;
            if ended.is_ok() {
                break;
            }
        }
        Ok(())
    }
}

fn stderr_tail(output: &SharedOutput) -> String {
    let output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.stderr_tail().to_owned()
}

/// Lets a set-up go on unless its run is stopped.
pub(super) fn still_wanted(stop: &CancellationToken) -> Result<(), RunFailure> {
    if stop.is_cancelled() {
        Err(stopped())
    } else {
        Ok(())
    }
}

fn stopped() -> RunFailure {
    RunFailure::Setup("the run was stopped before its agent started".to_owned())
}

/// The end of a run whose agent never started.
fn stopped_early() -> RunEnd {
    RunEnd {
        exit_code: KILLED,
        timed_out: false,
        stopped: true,
        out_of_memory: false,
        proxy_lost: false,
        too_much_output: false,
        duration_ms: 0,
        stderr_tail: String::new(),
    }
}

/// The end of a run that was frozen: its agent has not ended, and will not.
fn frozen(duration_ms: u64) -> RunEnd {
    RunEnd {
        stopped: false,
        duration_ms,
        ..stopped_early()
    }
}
