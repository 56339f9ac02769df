//! What happened in one conversation: its workspace, sessions and answers. Stream
//! `conversation:<id>`. It knows nothing of channels beyond their kind.

use crate::events::id::{
    AtMs, BlobRef, ChannelKind, ConversationId, InboundId, RepoId, RunId, SessionId, StoredFile,
    TaskId,
};
use crate::events::macros::data;

data! {
    /// A conversation begins.
    pub struct ConversationCreated {
        /// The conversation.
        pub conversation: ConversationId,
        /// Its repository.
        pub repo: RepoId,
        /// The channel its first message came through.
        pub channel: ChannelKind,
        /// Verified identity of whoever began it.
        pub owner: String,
        /// The model all its tasks use.
        pub model: String,
        /// The effort all its tasks use.
        pub effort: Option<String>,
    }

    /// Another permitted sender takes part.
    pub struct ConversationParticipantJoined {
        /// The conversation.
        pub conversation: ConversationId,
        /// Verified identity of the sender.
        pub identity: String,
    }

    /// The owner lets somebody take part, by writing to them too.
    pub struct ConversationParticipantInvited {
        /// The conversation.
        pub conversation: ConversationId,
        /// Whoever may take part from now on; what else a sender must be is not changed by it.
        pub identity: String,
        /// Verified identity of the owner.
        pub by: String,
        /// The owner's message that named them.
        pub inbound: InboundId,
    }

    /// A channel's own name for a conversation's thread is known.
    pub struct ThreadLinked {
        /// The conversation.
        pub conversation: ConversationId,
        /// The kind of channel.
        pub channel: ChannelKind,
        /// `Message-ID` of a mail, or `channel:thread_ts` of a Slack thread.
        pub key: String,
    }

    /// The conversation has a workspace.
    pub struct WorkspaceCloned {
        /// The conversation.
        pub conversation: ConversationId,
        /// The default branch.
        pub branch: String,
        /// The commit checked out, as hexadecimal digits.
        pub commit: String,
        /// How long it took.
        pub duration_ms: u64,
    }

    /// The workspace could not be made.
    pub struct WorkspaceCloneFailed {
        /// The conversation.
        pub conversation: ConversationId,
        /// Why, as git said it.
        pub error: String,
    }

    /// The prompt of a run is fixed.
    pub struct PromptComposed {
        /// The conversation.
        pub conversation: ConversationId,
        /// The run it is for.
        pub run: RunId,
        /// What the agent reads on its standard input.
        pub prompt: BlobRef,
        /// The session that is resumed, if any.
        pub resumes: Option<SessionId>,
    }

    /// A session is not resumed any more.
    pub struct SessionAbandoned {
        /// The conversation.
        pub conversation: ConversationId,
        /// The session.
        pub session: SessionId,
        /// Why.
        pub cause: String,
    }

    /// Tokens, as the Messages API counts them.
    #[derive(Copy, Default)]
    pub struct TokenUsage {
        /// Input tokens that were not cached.
        pub input: u64,
        /// Output tokens.
        pub output: u64,
        /// Input tokens written to the cache.
        pub cache_creation: u64,
        /// Input tokens read from the cache.
        pub cache_read: u64,
        /// Server-side web searches.
        pub web_searches: u64,
        /// Server-side web fetches.
        pub web_fetches: u64,
    }

    /// The answer of a task is fixed.
    pub struct ReplyRecorded {
        /// The conversation.
        pub conversation: ConversationId,
        /// The task it answers.
        pub task: TaskId,
        /// Its number within the conversation, from 1.
        pub index: u32,
        /// The session it came from, if the agent named one.
        pub session: Option<SessionId>,
        /// The answer as Markdown, before a channel renders it.
        pub body: BlobRef,
        /// Files from the outbox.
        pub files: Vec<StoredFile>,
        /// Tokens of all attempts.
        pub usage: TokenUsage,
        /// Cost of all attempts, in millionths of a US dollar.
        pub cost_microusd: u64,
        /// Turns of all attempts.
        pub turns: u32,
        /// The agent's own time over all attempts.
        pub duration_ms: u64,
        /// Whether it tells of a failure.
        pub is_error: bool,
    }

    /// Why a conversation is forgotten.
    #[derive(Copy)]
    #[serde(rename_all = "lowercase")]
    pub enum ForgetReason {
        /// An operator asked for it.
        Operator,
        /// Nothing happened in it for as long as it may be kept.
        Retention,
        /// A schedule's command had nothing to say in it, so that nobody knows of it.
        Silent,
    }

    /// A conversation is to be forgotten. From here on it cannot be continued; its keys, workspace
    /// and bodies are destroyed next.
    pub struct ConversationForgetRequested {
        /// The conversation.
        pub conversation: ConversationId,
        /// Why.
        pub reason: ForgetReason,
        /// Who asked; empty for retention.
        pub by: String,
        /// When something happened in it last.
        pub last_activity: AtMs,
    }

    /// A conversation is forgotten: the tombstone. What it said cannot be read any more, by nobody.
    pub struct ConversationForgotten {
        /// The conversation.
        pub conversation: ConversationId,
        /// Keys that are destroyed: one for each of its messages.
        pub keys: u32,
        /// Bodies that are removed.
        pub bodies: u32,
        /// Bytes that their removal and that of the workspace made free.
        pub bytes_freed: u64,
    }

    /// A participant chose the model that all later tasks of the conversation use.
    pub struct ConversationModelChosen {
        /// The conversation.
        pub conversation: ConversationId,
        /// The model, as the agent's program takes it.
        pub model: String,
        /// Verified identity of whoever chose it.
        pub by: String,
    }
}

impl TokenUsage {
    /// Adds what was used besides.
    pub fn add(&mut self, more: Self) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_creation = self.cache_creation.saturating_add(more.cache_creation);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.web_searches = self.web_searches.saturating_add(more.web_searches);
        self.web_fetches = self.web_fetches.saturating_add(more.web_fetches);
    }
}
