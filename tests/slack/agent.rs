//! An agent that answers with the prompt that it was given, so that a test in Slack sees what an agent
//! would read; asked to wait, it does until it is let go. It knows no channel.

use std::path::PathBuf;
use std::sync::Arc;

use airut::events::container::{FrozenRunReleased, ReleaseCause};
use airut::events::id::RunId;
use airut::sandbox::port::{ImageError, ImageRequest, RunEnd, RunFailure, RunRequest, Sandbox};
use airut::sandbox::recorder::{PortFuture, Recorder};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::parts::{exited, keep_session, observe, session_of, source_of, started};

/// What a message says whose agent is to wait.
pub(crate) const WAIT: &str = "Wait for it.";

/// The sandbox of this agent: nothing of a run outlives it.
pub(crate) struct EchoSandbox {
    held: watch::Sender<bool>,
}

impl EchoSandbox {
    /// Returns one whose agents wait when they are asked to.
    pub(crate) fn new() -> Arc<Self> {
        let (held, _) = watch::channel(true);
        Arc::new(Self { held })
    }

    /// Lets all agents go that wait, and those that will.
    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }
}

impl Sandbox for EchoSandbox {
    fn ensure_image(
        &self,
        _: ImageRequest,
        _: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<String, ImageError>> {
        Box::pin(std::future::ready(Ok("localhost/echo:1".to_owned())))
    }

    fn run(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) -> PortFuture<'_, Result<RunEnd, RunFailure>> {
        Box::pin(async move {
            let run = request.run;
            recorder.record(vec![started(run)]).await?;
            let session = session_of(&request);
            keep_session(&request, &session);
            let prompt = String::from_utf8_lossy(&request.stdin);
            let init = json!({"type": "system", "subtype": "init", "session_id": session});
            observe(recorder.as_ref(), run, vec![init.to_string()]).await?;
            if prompt.contains(WAIT) && self.is_stopped_first(&stop).await {
                recorder.record(vec![exited(run, 143)]).await?;
                return Ok(end(143));
            }
            let echo = format!("{prompt}{}", files(&request));
            let lines = [
                json!({"type": "assistant", "message": {"content": [{"type": "text", "text": echo}]}}),
                json!({
                    "type": "result", "subtype": "success", "is_error": false, "result": echo,
                    "session_id": session, "num_turns": 2, "duration_ms": 900,
                    "total_cost_usd": 0.01,
                }),
            ];
            let lines = lines.iter().map(ToString::to_string).collect();
            observe(recorder.as_ref(), run, lines).await?;
            recorder.record(vec![exited(run, 0)]).await?;
            Ok(end(0))
        })
    }

    fn remove_run(&self, _: RunId, _: Arc<dyn Recorder>) -> PortFuture<'_, Result<(), RunFailure>> {
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
        Box::pin(std::future::ready(Ok(())))
    }

    fn agent_binary(&self, version: String) -> PortFuture<'_, Result<PathBuf, RunFailure>> {
        let path = PathBuf::from("/claude").join(version);
        Box::pin(std::future::ready(Ok(path)))
    }
}

impl EchoSandbox {
    async fn is_stopped_first(&self, stop: &CancellationToken) -> bool {
        let mut held = self.held.subscribe();
        tokio::select! {
            () = stop.cancelled() => true,
            _ = held.wait_for(|held| !held) => false,
        }
    }
}

fn end(exit_code: i32) -> RunEnd {
    RunEnd {
        exit_code,
        timed_out: false,
        stopped: exit_code != 0,
        out_of_memory: false,
        proxy_lost: false,
        too_much_output: false,
        duration_ms: 1,
        stderr_tail: String::new(),
    }
}

/// Names the files that the agent finds, with what is in them.
fn files(request: &RunRequest) -> String {
    let inbox = source_of(request, "/inbox");
    let mut found: Vec<String> = std::fs::read_dir(inbox)
        .unwrap()
        .map(|file| {
            let file = file.unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            format!("\nfile {}: {text}", file.file_name().display())
        })
        .collect();
    found.sort();
    found.concat()
}
