//! Podman's API service as a process of ours, for as long as the daemon lives. One that dies is
//! replaced: it holds nothing, containers are no children of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::sandbox::podman::{Podman, PodmanError};
use crate::sandbox::process::{Companion, ProcessError, end_leftovers};

/// Time for an own `podman system service` to open its socket.
const SERVICE_START_TIME_MAX: Duration = Duration::from_secs(10);

/// Podman's API with the service of ours that gives it.
#[derive(Debug)]
pub struct PodmanService {
    /// The API.
    pub podman: Podman,
    command: String,
    socket: PathBuf,
    // Held while the service is replaced, so that one caller does it.
    companion: Mutex<Option<Companion>>,
}

impl PodmanService {
    /// Starts a service of our own in `runtime_dir`.
    ///
    /// # Errors
    /// [`PodmanError::Unreachable`] saying what is missing.
    pub async fn start(command: &str, runtime_dir: &Path) -> Result<Self, PodmanError> {
        let socket = runtime_dir.join("podman.sock");
        let service = Self {
            podman: Podman::at(&socket),
            command: command.to_owned(),
            socket,
            companion: Mutex::new(None),
        };
        // A service that a killed daemon left may answer, but nobody would ever end it.
        let mut companion = service.companion.lock().await;
        service.replace(&mut companion).await?;
        drop(companion);
        Ok(service)
    }

    /// Returns the API of a socket that somebody else serves.
    #[cfg(test)]
    pub(crate) fn at(socket: &Path) -> Self {
        Self {
            podman: Podman::at(socket),
            command: "false".to_owned(),
            socket: socket.to_owned(),
            companion: Mutex::new(None),
        }
    }

    /// Returns once the service answers; one that cannot be reached any more is replaced.
    ///
    /// # Errors
    /// [`PodmanError`] when it does not answer and could not be replaced. A service that is only slow
    /// is left alone: runs are attached through it.
    pub async fn ensure(&self) -> Result<(), PodmanError> {
        if !is_gone(&self.podman.ping().await) {
            return Ok(());
        }
        let mut companion = self.companion.lock().await;
        // Whoever waited for the lock finds the new one.
        let answer = self.podman.ping().await;
        if !is_gone(&answer) {
            return answer;
        }
        tracing::warn!("podman's service is gone and is started again");
        if let Some(gone) = companion.take() {
            gone.stop().await;
        }
        self.replace(&mut companion).await
    }

    /// Ends the service that a killed process of ours left in its runtime directory.
    pub async fn end_left_over(runtime_dir: &Path) {
        let url = format!("unix://{}", runtime_dir.join("podman.sock").display());
        end_leftovers(&["system", "service", "--time=0", &url]).await;
    }

    /// Returns the process of the service.
    pub async fn process_id(&self) -> Option<u32> {
        self.companion.lock().await.as_ref()?.id()
    }

    /// Ends the service.
    pub async fn stop(self) {
        if let Some(companion) = self.companion.into_inner() {
            companion.stop().await;
        }
    }

    async fn launch(&self) -> Result<Companion, PodmanError> {
        let url = format!("unix://{}", self.socket.display());
        let arguments = ["system", "service", "--time=0", &url];
        // A daemon that was killed could not take its service with it, and that may still be making
        // a container that the sweep would miss.
        end_leftovers(&arguments).await;
        // A socket that nobody listens on stands in the way of a new one.
        let _not_there = std::fs::remove_file(&self.socket);
        let command = &self.command;
        Companion::start(command, &arguments).map_err(|error| match error {
            ProcessError::Start { error, .. } => {
                PodmanError::Unreachable(format!("{command} could not be started: {error}"))
            }
            other => PodmanError::Unreachable(other.to_string()),
        })
    }

    /// Starts another process and waits until it answers; one that ends before is waited for no longer.
    async fn replace(&self, companion: &mut Option<Companion>) -> Result<(), PodmanError> {
        let launched = companion.insert(self.launch().await?);
        let answers = async {
            while self.podman.ping().await.is_err() {
                if !launched.is_running() {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            true
        };
        let what = match tokio::time::timeout(SERVICE_START_TIME_MAX, answers).await {
            Ok(true) => return Ok(()),
            Ok(false) => "ended before it gave an answer; run it by hand to see why".to_owned(),
            Err(_) => format!("gave no answer in {} s", SERVICE_START_TIME_MAX.as_secs()),
        };
        let command = &self.command;
        Err(PodmanError::Unreachable(format!(
            "`{command} system service` {what}"
        )))
    }
}

fn is_gone(answer: &Result<(), PodmanError>) -> bool {
    matches!(answer, Err(PodmanError::Unreachable(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_ends_at_once_is_not_waited_for() {
        let directory = tempfile::TempDir::new().unwrap();
        let watch = crate::clock::Stopwatch::start();
        let error = PodmanService::start("false", directory.path()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("ended before it gave an answer"), "{error}");
        assert!(watch.elapsed() < SERVICE_START_TIME_MAX, "{error}");
    }
}
