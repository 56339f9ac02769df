//! What happened to one message that Airut sends. Stream `delivery:<id>`. It knows no protocol:
//! attempt, outcome and evidence are the same for mail and Slack.

use crate::events::id::{
    AtMs, BlobRef, ChannelKind, ConversationId, DeliveryId, RepoId, StoredFile, TaskId,
};
use crate::events::macros::data;

data! {
    /// What an outgoing message is.
    #[derive(Copy)]
    #[serde(rename_all = "lowercase")]
    pub enum DeliveryKind {
        /// "Started working on this."
        Acknowledgement,
        /// The final answer of a task, good or bad.
        Reply,
    }

    /// Where an outgoing message goes; everything needed to build it again, byte for byte.
    pub enum DeliveryTarget {
        /// By mail.
        Email {
            /// Recipient.
            to: String,
            /// Whole subject, with its `[ID:…]` tag.
            subject: String,
            /// Our `Message-ID`, with angle brackets; the same at every attempt.
            message_id: String,
            /// The answered mail's `Message-ID`, or empty.
            in_reply_to: String,
            /// Oldest first.
            references: Vec<String>,
        },
        /// To whoever waits at the unix socket for this task.
        Local,
        /// To a Slack thread.
        Slack {
            /// Channel id.
            channel: String,
            /// `thread_ts`.
            thread: String,
            /// `ts` of each message that this answers, oldest first; none for what is no answer.
            answered: Vec<String>,
            /// What the answer tells, for the mark that the answered messages get.
            tone: AnswerTone,
            /// Whether it is a direct message: those have a status and a title, and no marks.
            is_direct: bool,
            /// What the thread is called from now on; empty when it keeps its name.
            title: String,
        },
    }

    /// What an answer tells.
    #[derive(Copy)]
    #[serde(rename_all = "lowercase")]
    pub enum AnswerTone {
        /// The work is done, or it has just begun.
        Good,
        /// The work failed.
        Failed,
        /// Airut itself failed.
        Broken,
    }

    /// A message is to be sent; it is until one of the ends below.
    pub struct DeliveryRequested {
        /// The delivery.
        pub delivery: DeliveryId,
        /// What it is.
        pub kind: DeliveryKind,
        /// Whose channel it goes through.
        pub repo: RepoId,
        /// Which channel.
        pub channel: ChannelKind,
        /// The conversation it belongs to.
        pub conversation: ConversationId,
        /// The task it answers or acknowledges.
        pub task: TaskId,
        /// Where it goes.
        pub target: DeliveryTarget,
        /// The text as Markdown.
        pub body: BlobRef,
        /// Attached files.
        pub files: Vec<StoredFile>,
    }

    /// An attempt begins; without an outcome in the log its outcome is unknown.
    pub struct DeliveryAttempted {
        /// The delivery.
        pub delivery: DeliveryId,
        /// Number of the attempt, from 1.
        pub attempt: u32,
        /// Whether the text says that it may be a duplicate, because an earlier outcome stayed
        /// unknown.
        pub labelled_duplicate: bool,
    }

    /// The channel has taken the message over. An end.
    pub struct DeliverySucceeded {
        /// The delivery.
        pub delivery: DeliveryId,
        /// The attempt that did it.
        pub attempt: u32,
        /// The channel's receipt: SMTP response, Slack `ts`.
        pub receipt: String,
        /// Whether this was found out by searching, not by an answer.
        pub reconciled: bool,
    }

    /// The channel has refused for now; the message was not sent.
    pub struct DeliveryFailed {
        /// The delivery.
        pub delivery: DeliveryId,
        /// The attempt.
        pub attempt: u32,
        /// Why.
        pub error: String,
        /// Not before this time.
        pub retry_at: AtMs,
    }

    /// It is not known whether the message was sent.
    pub struct DeliveryOutcomeUnknown {
        /// The delivery.
        pub delivery: DeliveryId,
        /// The attempt.
        pub attempt: u32,
        /// What is known, for example `connection lost after DATA`.
        pub detail: String,
    }

    /// A search for traces of an attempt with unknown outcome found none.
    pub struct DeliveryNotFound {
        /// The delivery.
        pub delivery: DeliveryId,
        /// The attempt.
        pub attempt: u32,
        /// What was searched.
        pub searched: String,
    }

    /// The message will not be sent. An end, and an alarm for the operator.
    pub struct DeliveryAbandoned {
        /// The delivery.
        pub delivery: DeliveryId,
        /// Why.
        pub error: String,
    }

    /// A checkpoint of the log leaves with an attempt: its reader can prove later that nothing
    /// older was changed.
    pub struct CheckpointSent {
        /// The delivery.
        pub delivery: DeliveryId,
        /// The attempt.
        pub attempt: u32,
        /// Origin, size, root and signature on one line, as in the mail's header.
        pub checkpoint: String,
    }
}
