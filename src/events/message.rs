//! What happened to one received message, up to the task it became. Stream `inbound:<id>`.
//! It knows no channel's protocol: how a source is told is the channel's business.

use crate::events::id::{
    BlobRef, ChannelKind, ConversationId, InboundId, Position, RepoId, StoredFile, TaskId,
};
use crate::events::macros::data;

data! {
    /// Where a message lay when it was fetched, so that its source can be told that it is safe.
    pub enum MessageSource {
        /// A mail in a mailbox.
        Mailbox {
            /// Folder name.
            folder: String,
            /// The folder's UIDVALIDITY (RFC 3501, 2.3.1.1).
            uid_validity: u32,
            /// The mail's UID.
            uid: u32,
        },
        /// A message handed in over the daemon's unix socket.
        Socket,
        /// A Slack event.
        Slack {
            /// Slack's event id; empty when it was read from the channel's history.
            event_id: String,
            /// Channel id.
            channel: String,
            /// The message's `ts`, its name within the channel.
            ts: String,
            /// The `ts` of its thread's first message: its own when it begins one.
            thread: String,
        },
    }

    /// A message is durable; only now is its source told.
    pub struct MessageReceived {
        /// The message.
        pub inbound: InboundId,
        /// The repository whose channel it came through.
        pub repo: RepoId,
        /// The kind of channel.
        pub channel: ChannelKind,
        /// Where it lay.
        pub source: MessageSource,
        /// What makes it the same message when it is met again.
        pub dedupe_key: String,
        /// The message as received, every byte.
        pub raw: BlobRef,
        /// Who it claims to be from; not verified.
        pub claimed_sender: String,
        /// Its subject or first words; not verified.
        pub title: String,
    }

    /// A message was met again and is not taken in twice.
    pub struct MessageDuplicateIgnored {
        /// The message.
        pub inbound: InboundId,
        /// Where its first reception stands in the log.
        pub first: Position,
        /// Where the second copy lay.
        pub source: MessageSource,
    }

    /// The source was told: the mail is deleted, the envelope acknowledged.
    pub struct MessageSourceAcknowledged {
        /// The message.
        pub inbound: InboundId,
    }

    /// How an identity was proven.
    pub enum AuthenticationMethod {
        /// `dmarc=pass` in the trusted topmost `Authentication-Results` header, or as Airut found it
        /// itself; the evidence says which.
        Dmarc,
        /// `X-MS-Exchange-Organization-AuthAs: Internal` (spec row EML-15).
        MicrosoftInternal,
        /// The credentials of the process at the other end of the unix socket.
        SocketPeer,
        /// Slack's own word for its user.
        Slack,
    }

    /// The sender is who the message says, and may use this repository.
    pub struct SenderAuthorized {
        /// The message.
        pub inbound: InboundId,
        /// How the identity was proven.
        pub method: AuthenticationMethod,
        /// The verified identity.
        pub identity: String,
        /// What proved it, for example the header's authserv-id.
        pub evidence: String,
        /// The rule that permits it, as configured.
        pub rule: String,
    }

    /// Why a message is not acted on.
    pub enum RejectionReason {
        /// The identity could not be proven.
        NotAuthenticated,
        /// The identity is proven, but no rule permits it.
        NotAuthorized,
        /// The message is of a kind that never starts a task (automatic, a list, our own).
        Filtered,
        /// The message could not be read at all.
        Unreadable,
        /// Its repository is not configured any more.
        UnknownRepository,
    }

    /// The message is not acted on and its sender gets no reply.
    pub struct MessageRejected {
        /// The message.
        pub inbound: InboundId,
        /// Why, for statistics.
        pub reason: RejectionReason,
        /// Why, for the operator, in words.
        pub detail: String,
        /// Who it claimed to be from.
        pub claimed_sender: String,
    }

    /// Where a conversation hint was found.
    pub enum HintSource {
        /// The `In-Reply-To` header.
        InReplyTo,
        /// The `References` header.
        References,
        /// The subject's `[ID:…]` tag.
        SubjectTag,
        /// Named by the sender (`airut send --conversation`).
        Explicit,
        /// The thread is linked to the conversation.
        Thread,
    }

    /// How a reply to this message is addressed.
    pub enum ReplyAddress {
        /// By mail.
        Email {
            /// The address the reply goes to.
            to: String,
            /// The message's `Message-ID`, with angle brackets; empty when it has none.
            message_id: String,
            /// The message's `References`, oldest first.
            references: Vec<String>,
        },
        /// To whoever waits at the unix socket.
        Local,
        /// To a Slack thread.
        Slack {
            /// Channel id.
            channel: String,
            /// `thread_ts` of the thread.
            thread: String,
            /// The message's own `ts`.
            message: String,
        },
    }

    /// What the message says, once its sender is known.
    pub struct MessageParsed {
        /// The message.
        pub inbound: InboundId,
        /// Its text, quotes removed, as Markdown.
        pub body: BlobRef,
        /// Decoded subject; empty when it has none.
        pub subject: String,
        /// The conversation it continues, if it names one.
        pub conversation_hint: Option<ConversationId>,
        /// Where that was found.
        pub hint_source: Option<HintSource>,
        /// The model it asks for, if any.
        pub model_hint: Option<String>,
        /// Its attachments, with safe and distinct names.
        pub attachments: Vec<StoredFile>,
        /// How to answer it.
        pub reply_to: ReplyAddress,
    }

    /// A message was changed or taken back where it was written, after it was received. A task that
    /// has not begun goes by the newest revision; one that has begun goes on as it is.
    pub struct MessageRevised {
        /// The message.
        pub inbound: InboundId,
        /// The message as it is now, every byte; nothing: it was taken back.
        pub raw: Option<BlobRef>,
    }

    /// The message names a conversation that its sender takes no part in: it does not reach it, and
    /// begins one of its own.
    pub struct ConversationJoinRefused {
        /// The message.
        pub inbound: InboundId,
        /// The conversation it names.
        pub named: ConversationId,
        /// Verified identity of the sender.
        pub identity: String,
    }

    /// The message belongs to a conversation and became a task.
    pub struct MessageRouted {
        /// The message.
        pub inbound: InboundId,
        /// The conversation.
        pub conversation: ConversationId,
        /// Whether the conversation begins with this message.
        pub new: bool,
        /// The task.
        pub task: TaskId,
    }
}
