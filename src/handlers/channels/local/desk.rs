//! What is done about each request that comes through the socket.

use std::io;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

use crate::clock;
use crate::events::Event;
use crate::events::delivery::DeliveryRequested;
use crate::events::event::ConversationEvent;
use crate::events::id::{
    ChannelKind, ConversationId, Position, RepoId, StreamId, StreamVersion, TaskId,
};
use crate::events::log::{Append, Log, ReadError};
use crate::events::message::MessageSource;
use crate::handlers::bodies::{Bodies, BodyError};
use crate::handlers::channels::Incoming;
use crate::handlers::channels::local::awaited::{Awaited, End};
use crate::handlers::channels::local::forget::forget;
use crate::handlers::channels::local::message::{LocalMessage, MEDIA_TYPE};
use crate::handlers::channels::local::peer::Peer;
use crate::handlers::channels::local::protocol::{
    Accepted, PROTOCOL_VERSION, RECORDS_MAX, Reply, Request, Response, Send, TASKS_MAX,
};
use crate::handlers::channels::local::server::{Frames, answer, refused};
use crate::handlers::intake::Intake;
use crate::handlers::operator::{Operator, StopTarget};

/// What the local channel works with.
#[derive(Debug, Clone)]
pub struct Desk {
    log: Log,
    bodies: Bodies,
    repos: Vec<RepoId>,
    operator: Operator,
    waiters: Arc<Semaphore>,
}

/// Clients that wait for an answer or follow the log at once; a further one is refused with words,
/// so that there is always room for requests that take no time.
pub const WAITERS_MAX: usize = 48;

/// Why a request ends without the answer it wants.
#[derive(Debug, thiserror::Error)]
enum DeskError {
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("the daemon stops")]
    Closed,
}

