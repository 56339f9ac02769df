//! What is done about each request that comes through the socket.

use std::io;

use crate::events::delivery::DeliveryRequested;
use crate::events::id::{ChannelKind, ConversationId, InboundId, Position, RepoId, TaskId};
use crate::events::log::{Log, ReadError};
use crate::events::message::MessageSource;
use crate::handlers::bodies::{Bodies, BodyError};
use crate::handlers::channels::Incoming;
use crate::handlers::channels::local::awaited::{Awaited, End};
use crate::handlers::channels::local::message::{LocalMessage, MEDIA_TYPE};
use crate::handlers::channels::local::peer::Peer;
use crate::handlers::channels::local::protocol::{
    Accepted, PROTOCOL_VERSION, RECORDS_MAX, Reply, Request, Response, Send,
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
}

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
            Request::Await { inbound, after } => self.await_reply(inbound, after).await,
            Request::Read { after, limit } => self.read(after, limit),
            Request::Follow { after } => return self.follow(after, frames).await,
            Request::Status => Ok(self.status()),
            Request::Stop { task, conversation } => self.stop(task, conversation, peer).await,
        };
        let response = response.unwrap_or_else(|error| refused(error.to_string()));
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
        let repo = self.repo_of(send.repo.as_ref())?;
        let message = LocalMessage {
            version: 1,
            identity: peer.identity.clone(),
            uid: peer.uid,
            conversation: send.conversation,
            text: send.text,
            files: send.files,
        };
        if message.text.trim().is_empty() && message.files.is_empty() {
            return Err(DeskError::Refused("the message is empty".to_owned()));
        }
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

    async fn await_reply(
        &self,
        inbound: InboundId,
        after: Position,
    ) -> Result<Response, DeskError> {
        let mut awaited = Awaited::new(inbound);
        let mut events = self.log.subscribe(after);
        while let Some(recorded) = events.next().await? {
            match awaited.apply(&recorded.event) {
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
            match records.next_stored().await {
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
        let tasks = stopped.map_err(|refusal| DeskError::Refused(refusal.to_string()))?;
        Ok(Response::Stopping { tasks })
    }
}
