//! Podman's API service as a process of ours, for as long as the daemon lives.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sandbox::podman::{Podman, PodmanError};
use crate::sandbox::process::{Companion, ProcessError, end_leftovers};

/// Time for an own `podman system service` to open its socket.
const SERVICE_START_TIME_MAX: Duration = Duration::from_secs(10);

/// Podman's API with the service that gives it, when that is ours.
#[derive(Debug)]
pub struct PodmanService {
    /// The API.
    pub podman: Podman,
    companion: Option<Companion>,
}

impl PodmanService {
    /// Uses a socket that answers, or else starts a service of our own in `runtime_dir`.
    ///
    /// # Errors
    /// [`PodmanError::Unreachable`] saying what is missing.
    pub async fn find_or_start(
        command: &str,
        sockets: &[PathBuf],
        runtime_dir: &Path,
    ) -> Result<Self, PodmanError> {
        for socket in sockets.iter().filter(|socket| socket.exists()) {
            let podman = Podman::at(socket);
            if podman.version().await.is_ok() {
                return Ok(Self {
                    podman,
                    companion: None,
                });
            }
        }
        let socket = runtime_dir.join("podman.sock");
        // A socket that nobody listens on stands in the way of a new one.
        let _not_there = std::fs::remove_file(&socket);
        let url = format!("unix://{}", socket.display());
        let arguments = ["system", "service", "--time=0", &url];
        // A daemon that was killed could not take its service with it.
        end_leftovers(&arguments);
        let companion = Companion::start(command, &arguments);
        let companion = companion.map_err(|error| match error {
            ProcessError::Start { error, .. } => {
                PodmanError::Unreachable(format!("{command} could not be started: {error}"))
            }
            other => PodmanError::Unreachable(other.to_string()),
        })?;
        let podman = Podman::at(&socket);
        let answering = async {
            while podman.version().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let seconds = SERVICE_START_TIME_MAX.as_secs();
        let answers = tokio::time::timeout(SERVICE_START_TIME_MAX, answering).await;
        answers.map_err(|_| {
            PodmanError::Unreachable(format!(
                "`{command} system service` gave no answer in {seconds} s"
            ))
        })?;
        Ok(Self {
            podman,
            companion: Some(companion),
        })
    }

    /// Ends the service if it is ours.
    pub async fn stop(self) {
        if let Some(companion) = self.companion {
            companion.stop().await;
        }
    }
}
