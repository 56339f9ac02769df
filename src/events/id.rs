//! Newtypes for every id, position and unit that an event carries. They know no event.
//!
//! Ids are derived, never drawn, wherever the thing they name can be met twice (a mail fetched again
//! after a crash): the same input gives the same id, and the log's idempotency keys do the rest.

use sha2::{Digest as _, Sha256 as Sha256Hasher};

use crate::events::macros::data;

mod text;

pub use text::ParseIdError;

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

    /// The stream of what happens to the log itself.
    pub fn log() -> Self {
        Self("log".to_owned())
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

    /// The stream of one repository's schedule.
    pub fn schedule(repo: &RepoId, name: &str) -> Self {
        Self(format!("schedule:{repo}/{name}"))
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
