//! The port between Airut and the ways people write to it. A channel takes messages in, judges them
//! and sends answers; it decides nothing about conversations, tasks or retries.

use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::events::delivery::{DeliveryKind, DeliveryTarget};
use crate::events::id::{ChannelKind, ConversationId, DeliveryId, Position, RepoId, TaskId};
use crate::events::log::Log;
use crate::events::message::{
    AuthenticationMethod, HintSource, MessageSource, RejectionReason, ReplyAddress,
};
use crate::handlers::intake::Intake;
use crate::projections::work_queue::QueuedTask;

mod back_off;
pub mod email;
pub mod local;
pub mod slack;

/// What a port's asynchronous call returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A message as a channel met it, before anybody judged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The repository whose channel it came through.
    pub repo: RepoId,
    /// The kind of channel.
    pub channel: ChannelKind,
    /// Where it lies, so that its source can be told.
    pub source: MessageSource,
    /// What makes it the same message when it is met again; stable over restarts.
    pub dedupe_key: String,
    /// Every byte of it.
    pub raw: Vec<u8>,
    /// Media type of `raw`.
    pub media_type: String,
    /// Who it claims to be from; not verified.
    pub claimed_sender: String,
    /// Its subject or first words; not verified.
    pub title: String,
}

/// A file that came with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Safe and, within its message, distinct file name.
    pub name: String,
    /// Media type as declared.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a message says, once its sender is known and permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triaged {
    /// How the identity was proven.
    pub method: AuthenticationMethod,
    /// The verified identity.
    pub identity: String,
    /// What the sender is called; not verified, and empty where the channel knows no name.
    pub sender_name: String,
    /// What proved it.
    pub evidence: String,
    /// The rule that permits it, as configured.
    pub rule: String,
    /// The text as Markdown, quotes removed.
    pub body: String,
    /// Decoded subject; empty when it has none.
    pub subject: String,
    /// The conversation it continues, if it names one, and where that stood.
    pub conversation_hint: Option<(ConversationId, HintSource)>,
    /// Whom else it was written to, as their verified identity would be: its owner lets them take
    /// part in the conversation.
    pub invites: Vec<String>,
    /// The model it asks for, if any.
    pub model_hint: Option<String>,
    /// Its attachments.
    pub attachments: Vec<Attachment>,
    /// How to answer it.
    pub reply_to: ReplyAddress,
}

/// What a channel found out about a message by asking others, for its judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Who a mail is proven to be from.
    Mail(email::verify::Proof),
    /// What Slack says about a message.
    Slack(Box<slack::judge::Findings>),
}

/// The judgement on a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Triage {
    /// It is acted on.
    Accepted(Box<Triaged>),
    /// Its sender may use the repository, but the message cannot be worked on: the text, in our own
    /// words, is the answer.
    Declined(Box<Triaged>),
    /// It is recorded, and nothing else happens.
    Rejected {
        /// Why, for statistics.
        reason: RejectionReason,
        /// Why, for the operator, in words.
        detail: String,
    },
}

/// A message to be sent: everything a channel needs to build the same bytes at every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundMessage {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What it is.
    pub kind: DeliveryKind,
    /// Whose channel it goes through.
    pub repo: RepoId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// The task it answers or acknowledges.
    pub task: TaskId,
    /// Where it goes.
    pub target: DeliveryTarget,
    /// The text as Markdown.
    pub body: String,
    /// Attached files.
    pub files: Vec<Attachment>,
    /// Whether the text must say that it may be a duplicate.
    pub labelled_duplicate: bool,
    /// A checkpoint of the log, on one line, for the reader to keep; its size is that of the log
    /// just before this attempt.
    pub checkpoint: Option<String>,
    /// Number of the attempt, from 1: what was attempted before may be there in part.
    pub attempt: u32,
}

/// What is known after an attempt to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The channel has taken the message over.
    Accepted {
        /// The channel's receipt, for example the SMTP response.
        receipt: String,
    },
    /// The message was certainly not sent.
    Refused {
        /// Why.
        error: String,
        /// Whether trying again is pointless.
        permanent: bool,
    },
    /// The message was certainly not sent, or not wholly; the channel said when to come again.
    Postponed {
        /// Why.
        error: String,
        /// Not before so many milliseconds have passed.
        wait_ms: u64,
    },
    /// Nobody knows whether it was sent.
    Unknown {
        /// What is known, for example `connection lost after DATA`.
        detail: String,
    },
}

/// What a search for an earlier attempt found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// The message is there.
    Found {
        /// Where, for the record.
        receipt: String,
    },
    /// It is not there.
    Absent {
        /// What was searched.
        searched: String,
    },
    /// The search itself failed: search again later.
    Unsearchable {
        /// Why.
        error: String,
    },
}

/// What a channel that shows progress begins with.
#[derive(Clone)]
pub struct Company {
    /// The log, to be followed.
    pub log: Log,
    /// Where to follow it from.
    pub after: Position,
    /// The tasks that were in the queue there.
    pub queued: Arc<[QueuedTask]>,
}

/// A way to write to Airut and to be answered.
pub trait Channel: Send + Sync {
    /// Returns the kind of channel.
    fn kind(&self) -> ChannelKind;

    /// Takes messages in until `stop` is cancelled, then ends within a second. A connection that
    /// fails is made again for ever, and every change is recorded through the intake.
    fn listen(self: Arc<Self>, intake: Intake, stop: CancellationToken) -> BoxFuture<'static, ()>;

    /// Finds out what the judgement needs and the message does not say; bounded in time. Most
    /// channels need nothing.
    ///
    /// # Errors
    /// Words, when it may be found out another time: the message is judged then.
    fn find_out<'a>(&'a self, raw: &'a [u8]) -> BoxFuture<'a, Result<Option<Evidence>, String>> {
        let _ = raw;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Judges a received message. Pure: the same bytes, evidence and configuration give the same
    /// judgement.
    fn triage(&self, raw: &[u8], evidence: Option<&Evidence>) -> Triage;

    /// Sends a message; bounded in time, and cancelled safely only by being awaited to its end.
    fn send(&self, message: OutboundMessage) -> BoxFuture<'_, SendOutcome>;

    /// Looks for traces of an earlier attempt to send `message`; bounded in time.
    fn search(&self, message: OutboundMessage) -> BoxFuture<'_, Trace>;

    /// Shows how work goes on until `stop` is cancelled, where the channel can. It is an ornament:
    /// nothing waits for it, and whatever of it fails is no answer that is missing.
    fn accompany(
        self: Arc<Self>,
        company: Company,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        drop((company, stop));
        Box::pin(std::future::ready(()))
    }
}
