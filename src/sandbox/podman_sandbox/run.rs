//! One run from its network to its removal: every step is recorded when it is done, and everything
//! made is removed again, whatever way the run ends.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Stopwatch;
use crate::events::Event;
use crate::events::container::{
    ContainerCreated, ContainerExited, ContainerRole, ContainerStarted, PromptWritten, StopCause,
    StopSignalSent,
};
use crate::events::run::Mount;
use crate::sandbox::link_server::LinkState;
use crate::sandbox::podman::{Attached, BindMount, ContainerSpec};
use crate::sandbox::podman_sandbox::PodmanSandbox;
use crate::sandbox::podman_sandbox::guard::Guard;
use crate::sandbox::podman_sandbox::image::{CA_BUNDLE_PATH, CA_PATH};
use crate::sandbox::podman_sandbox::names::Names;
use crate::sandbox::podman_sandbox::output::Output;
use crate::sandbox::port::{NetworkRequest, RunEnd, RunFailure, RunRequest};
use crate::sandbox::recorder::Recorder;

/// Time a container has after `SIGTERM`; then it gets `SIGKILL` (spec row GW-24).
const TERM_GRACE: Duration = Duration::from_secs(5);

/// Time for a killed container to be gone and for its last output to arrive.
const KILL_TIME_MAX: Duration = Duration::from_secs(20);

/// Chunks of output that are recorded with one append.
const CHUNKS_PER_RECORD_MAX: usize = 64;

/// Where the workspace is mounted, and where the command starts when it is.
const WORKSPACE: &str = "/workspace";

/// Why an agent was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Stopped,
    TimedOut,
    ProxyLost,
}

impl PodmanSandbox {
    pub(super) async fn execute(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) -> Result<RunEnd, RunFailure> {
        let run = request.run;
        let over = CancellationToken::new();
        let ended = self.execute_inside(request, &recorder, &stop, &over).await;
        over.cancel();
        // Whatever way it ended, nothing of it stays. A removal that fails is the next sweep's.
        let removed = self.remove_all_of(run, recorder.as_ref()).await;
        let ended = ended?;
        removed?;
        Ok(ended)
    }

    async fn execute_inside(
        &self,
        request: RunRequest,
        recorder: &Arc<dyn Recorder>,
        stop: &CancellationToken,
        over: &CancellationToken,
    ) -> Result<RunEnd, RunFailure> {
        let names = Names::of(&self.settings.instance, request.run);
        let guard = match &request.network {
            NetworkRequest::Open => None,
            NetworkRequest::Sandboxed(policy) => Some(
                self.start_proxy(request.run, &names, policy, recorder, over)
                    .await?,
            ),
        };
        let spec = agent_spec(&request, &names, guard.as_ref());
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
        let attached = self.podman().attach(&names.agent).await?;
        let since = Stopwatch::start();
        self.podman().start(&names.agent).await?;
        recorder
            .record(vec![ContainerStarted { run, role }.into()])
            .await?;
        let link = guard.map(|guard| guard.link);
        self.follow(
            &request,
            &names,
            attached,
            link,
            recorder.as_ref(),
            stop,
            since,
        )
        .await
    }

