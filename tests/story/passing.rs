//! A sandbox of which nothing outlives a run: its agent begins or resumes a session, works, and says
//! one thing. It knows no channel.

use std::path::PathBuf;
use std::sync::Arc;

use airut::events::container::{FrozenRunReleased, ReleaseCause};
use airut::events::id::RunId;
use airut::sandbox::port::{ImageError, ImageRequest, RunEnd, RunFailure, RunRequest, Sandbox};
use airut::sandbox::recorder::{PortFuture, Recorder};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::parts::{exited, keep_session, observe, result, said, session_of, started};

/// The exit code of an agent that was stopped.
const STOPPED: i32 = 143;

/// What an agent does.
pub(crate) trait Agent: Send + Sync {
    /// Works; returns what it says, and nothing when it was stopped before.
    fn work(
        &self,
        request: &RunRequest,
        stop: &CancellationToken,
    ) -> impl Future<Output = Option<String>> + Send;
}

/// The sandbox of such an agent.
pub(crate) struct Passing<A>(pub(crate) A);

impl<A: Agent> Sandbox for Passing<A> {
    fn ensure_image(
        &self,
        _: ImageRequest,
        _: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<String, ImageError>> {
        Box::pin(std::future::ready(Ok("localhost/passing:1".to_owned())))
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
            let init = json!({"type": "system", "subtype": "init", "session_id": session});
            observe(recorder.as_ref(), run, vec![init.to_string()]).await?;
            let Some(text) = self.0.work(&request, &stop).await else {
                recorder.record(vec![exited(run, STOPPED)]).await?;
                return Ok(end(STOPPED));
            };
            // It stands within JSON there, and may have ends of lines and quotes.
            let text = json!(text).to_string();
            let text = &text[1..text.len() - 1];
            observe(
                recorder.as_ref(),
                run,
                vec![said(text), result(text, &session)],
            )
            .await?;
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

fn end(exit_code: i32) -> RunEnd {
    RunEnd {
        exit_code,
        timed_out: false,
        stopped: exit_code == STOPPED,
        out_of_memory: false,
        proxy_lost: false,
        too_much_output: false,
        duration_ms: 1,
        stderr_tail: String::new(),
    }
}
