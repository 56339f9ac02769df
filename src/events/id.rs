//! Newtypes for every id, position and unit that an event carries. They know no event.
//!
//! Ids are derived, never drawn, wherever the thing they name can be met twice (a mail fetched again
//! after a crash): the same input gives the same id, and the log's idempotency keys do the rest.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256 as Sha256Hasher};

use crate::events::macros::data;

data! {
    /// Milliseconds since the Unix epoch, UTC.
    #[derive(Copy, PartialOrd, Ord, Hash, Default)]
    #[serde(transparent)]
    pub struct AtMs(pub u64);

    /// A place in the log: the first event has position 1, 0 means "before everything".
    #[derive(Copy, PartialOrd, Ord, Hash, Default)]
    #[serde(transparent)]
    pub struct Position(pub u64);

    /// The number of events in a stream up to and including an event; 0 means an empty stream.
    #[derive(Copy, PartialOrd, Ord, Hash, Default)]
    #[serde(transparent)]
    pub struct StreamVersion(pub u64);

    /// The name of a stream, `family:key`, for example `task:0123456789ab`.
    #[derive(PartialOrd, Ord, Hash)]
    #[serde(transparent)]
    pub struct StreamId(String);

    /// A repository as the configuration names it (`repos.<id>`).
    #[derive(PartialOrd, Ord, Hash)]
    #[serde(transparent)]
    pub struct RepoId(pub String);

    /// A received message: the first 16 bytes of SHA-256 over its deduplication key.
    #[derive(Copy, PartialOrd, Ord, Hash)]
    #[serde(into = "String", try_from = "String")]
    pub struct InboundId(pub [u8; 16]);

    /// A conversation, printed as 8 lowercase hexadecimal digits (spec row CNV-01).
    #[derive(Copy, PartialOrd, Ord, Hash)]
    #[serde(into = "String", try_from = "String")]
    pub struct ConversationId(pub u32);

    /// A task, printed as 12 lowercase hexadecimal digits (spec row GW-02).
    #[derive(Copy, PartialOrd, Ord, Hash)]
    #[serde(into = "String", try_from = "String")]
    pub struct TaskId(pub u64);

    /// One execution of containers for a task; `attempt` counts from 1.
    #[derive(Copy, PartialOrd, Ord, Hash)]
    #[serde(into = "String", try_from = "String")]
    pub struct RunId {
        /// The task that is run.
        pub task: TaskId,
        /// Which execution of it this is, from 1.
        pub attempt: u16,
    }

    /// One message that Airut sends, printed as 16 lowercase hexadecimal digits.
    #[derive(Copy, PartialOrd, Ord, Hash)]
    #[serde(into = "String", try_from = "String")]
    pub struct DeliveryId(pub u64);

    /// One request that an agent made through the proxy, counted from 1 within its run.
    #[derive(Copy, PartialOrd, Ord, Hash)]
    #[serde(transparent)]
    pub struct RequestId(pub u64);

    /// The session id that Claude Code reports and resumes by.
    #[derive(PartialOrd, Ord, Hash)]
    #[serde(transparent)]
    pub struct SessionId(pub String);

    /// The configured name of a credential; its value is never in an event.
    #[derive(PartialOrd, Ord, Hash)]
    #[serde(transparent)]
    pub struct CredentialName(pub String);

    /// A SHA-256 digest, printed as 64 lowercase hexadecimal digits.
    #[derive(Copy, PartialOrd, Ord, Hash)]
    #[serde(into = "String", try_from = "String")]
    pub struct Sha256(pub [u8; 32]);

    /// A body kept outside the log, addressed by its content.
    pub struct BlobRef {
        /// Digest of the body, and its name in the blob store.
        pub sha256: Sha256,
        /// Length of the body in bytes.
        pub bytes: u64,
        /// Media type, for example `message/rfc822`.
        pub media_type: String,
    }

    /// A named file whose body is a blob.
    pub struct StoredFile {
        /// File name without directories.
        pub name: String,
        /// The body.
        pub blob: BlobRef,
    }

    /// The kinds of channel a message can come through.
    #[derive(Copy, PartialOrd, Ord, Hash)]
    #[serde(rename_all = "lowercase")]
    pub enum ChannelKind {
        /// The daemon's own unix socket (`airut send`).
        Local,
        /// A mailbox.
        Email,
        /// A Slack workspace.
        Slack,
    }

    /// Who caused an event.
    #[derive(PartialOrd, Ord, Hash)]
    #[serde(into = "String", try_from = "String")]
    pub enum Actor {
        /// The service itself.
        System,
        /// A channel's listener.
        Channel(RepoId, ChannelKind),
        /// An authenticated sender, by verified identity.
        Sender(String),
        /// An operator, by dashboard or system user name.
        Operator(String),
        /// The scheduler.
        Scheduler,
        /// The proxy of a run.
        Proxy(RunId),
    }
}

