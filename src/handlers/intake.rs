//! How messages come in: durable first, judged afterwards. It does not know how a source is told;
//! it only says when that may happen.

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::Event;
use crate::events::blobs::{BlobError, Spool};
use crate::events::channel::{
    ChannelCaughtUp, ChannelConnected, ChannelDegraded, ChannelMailPassedOver, ChannelStopped,
    SlackThreadGreeted,
};
use crate::events::event::{ChannelEvent, MessageEvent};
use crate::events::id::{
    Actor, ChannelKind, InboundId, Position, RepoId, StreamId, StreamVersion, TaskId,
};
use crate::events::keys::KeyError;
use crate::events::log::{Append, AppendError, Context, Log, Subscription};
use crate::events::message::{
    MessageDuplicateIgnored, MessageReceived, MessageSource, MessageSourceAcknowledged,
};
use crate::events::seal::Owner;
use crate::handlers::barrier;
use crate::handlers::bodies::{Bodies, BodyError};
use crate::handlers::channels::Incoming;

pub mod at_once;
pub mod command;
pub mod decide;
pub mod obey;
pub mod participants;
pub mod triage;

/// Longest text kept of a claimed sender or a title, in characters; the rest is cut.
pub const CLAIM_CHARS_MAX: usize = 256;

/// Why a message was not taken in: leave it where it lies, and come again later.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Its bytes could not be kept.
    #[error("the message cannot be kept: {0}")]
    Body(#[from] BodyError),
    /// The service takes nothing in any more.
    #[error("the service stops and takes no message in; send it again once it runs")]
    Closed,
    /// Its reception could not be recorded.
    #[error("the message cannot be recorded: {0}")]
    Log(#[from] AppendError),
}

/// The message is durable; its source may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The message.
    pub inbound: InboundId,
    /// The task it becomes if its sender may use the repository.
    pub task: TaskId,
    /// Whether it had been taken in before.
    pub duplicate: bool,
}

/// A message whose bytes are kept, on the way to its record.
struct Met {
    inbound: InboundId,
    source: MessageSource,
    context: Context,
    found: Found,
}

/// When a message was met.
enum Found {
    /// It was received before, at that position.
    Before(Position),
    /// Now, as far as is known.
    Now(Box<MessageReceived>),
}

/// The door through which channels hand messages in; clones share it.
#[derive(Debug, Clone)]
pub struct Intake {
    log: Log,
    bodies: Bodies,
    closed: CancellationToken,
}

impl Intake {
    /// Returns the door to a log.
    pub fn new(log: Log, bodies: Bodies) -> Self {
        Self {
            log,
            bodies,
            closed: CancellationToken::new(),
        }
    }

    /// Takes nothing in from now on; what was taken in stays.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Takes a message in; it is durable when this returns a receipt, also for a message that was
    /// taken in before.
    ///
    /// # Errors
    /// [`IntakeError`]: nothing was promised, and the source must not be told.
    pub async fn receive(&self, incoming: Incoming) -> Result<Receipt, IntakeError> {
        let met = self.meet(incoming, None).await?;
        self.record(met).await
    }

    /// Returns an empty spool for a message that comes piece by piece.
    ///
    /// # Errors
    /// [`IntakeError::Body`] when there is no room on the disk.
    pub async fn spool(&self) -> Result<Spool, IntakeError> {
        Ok(self.bodies.spool().await?)
    }

