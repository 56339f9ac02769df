//! A container's three streams over one connection. Podman frames output as Docker does: stream
//! (1 byte), three zeros, length (u32, big-endian), then that many bytes.

use containers_api::conn::hyper::upgrade::Upgraded;
use containers_api::conn::hyper::{Body, Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use crate::sandbox::podman::{Podman, PodmanError, in_time, read_json};

/// Longest frame that is taken; a longer one ends the connection.
const FRAME_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Bytes a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputChunk {
    /// To standard output.
    Stdout(Vec<u8>),
    /// To standard error.
    Stderr(Vec<u8>),
}

/// The streams of a container.
#[derive(Debug)]
pub struct Attached {
    reader: ReadHalf<Upgraded>,
    writer: Option<WriteHalf<Upgraded>>,
}

impl Podman {
    /// Attaches to a container that is made but not started, so that nothing it writes is missed.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn attach(&self, name: &str) -> Result<Attached, PodmanError> {
        let call = format!("POST /libpod/containers/{name}/attach");
        in_time(&call, self.attach_now(name)).await
    }

    async fn attach_now(&self, name: &str) -> Result<Attached, PodmanError> {
        let path = format!(
            "/libpod/containers/{name}/attach?stream=true&stdin=true&stdout=true&stderr=true"
        );
        let sent = self.request(Method::POST, &path, "application/json", Body::empty(), true);
        let (call, response) = sent.await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status().as_u16();
            let answer = read_json(&call, response).await?;
            return Err(PodmanError::Refused {
                call,
                status,
                message: answer.to_string(),
            });
        }
        let upgraded = containers_api::conn::hyper::upgrade::on(response).await;
        let upgraded =
            upgraded.map_err(|error| PodmanError::Unreachable(format!("{call}: {error}")))?;
        let (reader, writer) = tokio::io::split(upgraded);
        Ok(Attached {
            reader,
            writer: Some(writer),
        })
    }
}

impl Attached {
    /// Takes the end that writes to standard input, once.
    pub fn take_stdin(&mut self) -> Option<Stdin> {
        self.writer.take().map(Stdin)
    }

    /// Returns the next bytes; nothing when the container has closed its streams.
    pub async fn next(&mut self) -> Option<OutputChunk> {
        let mut head = [0; 8];
        self.reader.read_exact(&mut head).await.ok()?;
        let [stream, _, _, _, l0, l1, l2, l3] = head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if length > FRAME_BYTES_MAX {
            return None;
        }
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes).await.ok()?;
        Some(if stream == 2 {
            OutputChunk::Stderr(bytes)
        } else {
            OutputChunk::Stdout(bytes)
        })
    }
}

/// A container's standard input.
#[derive(Debug)]
pub struct Stdin(WriteHalf<Upgraded>);

impl Stdin {
    /// Writes everything and closes it.
    ///
    /// # Errors
    /// When the container does not read it to the end.
    pub async fn write_all(mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write(bytes).await?;
        self.close().await
    }

    /// Writes some bytes.
    ///
    /// # Errors
    /// When the container does not read any more.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Closes it.
    ///
    /// # Errors
    /// When the container is gone.
    pub async fn close(mut self) -> std::io::Result<()> {
        self.0.shutdown().await
    }
}

/// Returns framed output as text.
pub(super) fn plain_text(mut framed: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some((head, rest)) = framed.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (bytes, rest) = rest.split_at(length.min(rest.len()));
        text.extend(bytes);
        framed = rest;
    }
    String::from_utf8_lossy(&text).into_owned()
}