impl Sha256 {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256Hasher::digest(bytes).into())
    }

    /// Returns the digest of `parts`, each preceded by its length, so that no two lists collide.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256Hasher::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

impl InboundId {
    /// Returns the id of the message that `dedupe_key` identifies.
    pub fn from_dedupe_key(dedupe_key: &str) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::of(dedupe_key.as_bytes()).0[..16]);
        Self(id)
    }

    /// Returns the task that answers this message: one message, one task.
    pub fn task(self) -> TaskId {
        let bytes = self.0.iter().take(6);
        TaskId(bytes.fold(0, |id, byte| id << 8 | u64::from(*byte)))
    }
}

impl TaskId {
    /// Returns the run of this task with that attempt number.
    pub fn run(self, attempt: u16) -> RunId {
        RunId {
            task: self,
            attempt,
        }
    }
}

impl DeliveryId {
    /// Returns the id of the `purpose` delivery of `task`, for example `("reply", 1)`.
    pub fn derive(task: TaskId, purpose: &str, index: u32) -> Self {
        let digest = Sha256::of_parts(&[
            &task.0.to_be_bytes(),
            purpose.as_bytes(),
            &index.to_be_bytes(),
        ]);
        let mut id = [0; 8];
        id.copy_from_slice(&digest.0[..8]);
        Self(u64::from_be_bytes(id))
    }
}

impl StreamId {
    /// The stream of the service's own life.
    pub fn service() -> Self {
        Self("service".to_owned())
    }

    /// The stream of one received message.
    pub fn inbound(id: InboundId) -> Self {
        Self(format!("inbound:{id}"))
    }

    /// The stream of one task.
    pub fn task(id: TaskId) -> Self {
        Self(format!("task:{id}"))
    }

    /// The stream of one conversation.
    pub fn conversation(id: ConversationId) -> Self {
        Self(format!("conversation:{id}"))
    }

    /// The stream of one run: its containers and what the agent said.
    pub fn run(id: RunId) -> Self {
        Self(format!("run:{id}"))
    }

    /// The stream of one run's network decisions.
    pub fn proxy(id: RunId) -> Self {
        Self(format!("proxy:{id}"))
    }

    /// The stream of one outgoing message.
    pub fn delivery(id: DeliveryId) -> Self {
        Self(format!("delivery:{id}"))
    }

    /// The stream of one repository's mirror and images.
    pub fn repository(id: &RepoId) -> Self {
        Self(format!("repository:{id}"))
    }

    /// The stream of one channel of one repository.
    pub fn channel(repo: &RepoId, kind: ChannelKind) -> Self {
        Self(format!("channel:{repo}/{kind}"))
    }

    /// Reads a stream name back from its stored form.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An id whose text could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
}

fn parse_hex(text: &str, digits: usize, expected: &'static str) -> Result<u64, ParseIdError> {
    let valid = text.len() == digits
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let parsed = valid.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    parsed.ok_or_else(|| ParseIdError {
        text: text.to_owned(),
        expected,
    })
}

impl FromStr for ConversationId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let expected = "a conversation id (8 lowercase hexadecimal digits)";
        let value = parse_hex(text, 8, expected)?;
        Ok(Self(
            u32::try_from(value).expect("8 hexadecimal digits fit 32 bits"),
        ))
    }
}

impl FromStr for TaskId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text, 12, "a task id (12 lowercase hexadecimal digits)").map(Self)
    }
}

