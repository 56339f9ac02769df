//! What is said over the daemon's socket: frames of JSON, each after its length. Pure; it knows no
//! socket.
//!
//! A client sends one [`Request`] and reads [`Response`]s until it has what it wants; the daemon
//! answers in order. The protocol has a version, so that an older client gets words, not noise.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::events::codec::StoredRecord;
use crate::events::id::{
    Actor, AtMs, ConversationId, InboundId, Position, RepoId, Sha256, StreamId, TaskId,
};
use crate::events::log::{Append, Context};
use crate::events::service::RestoreDrillCompleted;
use crate::handlers::channels::Attachment;
use crate::handlers::channels::local::pentest::Pentest;
use crate::handlers::operator::Stopped;
use crate::handlers::standing::TaskStanding;

/// The version of this protocol; a daemon refuses others with words.
pub const PROTOCOL_VERSION: u32 = 1;
/// Longest frame; a longer one ends the connection. It holds the largest message with its files.
pub const FRAME_BYTES_MAX: usize = 96 << 20;
/// Most files of a message; more are refused with words. The event that names them has a limit.
pub const FILES_MAX: usize = 100;
/// Longest of all files of a message together, in bytes; more is refused with words. In Base64 they
/// fit into a frame.
pub const FILES_BYTES_MAX: u64 = 64 << 20;
/// Longest text of a message in bytes; a longer one is refused with words.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Longest media type of a file; a longer one is refused with words.
pub const MEDIA_TYPE_BYTES_MAX: usize = 100;
/// Tasks told of in one [`Response::Tasks`]; of more the number is told.
pub const TASKS_MAX: usize = 1000;
/// Records sent in one [`Response::Records`]; more are asked for again.
pub const RECORDS_MAX: usize = 512;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ask")]
pub enum Request {
    /// Take a message in; answered by [`Response::Accepted`].
    Send(Send),
    /// Wait for the answer to a task's message; answered by [`Response::Reply`] when it is due.
    Await {
        /// The task.
        task: TaskId,
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
    /// Tell how each task stands; answered by [`Response::Tasks`].
    Tasks,
    /// Stop a task; answered by [`Response::Stopping`].
    Stop {
        /// The task.
        task: Option<TaskId>,
        /// Or whatever runs or waits in this conversation.
        conversation: Option<ConversationId>,
    },
    /// Forget a conversation; answered by [`Response::Forgotten`] when it is.
    Forget {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Record what restoring a backup on trial came to; answered by [`Response::Recorded`].
    RecordDrill(Drill),
    /// Record what an attack suite came to; answered by [`Response::Recorded`].
    RecordPentest(Pentest),
}

/// What restoring a backup on trial came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Events that came back.
    pub events: u64,
    /// The root over them.
    pub root: Option<Sha256>,
    /// Whether they are those of the backup's checkpoint.
    pub ok: bool,
    /// Which backup it was, or what failed.
    pub detail: String,
}

impl Drill {
    /// Returns the append that records it.
    pub fn into_append(self, operator: String, now: AtMs) -> Append {
        let Self {
            events,
            root,
            ok,
            detail,
        } = self;
        let completed = RestoreDrillCompleted {
            events,
            root,
            ok,
            detail,
        };
        let context = Context {
            actor: Actor::Operator(operator),
            ..Context::system(now)
        };
        Append::to(&StreamId::log(), vec![completed.into()], context)
    }
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

impl Send {
    /// Says in words what is too much about it.
    ///
    /// # Errors
    /// The words.
    pub fn check(&self) -> Result<(), String> {
        if self.text.trim().is_empty() && self.files.is_empty() {
            return Err("the message is empty".to_owned());
        }
        if self.text.len() > TEXT_BYTES_MAX {
            let bytes = self.text.len();
            return Err(format!(
                "the text has {bytes} bytes; at most {TEXT_BYTES_MAX} are taken: attach it as a file"
            ));
        }
        let count = self.files.len();
        if count > FILES_MAX {
            return Err(format!(
                "{count} files are attached; at most {FILES_MAX} are taken: pack them into one"
            ));
        }
        let bytes: u64 = self.files.iter().map(File::bytes).sum();
        if bytes > FILES_BYTES_MAX {
            return Err(format!(
                "the attached files have {bytes} bytes together; at most {FILES_BYTES_MAX} are taken"
            ));
        }
        let long = |file: &&File| file.media_type.len() > MEDIA_TYPE_BYTES_MAX;
        match self.files.iter().find(long) {
            Some(file) => Err(format!("the media type of {:?} is too long", file.name)),
            None => Ok(()),
        }
    }
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

impl File {
    /// Returns about how many bytes it has, without decoding it.
    fn bytes(&self) -> u64 {
        self.base64.len() as u64 / 4 * 3
    }
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
    /// How each task stands that has no answer yet, the oldest first.
    Tasks {
        /// The tasks, as many as a frame holds.
        tasks: Vec<TaskStanding>,
        /// How many younger ones are left out.
        left_out: usize,
    },
    /// This is being stopped.
    Stopping(Stopped),
    /// The conversation is forgotten.
    Forgotten(Forgotten),
    /// It is in the log.
    Recorded,
    /// What was asked cannot be done.
    Refused {
        /// Why, in words.
        error: String,
    },
}

/// What a tombstone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Where it stands in the log.
    pub position: Position,
    /// Keys that are destroyed.
    pub keys: u32,
    /// Bodies that are removed.
    pub bodies: u32,
    /// Bytes that became free.
    pub bytes_freed: u64,
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
    fn too_much_is_refused_with_words() {
        let file = |bytes: usize, media_type: usize| File {
            name: "a".to_owned(),
            media_type: "x".repeat(media_type),
            base64: "QUJD".repeat(bytes / 3),
        };
        let send = |text: usize, files: Vec<File>| Send {
            text: "x".repeat(text),
            files,
            ..Send::default()
        };
        let max = usize::try_from(FILES_BYTES_MAX).unwrap();
        assert_eq!(send(1, vec![file(max, 1)]).check(), Ok(()));
        assert_eq!(send(0, vec![file(3, 1); FILES_MAX]).check(), Ok(()));
        for (send, word) in [
            (send(0, vec![]), "empty"),
            (send(TEXT_BYTES_MAX + 1, vec![]), "attach it as a file"),
            (send(1, vec![file(3, 1); FILES_MAX + 1]), "at most 100"),
            (send(1, vec![file(max / 2 + 9, 1); 2]), "together"),
            (
                send(1, vec![file(3, MEDIA_TYPE_BYTES_MAX + 1)]),
                "media type",
            ),
        ] {
            let words = send.check().unwrap_err();
            assert!(words.contains(word), "{words}");
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
