//! What is said over the daemon's socket: frames of JSON, each after its length. Pure; it knows no
//! socket.
//!
//! A client sends one [`Request`] and reads [`Response`]s until it has what it wants; the daemon
//! answers in order. The protocol has a version, so that an older client gets words, not noise.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::events::codec::StoredRecord;
use crate::events::id::{ConversationId, InboundId, Position, RepoId, TaskId};
use crate::handlers::channels::Attachment;

/// The version of this protocol; a daemon refuses others with words.
pub const PROTOCOL_VERSION: u32 = 1;
/// Longest frame; a longer one ends the connection. It holds the largest message with its files.
pub const FRAME_BYTES_MAX: usize = 96 << 20;
/// Records sent in one [`Response::Records`]; more are asked for again.
pub const RECORDS_MAX: usize = 512;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ask")]
pub enum Request {
    /// Take a message in; answered by [`Response::Accepted`].
    Send(Send),
    /// Wait for the answer to a message; answered by [`Response::Reply`] when it is due.
    Await {
        /// The message.
        inbound: InboundId,
        /// Where in the log it stands at the earliest.
        after: Position,
    },
    /// Return records; answered by [`Response::Records`], once.
    Read {
        /// Those after this position.
        after: Position,
        /// At most so many, and never more than [`RECORDS_MAX`].
        limit: usize,
    },
    /// Return records as they become durable; answered by [`Response::Records`] for ever.
    Follow {
        /// Those after this position.
        after: Position,
    },
    /// Tell how the daemon is; answered by [`Response::Status`].
    Status,
    /// Stop a task; answered by [`Response::Stopping`].
    Stop {
        /// The task.
        task: Option<TaskId>,
        /// Or whatever runs or waits in this conversation.
        conversation: Option<ConversationId>,
    },
}

/// A message from the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// [`PROTOCOL_VERSION`] of the client.
    pub version: u32,
    /// What makes it the same message when it is sent again; random.
    pub nonce: String,
    /// The repository; may be left out when there is only one.
    pub repo: Option<RepoId>,
    /// The conversation it continues.
    pub conversation: Option<ConversationId>,
    /// The text, as Markdown.
    pub text: String,
    /// Its files.
    pub files: Vec<File>,
}

/// A file on its way through the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes, in Base64.
    pub base64: String,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Response {
    /// The message is durable.
    Accepted(Accepted),
    /// The answer to a message.
    Reply(Reply),
    /// Records of the log, in order.
    Records {
        /// The records.
        records: Vec<Record>,
    },
    /// How the daemon is.
    Status {
        /// Its version.
        version: String,
        /// Its process.
        pid: u32,
        /// Where the log ends.
        head: Position,
    },
    /// These tasks are being stopped.
    Stopping {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// What was asked cannot be done.
    Refused {
        /// Why, in words.
        error: String,
    },
}

/// The receipt for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The message.
    pub inbound: InboundId,
    /// The task it becomes if its sender may use the repository.
    pub task: TaskId,
    /// Where the log ended before it was taken in.
    pub after: Position,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The conversation, to be continued by naming it.
    pub conversation: ConversationId,
    /// The task.
    pub task: TaskId,
    /// The text, as Markdown.
    pub text: String,
    /// The files that came with it.
    pub files: Vec<File>,
}

/// A record of the log, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place.
    pub position: Position,
    /// Its stored bytes, in Base64.
    pub base64: String,
}

/// A file or record whose Base64 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a body that came through the socket is not base64")]
pub struct NotBase64;

impl From<Attachment> for File {
    fn from(file: Attachment) -> Self {
        Self {
            name: file.name,
            media_type: file.media_type,
            base64: BASE64_STANDARD.encode(file.bytes),
        }
    }
}

impl TryFrom<File> for Attachment {
    type Error = NotBase64;

    fn try_from(file: File) -> Result<Self, NotBase64> {
        let bytes = BASE64_STANDARD
            .decode(&file.base64)
            .map_err(|_| NotBase64)?;
        Ok(Self {
            name: file.name,
            media_type: file.media_type,
            bytes,
        })
    }
}

impl From<StoredRecord> for Record {
    fn from(record: StoredRecord) -> Self {
        Self {
            position: record.position,
            base64: BASE64_STANDARD.encode(record.bytes),
        }
    }
}

impl TryFrom<Record> for StoredRecord {
    type Error = NotBase64;

    fn try_from(record: Record) -> Result<Self, NotBase64> {
        let bytes = BASE64_STANDARD
            .decode(&record.base64)
            .map_err(|_| NotBase64)?;
        Ok(Self {
            position: record.position,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_from_its_json() {
        let send = Send {
            text: "hello".to_owned(),
            version: 1,
            ..Send::default()
        };
        for request in [
            Request::Send(send),
            Request::Status,
            Request::Follow { after: Position(7) },
        ] {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(
                serde_json::from_str::<Request>(&json).unwrap(),
                request,
                "{json}"
            );
        }
    }

    #[test]
    fn a_file_keeps_its_bytes() {
        let bytes = (0..=255).collect();
        let file = Attachment {
            name: "a".into(),
            media_type: "b/c".into(),
            bytes,
        };
        assert_eq!(Attachment::try_from(File::from(file.clone())), Ok(file));
    }
}