impl FromStr for DeliveryId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text, 16, "a delivery id (16 lowercase hexadecimal digits)").map(Self)
    }
}

impl FromStr for RunId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let expected = "a run id (a task id, a dot and the attempt's number)";
        let error = || ParseIdError {
            text: text.to_owned(),
            expected,
        };
        let (task, attempt) = text.split_once('.').ok_or_else(error)?;
        let attempt = attempt.parse().map_err(|_| error())?;
        Ok(Self {
            task: task.parse().map_err(|_| error())?,
            attempt,
        })
    }
}

impl FromStr for InboundId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bytes = hex::decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        let expected = "a message id (32 hexadecimal digits)";
        bytes.map(Self).ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            expected,
        })
    }
}

impl FromStr for Sha256 {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bytes = hex::decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        let expected = "a SHA-256 digest (64 hexadecimal digits)";
        bytes.map(Self).ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            expected,
        })
    }
}

impl FromStr for ChannelKind {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text {
            "local" => Ok(Self::Local),
            "email" => Ok(Self::Email),
            "slack" => Ok(Self::Slack),
            _ => Err(ParseIdError {
                text: text.to_owned(),
                expected: "a kind of channel",
            }),
        }
    }
}

impl FromStr for Actor {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError {
            text: text.to_owned(),
            expected: "an actor",
        };
        match text.split_once(':') {
            None if text == "system" => Ok(Self::System),
            None if text == "scheduler" => Ok(Self::Scheduler),
            Some(("channel", channel)) => {
                let (repo, kind) = channel.rsplit_once('/').ok_or_else(error)?;
                Ok(Self::Channel(
                    RepoId(repo.to_owned()),
                    kind.parse().map_err(|_| error())?,
                ))
            }
            Some(("sender", identity)) => Ok(Self::Sender(identity.to_owned())),
            Some(("operator", name)) => Ok(Self::Operator(name.to_owned())),
            Some(("proxy", run)) => run.parse().map(Self::Proxy).map_err(|_| error()),
            _ => Err(error()),
        }
    }
}

/// Implements reading an id from the text that JSON holds.
macro_rules! read_from_text {
    ($($id:ident)*) => {$(
        impl TryFrom<String> for $id {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }
    )*};
}

read_from_text! { InboundId ConversationId TaskId RunId DeliveryId Sha256 Actor }

/// Implements `Display`, and the same text as `String`, which JSON uses.
macro_rules! printed {
    ($($id:ident => |$value:ident, $f:ident| $body:expr;)*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $value = self;
                $body
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.to_string()
            }
        }
    )*};
}

printed! {
    AtMs => |v, f| v.0.fmt(f);
    Position => |v, f| v.0.fmt(f);
    StreamVersion => |v, f| v.0.fmt(f);
    StreamId => |v, f| f.write_str(&v.0);
    RepoId => |v, f| f.write_str(&v.0);
    InboundId => |v, f| f.write_str(&hex::encode(v.0));
    ConversationId => |v, f| write!(f, "{:08x}", v.0);
    TaskId => |v, f| write!(f, "{:012x}", v.0);
    RunId => |v, f| write!(f, "{}.{}", v.task, v.attempt);
    DeliveryId => |v, f| write!(f, "{:016x}", v.0);
    RequestId => |v, f| v.0.fmt(f);
    SessionId => |v, f| f.write_str(&v.0);
    CredentialName => |v, f| f.write_str(&v.0);
    Sha256 => |v, f| f.write_str(&hex::encode(v.0));
    ChannelKind => |v, f| f.write_str(match v {
        ChannelKind::Local => "local",
        ChannelKind::Email => "email",
        ChannelKind::Slack => "slack",
    });
    Actor => |v, f| match v {
        Actor::System => f.write_str("system"),
        Actor::Channel(repo, kind) => write!(f, "channel:{repo}/{kind}"),
        Actor::Sender(identity) => write!(f, "sender:{identity}"),
        Actor::Operator(name) => write!(f, "operator:{name}"),
        Actor::Scheduler => f.write_str("scheduler"),
        Actor::Proxy(run) => write!(f, "proxy:{run}"),
    };
}
