//! A sandbox that may not be there yet. As long as the engine cannot be used, every run is refused
//! with the reason, which its sender reads, and the next run tries again.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::events::container::ReleaseCause;
use crate::events::id::RunId;
use crate::handlers::channels::BoxFuture;
use crate::sandbox::port::{ImageError, ImageRequest, RunEnd, RunFailure, RunRequest, Sandbox};
use crate::sandbox::recorder::{PortFuture, Recorder};

/// Makes the sandbox, or says why it cannot be used now.
pub type Starter =
    Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Sandbox>, String>> + Send + Sync>;

/// A sandbox that is started when it is first needed, and again until it is there.
pub struct StandbySandbox {
    starter: Starter,
    // Held across the start, so that there is one start at a time.
    started: Mutex<Option<Arc<dyn Sandbox>>>,
}

impl StandbySandbox {
    /// Returns a sandbox that is not started yet.
    pub fn new(starter: Starter) -> Self {
        Self {
            starter,
            started: Mutex::new(None),
        }
    }

    /// Starts the sandbox if it is not there, and sweeps what an earlier process left.
    ///
    /// # Errors
    /// Why it cannot be used now.
    pub async fn start(&self, recorder: Arc<dyn Recorder>) -> Result<Arc<dyn Sandbox>, String> {
        let mut started = self.started.lock().await;
        if let Some(sandbox) = started.as_ref() {
            return Ok(Arc::clone(sandbox));
        }
        let sandbox = (self.starter)().await?;
        let swept = sandbox.sweep(recorder).await;
        swept.map_err(|error| error.to_string())?;
        *started = Some(Arc::clone(&sandbox));
        Ok(sandbox)
    }

    /// Lets go of the sandbox, so that whoever made it can end it.
    pub async fn release(&self) {
        *self.started.lock().await = None;
    }
}

impl Sandbox for StandbySandbox {
    fn ensure_image(
        &self,
        request: ImageRequest,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<String, ImageError>> {
        Box::pin(async move {
            let sandbox = self.start(Arc::clone(&recorder)).await;
            let sandbox = sandbox.map_err(ImageError::Engine)?;
            sandbox.ensure_image(request, recorder).await
        })
    }

    fn run(
        &self,
        request: RunRequest,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) -> PortFuture<'_, Result<RunEnd, RunFailure>> {
        Box::pin(async move {
            let sandbox = self.start(Arc::clone(&recorder)).await;
            let sandbox = sandbox.map_err(RunFailure::Engine)?;
            sandbox.run(request, recorder, stop).await
        })
    }

    fn remove_run(
        &self,
        run: RunId,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move {
            let sandbox = self.start(Arc::clone(&recorder)).await;
            let sandbox = sandbox.map_err(RunFailure::Engine)?;
            sandbox.remove_run(run, recorder).await
        })
    }

    fn release_frozen(
        &self,
        run: RunId,
        cause: ReleaseCause,
        recorder: Arc<dyn Recorder>,
    ) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move {
            let sandbox = self.start(Arc::clone(&recorder)).await;
            let sandbox = sandbox.map_err(RunFailure::Engine)?;
            sandbox.release_frozen(run, cause, recorder).await
        })
    }

    fn sweep(&self, recorder: Arc<dyn Recorder>) -> PortFuture<'_, Result<(), RunFailure>> {
        Box::pin(async move {
            let sandbox = self.start(Arc::clone(&recorder)).await;
            let sandbox = sandbox.map_err(RunFailure::Engine)?;
            sandbox.sweep(recorder).await
        })
    }

    fn agent_binary(
        &self,
        version: String,
    ) -> PortFuture<'_, Result<std::path::PathBuf, RunFailure>> {
        Box::pin(async move {
            let started = self.started.lock().await.clone();
            let not_there = "it was not started".to_owned();
            let sandbox = started.ok_or(RunFailure::Engine(not_there))?;
            sandbox.agent_binary(version).await
        })
    }
}