    /// Feeds the agent, follows what it writes, and ends it when it must end.
    #[expect(clippy::too_many_arguments, reason = "the parts of one run, used once")]
    async fn follow(
        &self,
        request: &RunRequest,
        names: &Names,
        mut attached: Attached,
        link: Option<watch::Receiver<LinkState>>,
        recorder: &dyn Recorder,
        stop: &CancellationToken,
        since: Stopwatch,
    ) -> Result<RunEnd, RunFailure> {
        let run = request.run;
        let stdin = attached.take_stdin();
        let feed = async {
            let Some(stdin) = stdin else { return Ok(()) };
            let bytes = request.stdin.len() as u64;
            match stdin.write_all(&request.stdin).await {
                Ok(()) => {
                    recorder
                        .record(vec![PromptWritten { run, bytes }.into()])
                        .await
                }
                // An agent that does not read its prompt says why itself.
                Err(_) => Ok(()),
            }
        };
        let mut output = Output::new(run, &self.blobs);
        let decided = OnceLock::new();
        {
            let read = record_output(&mut attached, &mut output, recorder);
            let working = async { tokio::try_join!(feed, read).map(drop) };
            let guard = self.end_when_due(request, names, link, recorder, stop, &decided);
            tokio::pin!(working, guard);
            tokio::select! {
                worked = &mut working => worked?,
                ended = &mut guard => {
                    ended?;
                    // What it wrote until its end still arrives.
                    if let Ok(worked) = tokio::time::timeout(KILL_TIME_MAX, &mut working).await {
                        worked?;
                    }
                }
            }
        }
        let cut = decided.get().copied();
        let exit_code = self.await_exit(names).await?;
        let out_of_memory =
            exit_code == 137 && cut.is_none() && request.limits.memory_bytes.is_some();
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
            timed_out: cut == Some(Cut::TimedOut),
            stopped: cut == Some(Cut::Stopped),
            out_of_memory,
            proxy_lost: cut == Some(Cut::ProxyLost),
            duration_ms,
            stderr_tail: output.stderr_tail(),
        })
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
        link: Option<watch::Receiver<LinkState>>,
        recorder: &dyn Recorder,
        stop: &CancellationToken,
        decided: &OnceLock<Cut>,
    ) -> Result<(), RunFailure> {
        let limit = async {
            match request.limits.timeout_ms {
                Some(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
                None => std::future::pending().await,
            }
        };
        let lost = async {
            match link {
                Some(mut link) => {
                    // An error means that the server is gone, and with it the proxy's permission.
                    let _gone = link
                        .wait_for(|state| matches!(state, LinkState::Lost(_)))
                        .await;
                }
                None => std::future::pending().await,
            }
        };
        let cut = tokio::select! {
            () = stop.cancelled() => Cut::Stopped,
            () = limit => Cut::TimedOut,
            () = lost => Cut::ProxyLost,
        };
        let cut = *decided.get_or_init(|| cut);
        // Only a request leaves time to finish; what ran out of time or lost its guard is killed.
        let signals: &[&str] = if cut == Cut::Stopped {
            &["SIGTERM", "SIGKILL"]
        } else {
            &["SIGKILL"]
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

fn cause_of(cut: Cut) -> StopCause {
    match cut {
        Cut::Stopped => StopCause::Requested,
        Cut::TimedOut => StopCause::TimeLimit,
        Cut::ProxyLost => StopCause::ProxyLost,
    }
}

/// Records what a container writes until it closes its streams.
async fn record_output(
    attached: &mut Attached,
    output: &mut Output<'_>,
    recorder: &dyn Recorder,
) -> Result<(), crate::sandbox::recorder::RecordError> {
    let (sender, mut chunks) = tokio::sync::mpsc::channel(CHUNKS_PER_RECORD_MAX);
    let read = async move {
        while let Some(chunk) = attached.next().await {
            if sender.send(chunk).await.is_err() {
                break;
            }
        }
    };
    let record = async {
        let mut waiting = Vec::new();
        while chunks.recv_many(&mut waiting, CHUNKS_PER_RECORD_MAX).await > 0 {
            let events: Vec<Event> = waiting
                .drain(..)
                .flat_map(|chunk| output.take(chunk))
                .collect();
            record_in_parts(events, recorder).await?;
        }
        record_in_parts(output.finish().into_iter().collect(), recorder).await
    };
    tokio::join!(read, record).1
}

/// Records events, in several appends when there are more than one may hold.
async fn record_in_parts(
    events: Vec<Event>,
    recorder: &dyn Recorder,
) -> Result<(), crate::sandbox::recorder::RecordError> {
    for part in events.chunks(crate::events::log::APPEND_EVENTS_MAX) {
        recorder.record(part.to_vec()).await?;
    }
    Ok(())
}

/// The agent's container (spec rows SBX-07 to SBX-10, NET-04).
fn agent_spec(request: &RunRequest, names: &Names, guard: Option<&Guard>) -> ContainerSpec {
    let mut spec = ContainerSpec {
        name: names.agent.clone(),
        image: request.image.clone(),
        command: request.argv.clone(),
        env: request.env.clone(),
        mounts: request.mounts.iter().map(bind).collect(),
        labels: names.labels.clone(),
        limits: request.limits.clone(),
        work_dir: request
            .mounts
            .iter()
            .any(|m| m.target == WORKSPACE)
            .then(|| WORKSPACE.to_owned()),
        stdin: true,
        ..ContainerSpec::default()
    };
    let mut set = |name: &str, value: &str| {
        spec.env.retain(|(known, _)| known != name);
        spec.env.push((name.to_owned(), SecretString::from(value)));
    };
    set("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1");
    let Some(guard) = guard else {
        return spec;
    };
    set("NODE_EXTRA_CA_CERTS", CA_PATH);
    for name in [
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
    ] {
        set(name, CA_BUNDLE_PATH);
    }
    spec.mounts.push(BindMount {
        source: guard.ca_file.clone(),
        target: CA_PATH.to_owned(),
        read_only: true,
    });
    spec.networks = vec![(guard.network.clone(), None)];
    spec.dns = vec![guard.proxy];
    spec
}

fn bind(mount: &Mount) -> BindMount {
    let Mount {
        source,
        target,
        read_only,
    } = mount.clone();
    BindMount {
        source,
        target,
        read_only,
    }
}
