//! Podman's REST API (libpod, version 4) over its unix socket: typed calls, each with a time limit.
//! Source: the libpod API reference of Podman 4.3. It knows no run; names and labels come from its
//! caller.
//!
//! The transport is that of `containers-api`, which speaks hyper 0.14.

mod attach;
mod images;
mod networks;
mod service;
mod specs;

use std::path::Path;
use std::time::Duration;

use containers_api::conn::Transport;
use containers_api::conn::hyper::{Body, Method, Request, Response, StatusCode};
use serde_json::Value;

use crate::sandbox::cut::{ERROR_CHARS_MAX, first_chars};

pub use attach::{Attached, OutputChunk, Stdin};
pub use images::{BUILD_LOG_BYTES_MAX, BUILD_TIME_MAX, BuildFailure, Cache};
pub use service::PodmanService;
pub use specs::{BindMount, ContainerSpec, NetworkSpec};

/// Time for a call that only asks or tells.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// Longest answer that is read whole, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why Podman did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PodmanError {
    /// It cannot be reached.
    #[error("podman cannot be reached: {0}")]
    Unreachable(String),
    /// The call took too long.
    #[error("podman did not answer {call} within {seconds} s")]
    Timeout {
        /// Method and path.
        call: String,
        /// The limit.
        seconds: u64,
    },
    /// Podman refused.
    #[error("podman refused {call}: {message}")]
    Refused {
        /// Method and path.
        call: String,
        /// HTTP status.
        status: u16,
        /// Podman's words.
        message: String,
    },
}

impl PodmanError {
    /// Returns whether the thing that was asked about is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Returns whether a thing of this name is there already.
    pub fn is_name_in_use(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
            || matches!(self, Self::Refused { status: 500, message, .. }
                if message.contains("name") && message.contains("already"))
    }

    /// Returns whether the wanted subnet is in use, by the host or another network.
    pub fn is_subnet_in_use(&self) -> bool {
        matches!(self, Self::Refused { status: 409 | 500, message, .. }
            if message.contains("subnet") && message.contains("already used"))
    }
}

/// A connection to Podman; clones share it.
#[derive(Debug, Clone)]
pub struct Podman {
    transport: Transport,
}

impl Podman {
    /// Returns the API at a socket.
    pub fn at(socket: &Path) -> Self {
        let client = containers_api::conn::hyper::Client::builder()
            .pool_max_idle_per_host(4)
            .build(hyperlocal::UnixConnector);
        Self {
            transport: Transport::Unix {
                client,
                path: socket.to_owned(),
            },
        }
    }

    /// Asks whether Podman is there.
    ///
    /// # Errors
    /// [`PodmanError`] when it does not answer.
    pub async fn ping(&self) -> Result<(), PodmanError> {
        self.json(Method::GET, "/libpod/_ping", None)
            .await
            .map(drop)
    }

