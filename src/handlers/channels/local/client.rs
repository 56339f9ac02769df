//! The other end of the daemon's socket, for the command line.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::UnixStream;

use crate::events::codec::StoredRecord;
use crate::events::id::{ConversationId, Position, TaskId};
use crate::handlers::channels::local::pentest::Pentest;
use crate::handlers::channels::local::protocol::{
    Accepted, Drill, Forgotten, NotBase64, PROTOCOL_VERSION, Record, Reply, Request, Response, Send,
};
use crate::handlers::channels::local::server::{Frames, frames};
use crate::handlers::operator::Stopped;
use crate::handlers::standing::TaskStanding;

/// How long the daemon may take for an answer that it need not wait for.
pub const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Why the daemon did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens: start the daemon.
    #[error("no daemon listens at {path} (start it with airut run-gateway): {error}")]
    NoDaemon {
        /// The socket.
        path: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// The connection broke: the daemon may have ended.
    #[error("the connection to the daemon broke: {0}")]
    Broken(#[from] io::Error),
    /// It ended without an answer.
    #[error("the daemon ended the connection")]
    Ended,
    /// It took too long.
    #[error("the daemon did not answer within {} s", ANSWER_MAX.as_secs())]
    Slow,
    /// It refused; its words say why.
    #[error("{0}")]
    Refused(String),
    /// It said something that this version does not understand.
    #[error("the daemon's answer cannot be read (is it of another version?): {0}")]
    Unreadable(String),
}

impl ClientError {
    /// Says whether the daemon has ended or is ending, so that the next one may be asked again.
    pub fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::NoDaemon { .. } | Self::Broken(_) | Self::Ended)
    }
}

impl From<NotBase64> for ClientError {
    fn from(error: NotBase64) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where the log ends.
    pub head: Position,
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    frames: Frames,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] when nobody listens.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|error| ClientError::NoDaemon {
                path: path.display().to_string(),
                error,
            })?;
        Ok(Self {
            frames: frames(stream),
        })
    }

    /// Hands a message in; it is durable on return. Version and nonce are filled in when missing.
    ///
    /// # Errors
    /// [`ClientError`]; the same `send` with the same nonce may be tried again.
    pub async fn send(&mut self, mut send: Send) -> Result<Accepted, ClientError> {
        send.version = PROTOCOL_VERSION;
        if send.nonce.is_empty() {
            send.nonce = nonce()?;
        }
        match self.quick(&Request::Send(send)).await? {
            Response::Accepted(accepted) => Ok(accepted),
            other => Err(unexpected(&other)),
        }
    }

    /// Waits for the answer to a task's message, however long that takes; it stands in the log after
    /// `after`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there will be none.
    pub async fn await_reply(
        &mut self,
        task: TaskId,
        after: Position,
    ) -> Result<Reply, ClientError> {
        self.ask(&Request::Await { task, after }).await?;
        match self.answer().await? {
            Response::Reply(reply) => Ok(reply),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns records after a position; none when the log ends there.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn read(
        &mut self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, ClientError> {
        match self.quick(&Request::Read { after, limit }).await? {
            Response::Records { records } => stored(records),
            other => Err(unexpected(&other)),
        }
    }

    /// Starts to follow the log; [`Self::next_records`] then returns what comes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn follow(&mut self, after: Position) -> Result<(), ClientError> {
        self.ask(&Request::Follow { after }).await
    }

    /// Returns the next records of a log that is followed.
    ///
    /// # Errors
    /// [`ClientError::Ended`] when the daemon has ended.
    pub async fn next_records(&mut self) -> Result<Vec<StoredRecord>, ClientError> {
        match self.answer().await? {
            Response::Records { records } => stored(records),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns how the daemon is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&mut self) -> Result<DaemonStatus, ClientError> {
        match self.quick(&Request::Status).await? {
            Response::Status { version, pid, head } => Ok(DaemonStatus { version, pid, head }),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns how each task stands that has no answer yet, the oldest first, and how many are left
    /// out.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tasks(&mut self) -> Result<(Vec<TaskStanding>, usize), ClientError> {
        match self.quick(&Request::Tasks).await? {
            Response::Tasks { tasks, left_out } => Ok((tasks, left_out)),
            other => Err(unexpected(&other)),
        }
    }

    /// Stops a task, or whatever waits or runs in a conversation, and lets its frozen runs go;
    /// returns what it was.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is nothing to stop.
    pub async fn stop(
        &mut self,
        task: Option<TaskId>,
        conversation: Option<ConversationId>,
    ) -> Result<Stopped, ClientError> {
        match self.quick(&Request::Stop { task, conversation }).await? {
            Response::Stopping(stopped) => Ok(stopped),
            other => Err(unexpected(&other)),
        }
    }

    /// Lets a conversation be forgotten; returns its tombstone once it is, however long that takes.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is none, or it is active.
    pub async fn forget(&mut self, conversation: ConversationId) -> Result<Forgotten, ClientError> {
        self.ask(&Request::Forget { conversation }).await?;
        match self.answer().await? {
            Response::Forgotten(forgotten) => Ok(forgotten),
            other => Err(unexpected(&other)),
        }
    }

    /// Lets the daemon record what restoring a backup on trial came to; on return it is durable.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn record_drill(&mut self, drill: Drill) -> Result<(), ClientError> {
        match self.quick(&Request::RecordDrill(drill)).await? {
            Response::Recorded => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Lets the daemon record what an attack suite came to; on return it is durable.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn record_pentest(&mut self, result: Pentest) -> Result<(), ClientError> {
        match self.quick(&Request::RecordPentest(result)).await? {
            Response::Recorded => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn quick(&mut self, request: &Request) -> Result<Response, ClientError> {
        let answered = async {
            self.ask(request).await?;
            self.answer().await
        };
        let answered = tokio::time::timeout(ANSWER_MAX, answered).await;
        answered.map_err(|_| ClientError::Slow)?
    }

    async fn ask(&mut self, request: &Request) -> Result<(), ClientError> {
        let json = serde_json::to_vec(request)
            .map_err(|error| ClientError::Unreadable(error.to_string()))?;
        Ok(self.frames.send(Bytes::from(json)).await?)
    }

    async fn answer(&mut self) -> Result<Response, ClientError> {
        let frame = self.frames.next().await.ok_or(ClientError::Ended)??;
        match serde_json::from_slice(&frame) {
            Ok(Response::Refused { error }) => Err(ClientError::Refused(error)),
            Ok(response) => Ok(response),
            Err(error) => Err(ClientError::Unreadable(error.to_string())),
        }
    }
}

fn stored(records: Vec<Record>) -> Result<Vec<StoredRecord>, ClientError> {
    let records: Result<_, NotBase64> = records.into_iter().map(StoredRecord::try_from).collect();
    Ok(records?)
}

fn unexpected(response: &Response) -> ClientError {
    let json = serde_json::to_string(response).unwrap_or_default();
    ClientError::Unreadable(json.chars().take(200).collect())
}

fn nonce() -> Result<String, ClientError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ClientError::Broken(io::Error::other(error)))?;
    Ok(hex::encode(bytes))
}