    /// Takes a message in whose bytes are in a spool, as [`Self::receive`] does; `incoming.raw` is
    /// empty then.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub async fn receive_spooled(
        &self,
        incoming: Incoming,
        raw: Spool,
    ) -> Result<Receipt, IntakeError> {
        let met = self.meet(incoming, Some(raw)).await?;
        self.record(met).await
    }

    /// Takes messages in together, in their order, so that what they wait for is shared; each is as
    /// durable as its own receipt says.
    pub async fn receive_all(&self, incoming: Vec<Incoming>) -> Vec<Result<Receipt, IntakeError>> {
        let met = incoming
            .into_iter()
            .map(|incoming| self.meet(incoming, None));
        let met = join_all(met).await;
        // The appends are asked for one after the other, once all bodies are kept: what a sender
        // wrote first is judged first.
        let recorded = met.into_iter().map(|met| async { self.record(met?).await });
        join_all(recorded).await
    }

    /// Keeps the bytes of a message, unless they are kept already.
    async fn meet(&self, incoming: Incoming, spool: Option<Spool>) -> Result<Met, IntakeError> {
        if self.closed.is_cancelled() {
            return Err(IntakeError::Closed);
        }
        let inbound = InboundId::from_dedupe_key(&incoming.dedupe_key);
        let source = incoming.source.clone();
        let context = channel_context(&incoming.repo, incoming.channel);
        let found = match self.met_elsewhere(inbound, &source) {
            Some(first) => Found::Before(first),
            None => match self.keep(inbound, incoming, spool).await {
                Ok(received) => Found::Now(Box::new(received)),
                Err(error) => Found::Before(self.erased(inbound, error)?),
            },
        };
        Ok(Met {
            inbound,
            source,
            context,
            found,
        })
    }

    /// Records the reception of a message, or that it was received before.
    async fn record(&self, met: Met) -> Result<Receipt, IntakeError> {
        let Met {
            inbound,
            source,
            context,
            found,
        } = met;
        let duplicate = match found {
            Found::Before(first) => {
                self.ignore(inbound, first, source, context).await?;
                true
            }
            Found::Now(received) => {
                let stream = StreamId::inbound(inbound);
                let append = Append::to(&stream, vec![(*received).into()], context.clone());
                match self.log.append(append.once(received_key(inbound))).await {
                    Ok(appended) => appended.repeated,
                    Err(AppendError::KeyReused { first }) => {
                        self.ignore(inbound, first, source, context).await?;
                        true
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        barrier::appended("MessageReceived");
        Ok(Receipt {
            inbound,
            task: inbound.task(),
            duplicate,
        })
    }

    /// Returns where a message was received first, if it came from another place then: the bytes of
    /// its second copy need not be kept.
    fn met_elsewhere(&self, inbound: InboundId, source: &MessageSource) -> Option<Position> {
        let first = self.log.find_key(&received_key(inbound)).ok().flatten()?;
        let recorded = self.log.read(Position(first.0 - 1), 1).ok()?.pop()?;
        match recorded.event {
            Event::Message(MessageEvent::Received(received)) if received.source != *source => {
                Some(first)
            }
            _ => None,
        }
    }

    /// Returns where a message was received first that cannot be kept, because its conversation is
    /// forgotten: it is met again, and nothing of it may come back.
    fn erased(&self, inbound: InboundId, error: BodyError) -> Result<Position, IntakeError> {
        let is_destroyed = matches!(
            error,
            BodyError::Blob(BlobError::Key(KeyError::Destroyed(_)))
        );
        let first = self.log.find_key(&received_key(inbound)).ok().flatten();
        first
            .filter(|_| is_destroyed)
            .ok_or(IntakeError::Body(error))
    }

    async fn ignore(
        &self,
        inbound: InboundId,
        first: Position,
        source: MessageSource,
        context: Context,
    ) -> Result<(), AppendError> {
        let duplicate = MessageDuplicateIgnored {
            inbound,
            first,
            source,
        };
        let stream = StreamId::inbound(inbound);
        let append = Append::to(&stream, vec![duplicate.into()], context);
        self.log.append(append).await.map(|_appended| ())
    }

    async fn keep(
        &self,
        inbound: InboundId,
        incoming: Incoming,
        spool: Option<Spool>,
    ) -> Result<MessageReceived, BodyError> {
        let owner = Owner::Task(inbound.task());
        let (bodies, media_type) = (&self.bodies, &incoming.media_type);
        let raw = match spool {
            Some(spool) => bodies.put_spooled(owner, spool, media_type).await?,
            None => bodies.put(owner, incoming.raw, media_type).await?,
        };
        Ok(MessageReceived {
            inbound,
            repo: incoming.repo,
            channel: incoming.channel,
            source: incoming.source,
            dedupe_key: incoming.dedupe_key,
            raw,
            claimed_sender: shortened(&incoming.claimed_sender),
            title: shortened(&incoming.title),
        })
    }

    /// Returns the message with this key, if it was taken in before; nothing too when the log does
    /// not read.
    pub fn known(&self, dedupe_key: &str) -> Option<InboundId> {
        let inbound = InboundId::from_dedupe_key(dedupe_key);
        let version = self.log.stream_version(&StreamId::inbound(inbound));
        version
            .is_ok_and(|version| version > StreamVersion(0))
            .then_some(inbound)
    }

    /// Records that a message's source was told; recording it twice changes nothing.
    ///
    /// # Errors
    /// [`AppendError`]; the source stays told, and nothing has to be undone.
    pub async fn source_acknowledged(&self, inbound: InboundId) -> Result<(), AppendError> {
        let acknowledged = MessageSourceAcknowledged { inbound };
        let stream = StreamId::inbound(inbound);
        let context = Context::system(clock::now());
        let append = Append::to(&stream, vec![acknowledged.into()], context);
        let key = format!("acknowledged:{inbound}");
        self.log.append(append.once(key)).await?;
        barrier::appended("MessageSourceAcknowledged");
        Ok(())
    }

    /// Returns whether somebody is to be greeted in a thread: whoever asks first, and nobody again.
    ///
    /// # Errors
    /// [`AppendError`]; nobody is greeted then.
    pub async fn greet_once(&self, greeted: SlackThreadGreeted) -> Result<bool, AppendError> {
        let stream = StreamId::channel(&greeted.repo, ChannelKind::Slack);
        let context = channel_context(&greeted.repo, ChannelKind::Slack);
        let (repo, channel, thread) = (&greeted.repo, &greeted.channel, &greeted.thread);
        let key = format!("greeted:{repo}:{channel}:{thread}");
        let append = Append::to(&stream, vec![greeted.into()], context).once(key);
        self.log
            .append(append)
            .await
            .map(|appended| !appended.repeated)
    }

    /// Returns the log from a position on, to be read along.
    pub fn follow(&self, after: Position) -> Subscription {
        self.log.subscribe(after)
    }

    /// Records how a channel's connection is.
    ///
    /// # Errors
    /// [`AppendError`]; the channel goes on all the same.
    pub async fn channel_event(&self, event: ChannelEvent) -> Result<(), AppendError> {
        let (repo, kind) = channel_of(&event);
        let stream = StreamId::channel(&repo, kind);
        let context = channel_context(&repo, kind);
        let append = Append::to(&stream, vec![event.into()], context);
        self.log.append(append).await.map(|_appended| ())
    }
}

fn channel_of(event: &ChannelEvent) -> (RepoId, ChannelKind) {
    match event {
        ChannelEvent::Connected(ChannelConnected { repo, channel, .. })
        | ChannelEvent::Degraded(ChannelDegraded { repo, channel, .. })
        | ChannelEvent::MailPassedOver(ChannelMailPassedOver { repo, channel, .. })
        | ChannelEvent::CaughtUp(ChannelCaughtUp { repo, channel, .. })
        | ChannelEvent::Stopped(ChannelStopped { repo, channel }) => (repo.clone(), *channel),
        ChannelEvent::SlackThreadGreeted(greeted) => (greeted.repo.clone(), ChannelKind::Slack),
    }
}

fn channel_context(repo: &RepoId, kind: ChannelKind) -> Context {
    Context {
        actor: Actor::Channel(repo.clone(), kind),
        ..Context::system(clock::now())
    }
}

fn received_key(inbound: InboundId) -> String {
    format!("received:{inbound}")
}

fn shortened(text: &str) -> String {
    text.chars().take(CLAIM_CHARS_MAX).collect()
}