    /// Makes a container and returns its id.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<String, PodmanError> {
        let path = "/libpod/containers/create";
        let answer = self.json(Method::POST, path, Some(spec.to_json())).await?;
        Ok(answer["Id"].as_str().unwrap_or_default().to_owned())
    }

    /// Starts a container.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn start(&self, name: &str) -> Result<(), PodmanError> {
        let path = format!("/libpod/containers/{name}/start");
        self.json(Method::POST, &path, None).await.map(drop)
    }

    /// Waits until a container has ended and returns its exit code; there is no time limit.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn wait(&self, name: &str) -> Result<i32, PodmanError> {
        let path = format!("/libpod/containers/{name}/wait?condition=stopped&condition=exited");
        let (call, response) = self.send(Method::POST, &path, None).await?;
        let answer = read_json(&call, response).await?;
        Ok(answer
            .as_i64()
            .and_then(|code| i32::try_from(code).ok())
            .unwrap_or(-1))
    }

    /// Sends a signal to a container; one that has ended is no error.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn kill(&self, name: &str, signal: &str) -> Result<(), PodmanError> {
        let path = format!("/libpod/containers/{name}/kill?signal={signal}");
        match self.json(Method::POST, &path, None).await {
            Err(PodmanError::Refused {
                status: 404 | 409 | 500,
                ..
            })
            | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Stops the processes of a container where they are.
    ///
    /// # Errors
    /// [`PodmanError`], also when the machine's control groups cannot do it.
    pub async fn pause(&self, name: &str) -> Result<(), PodmanError> {
        let path = format!("/libpod/containers/{name}/pause");
        self.json(Method::POST, &path, None).await.map(drop)
    }

    /// Removes a container, running or not; returns whether it was there.
    ///
    /// # Errors
    /// [`PodmanError`] when it is still there.
    pub async fn remove_container(&self, name: &str) -> Result<bool, PodmanError> {
        let path = format!("/libpod/containers/{name}?force=true&v=true&timeout=0");
        found(self.json(Method::DELETE, &path, None).await)
    }

    /// Returns what Podman knows of a container.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn inspect_container(&self, name: &str) -> Result<Value, PodmanError> {
        self.json(
            Method::GET,
            &format!("/libpod/containers/{name}/json"),
            None,
        )
        .await
    }

    /// Returns names and labels of the containers that carry a label, running or not.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn containers(&self, label: &str) -> Result<Vec<(String, Value)>, PodmanError> {
        let path = format!(
            "/libpod/containers/json?all=true&filters={}",
            label_filter(label)
        );
        let answer = self.json(Method::GET, &path, None).await?;
        let named = |container: &Value| {
            Some((
                container["Names"][0].as_str()?.to_owned(),
                container["Labels"].clone(),
            ))
        };
        Ok(answer
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(named)
            .collect())
    }

    /// Returns the last lines a container wrote.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn logs(&self, name: &str) -> Result<String, PodmanError> {
        let path = format!("/libpod/containers/{name}/logs?stdout=true&stderr=true&tail=20");
        let reading = async {
            let (call, response) = self.send(Method::GET, &path, None).await?;
            read_all(&call, response).await
        };
        let bytes = in_time(&format!("GET {path}"), reading).await?;
        Ok(attach::plain_text(&bytes))
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, PodmanError> {
        let call = format!("{method} {path}");
        let asking = async {
            let (call, response) = self.send(method, path, body).await?;
            read_json(&call, response).await
        };
        in_time(&call, asking).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(String, Response<Body>), PodmanError> {
        let content = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.request(method, path, "application/json", content, false)
            .await
    }

    /// Sends a request and returns how it is named in errors, and the answer's head.
    async fn request(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Body,
        upgrade: bool,
    ) -> Result<(String, Response<Body>), PodmanError> {
        let call = format!("{method} {}", path.split('?').next().unwrap_or_default());
        let unreachable = |error: &dyn std::error::Error| PodmanError::Unreachable(causes(error));
        let uri = self.transport.make_uri(&format!("/v4.0.0{path}"));
        let uri = uri.map_err(|error| unreachable(&error))?;
        let mut request = Request::builder().method(method).uri(uri);
        request = request
            .header("Host", "d")
            .header("Content-Type", media_type);
        if upgrade {
            request = request
                .header("Connection", "Upgrade")
                .header("Upgrade", "tcp");
        }
        let request = request.body(body).map_err(|error| unreachable(&error))?;
        let response = self
            .transport
            .request(request)
            .await
            .map_err(|error| unreachable(&error))?;
        Ok((call, response))
    }
}

/// Waits for an answer with its whole body, as long as a call may take.
async fn in_time<T>(
    call: &str,
    asking: impl Future<Output = Result<T, PodmanError>>,
) -> Result<T, PodmanError> {
    let answered = tokio::time::timeout(CALL_TIME_MAX, asking).await;
    answered.map_err(|_| PodmanError::Timeout {
        call: call.split('?').next().unwrap_or_default().to_owned(),
        seconds: CALL_TIME_MAX.as_secs(),
    })?
}

/// Returns an error with its causes: hyper's own text leaves them out.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Returns a `filters` value for a label, percent-encoded.
fn label_filter(label: &str) -> String {
    let filter = serde_json::json!({ "label": [label] }).to_string();
    percent_encoding::utf8_percent_encode(&filter, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Turns "not there" into an answer.
fn found(result: Result<Value, PodmanError>) -> Result<bool, PodmanError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn read_all(call: &str, response: Response<Body>) -> Result<Vec<u8>, PodmanError> {
    use futures_util::StreamExt as _;
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| PodmanError::Unreachable(format!("{call}: {error}")))?;
        let room = ANSWER_BYTES_MAX.saturating_sub(bytes.len());
        bytes.extend(&chunk[..chunk.len().min(room)]);
    }
    Ok(bytes)
}

async fn read_json(call: &str, response: Response<Body>) -> Result<Value, PodmanError> {
    let status = response.status();
    let bytes = read_all(call, response).await?;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(answer);
    }
    let words = answer["message"]
        .as_str()
        .or_else(|| answer["cause"].as_str());
    let message = words.map_or_else(|| String::from_utf8_lossy(&bytes), Into::into);
    let message = first_chars(&message, ERROR_CHARS_MAX).to_owned();
    Err(PodmanError::Refused {
        call: call.to_owned(),
        status: status.as_u16(),
        message,
    })
}
