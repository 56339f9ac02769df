//! Podman's REST API (libpod, version 4) over its unix socket: typed calls, each with a time limit.
//! Source: the libpod API reference of Podman 4.3. It knows no run; names and labels come from its
//! caller.
//!
//! The transport is that of `containers-api`, which speaks hyper 0.14.

mod attach;
mod images;
mod service;
mod specs;

use std::path::Path;
use std::time::Duration;

use containers_api::conn::Transport;
use containers_api::conn::hyper::{Body, Method, Request, Response, StatusCode};
use serde_json::Value;

pub use attach::{Attached, OutputChunk, Stdin};
pub use images::{BUILD_LOG_BYTES_MAX, BUILD_TIME_MAX, BuildFailure};
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

    /// Returns whether something stands in the way, for example a subnet in use.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409 | 500, message, .. }
            if message.contains("already") || message.contains("conflict")
                || message.contains("in use") || message.contains("subnet"))
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

    /// Returns Podman's version.
    ///
    /// # Errors
    /// [`PodmanError`] when it does not answer.
    pub async fn version(&self) -> Result<String, PodmanError> {
        let answer = self.json(Method::GET, "/libpod/version", None).await?;
        Ok(answer["Version"].as_str().unwrap_or_default().to_owned())
    }

    /// Makes a network.
    ///
    /// # Errors
    /// [`PodmanError`], a conflict when its addresses or interface are in use.
    pub async fn create_network(&self, spec: &NetworkSpec) -> Result<(), PodmanError> {
        self.json(
            Method::POST,
            "/libpod/networks/create",
            Some(spec.to_json()),
        )
        .await
        .map(drop)
    }

    /// Returns whether a network is there.
    ///
    /// # Errors
    /// [`PodmanError`] when Podman does not answer.
    pub async fn network_exists(&self, name: &str) -> Result<bool, PodmanError> {
        found(
            self.json(
                Method::GET,
                &format!("/libpod/networks/{name}/exists"),
                None,
            )
            .await,
        )
    }

    /// Removes a network and disconnects what is connected; returns whether it was there.
    ///
    /// # Errors
    /// [`PodmanError`] when it is still there.
    pub async fn remove_network(&self, name: &str) -> Result<bool, PodmanError> {
        let path = format!("/libpod/networks/{name}?force=true");
        found(self.json(Method::DELETE, &path, None).await)
    }

    /// Returns names and labels of the networks that carry a label.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn networks(&self, label: &str) -> Result<Vec<(String, Value)>, PodmanError> {
        let path = format!("/libpod/networks/json?filters={}", label_filter(label));
        let answer = self.json(Method::GET, &path, None).await?;
        let named = |network: &Value| {
            Some((
                network["name"].as_str()?.to_owned(),
                network["labels"].clone(),
            ))
        };
        Ok(answer
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(named)
            .collect())
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
        let (call, response) = self.send_limited(Method::GET, &path, None).await?;
        let bytes = read_all(&call, response).await?;
        Ok(attach::plain_text(&bytes))
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, PodmanError> {
        let (call, response) = self.send_limited(method, path, body).await?;
        read_json(&call, response).await
    }

    async fn send_limited(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(String, Response<Body>), PodmanError> {
        let call = format!("{method} {}", path.split('?').next().unwrap_or_default());
        let seconds = CALL_TIME_MAX.as_secs();
        let sent = tokio::time::timeout(CALL_TIME_MAX, self.send(method, path, body)).await;
        sent.map_err(|_| PodmanError::Timeout { call, seconds })?
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
    let message = words.map_or_else(
        || String::from_utf8_lossy(&bytes).into_owned(),
        str::to_owned,
    );
    Err(PodmanError::Refused {
        call: call.to_owned(),
        status: status.as_u16(),
        message,
    })
}