impl Desk {
    /// Returns a desk over the log, for the configured repositories; stop requests go to the
    /// worker through `operator`.
    pub fn new(log: Log, bodies: Bodies, repos: Vec<RepoId>, operator: Operator) -> Self {
        Self {
            log,
            bodies,
            repos,
            operator,
            waiters: Arc::new(Semaphore::new(WAITERS_MAX)),
        }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// Any error of the connection.
    pub async fn answer(
        &self,
        request: Request,
        peer: &Peer,
        intake: &Intake,
        frames: &mut Frames,
    ) -> io::Result<()> {
        let response = match request {
            Request::Send(send) => self.take_in(send, peer, intake).await,
            Request::Read { after, limit } => self.read(after, limit),
            Request::Status => Ok(self.status()),
            Request::Tasks => self.tasks().await,
            Request::Stop { task, conversation } => self.stop(task, conversation, peer).await,
            Request::RecordDrill(drill) => {
                self.record(|by| drill.into_append(by, clock::now()), peer)
                    .await
            }
            Request::RecordPentest(result) => {
                self.record(|by| result.into_append(by, clock::now()), peer)
                    .await
            }
            Request::Await { .. } | Request::Follow { .. } | Request::Forget { .. } => {
                let Ok(_place) = self.waiters.try_acquire() else {
                    let words = format!("{WAITERS_MAX} clients wait already; try again later");
                    return answer(frames, &refused(words)).await;
                };
                return self.wait(request, peer, frames).await;
            }
        };
        let response = response.unwrap_or_else(|error| refused(error.to_string()));
        answer(frames, &response).await
    }

    /// Answers a request that may take for ever, until the client goes away.
    async fn wait(&self, request: Request, peer: &Peer, frames: &mut Frames) -> io::Result<()> {
        let (task, after) = match request {
            Request::Await { task, after } => (task, after),
            Request::Follow { after } => return self.follow(after, frames).await,
            Request::Forget { conversation } => {
                let by = peer.identity.clone();
                let forgotten = tokio::select! {
                    forgotten = forget(&self.log, &self.operator, conversation, by) => forgotten,
                    _gone = frames.next() => return Err(gone()),
                };
                return answer(frames, &forgotten.unwrap_or_else(refused)).await;
            }
            Request::Send(_)
            | Request::Read { .. }
            | Request::Status
            | Request::Tasks
            | Request::Stop { .. }
            | Request::RecordDrill(_)
            | Request::RecordPentest(_) => return Ok(()),
        };
        let response = tokio::select! {
            response = self.await_reply(task, after) => response,
            _gone = frames.next() => return Err(gone()),
        };
        let response = match response {
            // The client asks the next daemon.
            Err(DeskError::Closed) => return Err(gone()),
            response => response.unwrap_or_else(|error| refused(error.to_string())),
        };
        answer(frames, &response).await
    }

    async fn take_in(
        &self,
        send: Send,
        peer: &Peer,
        intake: &Intake,
    ) -> Result<Response, DeskError> {
        if send.version != PROTOCOL_VERSION {
            return Err(DeskError::Refused(format!(
                "this daemon speaks version {PROTOCOL_VERSION} of the socket's protocol, the \
                 client version {}: use the same airut for both",
                send.version
            )));
        }
        send.check().map_err(DeskError::Refused)?;
        let repo = match send.conversation {
            Some(conversation) => Some(self.repo_of_conversation(conversation, &send)?),
            None => send.repo,
        };
        let repo = self.repo_of(repo.as_ref())?;
        let message = LocalMessage {
            version: 1,
            identity: peer.identity.clone(),
            uid: peer.uid,
            conversation: send.conversation,
            text: send.text,
            files: send.files,
        };
        let raw =
            serde_json::to_vec(&message).map_err(|error| DeskError::Refused(error.to_string()))?;
        let after = self.log.head().position;
        let incoming = Incoming {
            repo,
            channel: ChannelKind::Local,
            source: MessageSource::Socket,
            dedupe_key: format!("local:{}", send.nonce),
            raw,
            media_type: MEDIA_TYPE.to_owned(),
            claimed_sender: peer.identity.clone(),
            title: message.title(),
        };
        let receipt = intake.receive(incoming).await;
        let receipt = receipt.map_err(|error| DeskError::Refused(error.to_string()))?;
        let after = if receipt.duplicate {
            Position(0)
        } else {
            after
        };
        Ok(Response::Accepted(Accepted {
            inbound: receipt.inbound,
            task: receipt.task,
            after,
        }))
    }

    /// Returns the repository of a conversation; a message that names one it cannot continue would
    /// begin another.
    fn repo_of_conversation(
        &self,
        conversation: ConversationId,
        send: &Send,
    ) -> Result<RepoId, DeskError> {
        let stream = StreamId::conversation(conversation);
        let first = self.log.read_stream(&stream, StreamVersion(0), 1)?.pop();
        let Some(Event::Conversation(ConversationEvent::Created(created))) =
            first.map(|recorded| recorded.event)
        else {
            let words = format!("there is no conversation {conversation} (see airut replay)");
            return Err(DeskError::Refused(words));
        };
        match &send.repo {
            Some(named) if *named != created.repo => Err(DeskError::Refused(format!(
                "conversation {conversation} is of repository {}, not of {named}",
                created.repo
            ))),
            Some(_) | None => Ok(created.repo),
        }
    }

    fn repo_of(&self, named: Option<&RepoId>) -> Result<RepoId, DeskError> {
        let names = || {
            self.repos
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        match (named, self.repos.as_slice()) {
            (Some(named), repos) if repos.contains(named) => Ok(named.clone()),
            (Some(named), _) => Err(DeskError::Refused(format!(
                "there is no repository {named}; configured are: {}",
                names()
            ))),
            (None, [only]) => Ok(only.clone()),
            (None, []) => Err(DeskError::Refused("no repository is configured".to_owned())),
            (None, _) => Err(DeskError::Refused(format!(
                "name the repository with --repo: {}",
                names()
            ))),
        }
    }

    async fn await_reply(&self, task: TaskId, after: Position) -> Result<Response, DeskError> {
        let head = self.log.head().position;
        let mut awaited = Awaited::new(task);
        let mut events = self.log.subscribe(after);
        let unknown = || DeskError::Refused(format!("no message became task {task}"));
        if head <= after {
            return Err(unknown());
        }
        while let Some(recorded) = events.next().await? {
            match awaited.apply(&recorded.event) {
                None if recorded.position >= head && !awaited.is_known() => return Err(unknown()),
                None => {}
                Some(End::Answered(request)) => return self.reply(&request).await,
                Some(End::Unanswered(detail)) => return Err(DeskError::Refused(detail)),
            }
        }
        Err(DeskError::Closed)
    }

    async fn reply(&self, request: &DeliveryRequested) -> Result<Response, DeskError> {
        let mut files = Vec::with_capacity(request.files.len());
        for file in &request.files {
            files.push(self.bodies.get_file(file).await?.into());
        }
        Ok(Response::Reply(Reply {
            conversation: request.conversation,
            task: request.task,
            text: self.bodies.get_text(&request.body).await?,
            files,
        }))
    }

    fn read(&self, after: Position, limit: usize) -> Result<Response, DeskError> {
        let records = self.log.read_stored(after, limit.min(RECORDS_MAX))?;
        Ok(Response::Records {
            records: records.into_iter().map(Into::into).collect(),
        })
    }

    async fn follow(&self, after: Position, frames: &mut Frames) -> io::Result<()> {
        let mut records = self.log.subscribe(after);
        loop {
            let next = tokio::select! {
                next = records.next_stored() => next,
                _gone = frames.next() => return Err(gone()),
            };
            match next {
                Ok(Some(record)) => {
                    answer(
                        frames,
                        &Response::Records {
                            records: vec![record.into()],
                        },
                    )
                    .await?;
                }
                Ok(None) => return Ok(()),
                Err(error) => return answer(frames, &refused(error.to_string())).await,
            }
        }
    }

    fn status(&self) -> Response {
        Response::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            head: self.log.head().position,
        }
    }

    async fn tasks(&self) -> Result<Response, DeskError> {
        let mut tasks = self.operator.tasks().await.ok_or(DeskError::Closed)?;
        let left_out = tasks.len().saturating_sub(TASKS_MAX);
        tasks.truncate(TASKS_MAX);
        Ok(Response::Tasks { tasks, left_out })
    }

    /// Records what an operator's command came to.
    async fn record(
        &self,
        append: impl FnOnce(String) -> Append,
        peer: &Peer,
    ) -> Result<Response, DeskError> {
        let appended = self.log.append(append(peer.identity.clone())).await;
        appended.map_err(|error| DeskError::Refused(error.to_string()))?;
        Ok(Response::Recorded)
    }

    async fn stop(
        &self,
        task: Option<TaskId>,
        conversation: Option<ConversationId>,
        peer: &Peer,
    ) -> Result<Response, DeskError> {
        let target = match (task, conversation) {
            (Some(task), _) => StopTarget::Task(task),
            (None, Some(conversation)) => StopTarget::Conversation(conversation),
            (None, None) => {
                let words = "name a task or a conversation to stop";
                return Err(DeskError::Refused(words.to_owned()));
            }
        };
        let stopped = self.operator.stop(target, peer.identity.clone()).await;
        let stopped = stopped.map_err(|refusal| DeskError::Refused(refusal.to_string()))?;
        Ok(Response::Stopping(stopped))
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "nobody waits any more")
}
