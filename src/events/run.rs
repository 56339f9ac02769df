//! What was planned for one run, what its agent said and how it is judged. Stream `run:<id>`.
//! Its containers have a family of their own.

use crate::events::conversation::TokenUsage;
use crate::events::id::{BlobRef, CredentialName, RepoId, RunId, SessionId, Sha256};
use crate::events::macros::data;

data! {
    /// A directory or file of the host inside a container.
    pub struct Mount {
        /// Path on the host.
        pub source: String,
        /// Path in the container.
        pub target: String,
        /// Whether the container may not write to it.
        pub read_only: bool,
    }

    /// Resource limits of a run; nothing given means no limit.
    #[derive(Default)]
    pub struct RunLimits {
        /// Wall clock time for the agent.
        pub timeout_ms: Option<u64>,
        /// Memory and swap together.
        pub memory_bytes: Option<u64>,
        /// Thousandths of a processor.
        pub cpu_millis: Option<u64>,
        /// Processes and threads.
        pub pids_max: Option<u64>,
    }

    /// A credential in force for a run.
    pub struct CredentialScope {
        /// Its configured name.
        pub name: CredentialName,
        /// `masked`, `aws-sigv4`, `github-app` or `plain`.
        pub kind: String,
        /// Host patterns it may be used for.
        pub scopes: Vec<String>,
        /// Keyed fingerprint of the surrogate; the surrogate itself is in no event.
        pub surrogate_fingerprint: Sha256,
    }

    /// Everything that will be made for a run; whatever of it exists without an end is an orphan.
    pub struct RunPlanned {
        /// The run.
        pub run: RunId,
        /// Image of the agent container.
        pub image: String,
        /// The command, without secrets.
        pub argv: Vec<String>,
        /// Names of the environment variables, without values.
        pub env_names: Vec<String>,
        /// What of the host the container sees.
        pub mounts: Vec<Mount>,
        /// Resource limits.
        pub limits: RunLimits,
        /// The allowlist in force; nothing when the network sandbox is switched off.
        pub allowlist: Option<BlobRef>,
        /// The commit the allowlist was read from.
        pub allowlist_commit: String,
        /// Credentials in force.
        pub credentials: Vec<CredentialScope>,
    }

    /// A layer of an image is being built.
    pub struct ImageBuildStarted {
        /// The run that needs it.
        pub run: RunId,
        /// The tag it will have.
        pub tag: String,
    }

    /// A layer of an image is built.
    pub struct ImageBuilt {
        /// The run that needs it.
        pub run: RunId,
        /// Its tag.
        pub tag: String,
        /// How long it took.
        pub duration_ms: u64,
    }

    /// An image could not be built.
    pub struct ImageBuildFailed {
        /// The run that needs it.
        pub run: RunId,
        /// The tag it would have had.
        pub tag: String,
        /// Why, in a line.
        pub error: String,
        /// The builder's output.
        pub log: BlobRef,
    }

    /// A line of output, in place when short, else by reference.
    pub enum LineBody {
        /// At most `LINE_INLINE_BYTES_MAX` bytes.
        Inline(String),
        /// Longer than that.
        Blob(BlobRef),
    }

    /// The agent wrote a line of its event stream.
    pub struct AgentEventObserved {
        /// The run.
        pub run: RunId,
        /// Number of the line, from 1.
        pub index: u32,
        /// The line's `type`; `_unknown` when it is none that we know, `_text` when it is no JSON.
        pub event_type: String,
        /// The line's `subtype`, or empty.
        pub subtype: String,
        /// The session it names, if any.
        pub session: Option<SessionId>,
        /// The line as written.
        pub line: LineBody,
    }

    /// The agent wrote to its standard error.
    pub struct AgentErrorOutput {
        /// The run.
        pub run: RunId,
        /// What it wrote.
        pub text: LineBody,
    }

    /// How a run is judged.
    #[derive(Copy)]
    pub enum RunOutcome {
        /// The agent answered.
        Success,
        /// It ran into its time limit.
        Timeout,
        /// It was stopped on request.
        Stopped,
        /// It ran out of memory.
        OutOfMemory,
        /// The prompt was too long for the model.
        PromptTooLong,
        /// The session it should resume is unknown or broken.
        SessionUnusable,
        /// The API refused for now (429, 529): try again later.
        ApiBusy,
        /// The API refused for good (401, 403, credit).
        ApiRefused,
        /// The API failed (5xx, connection).
        ApiFailed,
        /// The agent reported another error.
        AgentFailed,
        /// The container failed without a word from the agent.
        ContainerFailed,
        /// Its honey surrogate was on its way out, and it was frozen.
        Frozen,
    }

    /// A run is judged.
    pub struct RunOutcomeClassified {
        /// The run.
        pub run: RunId,
        /// The judgement.
        pub outcome: RunOutcome,
        /// The rule that decided, for example `terminal_reason=prompt_too_long`.
        pub rule: String,
        /// Tokens of this run.
        pub usage: TokenUsage,
        /// Cost of this run, in millionths of a US dollar.
        pub cost_microusd: u64,
        /// Turns of this run.
        pub turns: u32,
    }

    /// The commit that gave a file the form it has.
    pub struct FileChange {
        /// The commit, as hexadecimal digits.
        pub commit: String,
        /// Its author as git names them; nobody has verified it.
        pub author: String,
        /// When it was committed, as git writes it.
        pub committed_at: String,
    }

    /// A credential that a run may use; its value is in no event.
    pub struct CredentialGrant {
        /// Its configured name, which is also the variable it stands in.
        pub name: CredentialName,
        /// `masked`: the agent sees a surrogate and the proxy puts the value in; `plain`: the agent
        /// sees the value, and it goes wherever the allowlist lets it go.
        pub kind: String,
        /// Host patterns it may be sent to; none for a plain one.
        pub scopes: Vec<String>,
        /// Patterns of the headers it may stand in; none for a plain one.
        pub headers: Vec<String>,
        /// Whether other credentials may go to the same hosts in those headers.
        pub allow_foreign: bool,
    }

    /// What a run may reach and what it may use there, and who allowed it; recorded with its plan.
    pub struct PolicyInForce {
        /// The run.
        pub run: RunId,
        /// The repository whose configuration and allowlist hold.
        pub repo: RepoId,
        /// The allowlist's text; nothing when the network sandbox is switched off and everything
        /// may be reached.
        pub allowlist: Option<BlobRef>,
        /// The commit the allowlist was read from.
        pub allowlist_commit: String,
        /// The commit that gave it this form; nothing when git could not tell.
        pub allowlist_change: Option<FileChange>,
        /// The credentials, by name.
        pub credentials: Vec<CredentialGrant>,
    }

    /// A run ended without a judgement, because the service ended or its sandbox broke: what its
    /// stream says that it used by then. What was under way at the API is not in it.
    pub struct RunCutOff {
        /// The run.
        pub run: RunId,
        /// Tokens of this run.
        pub usage: TokenUsage,
        /// Cost of this run, in millionths of a US dollar; estimated from list prices.
        pub cost_microusd: u64,
        /// Turns of this run.
        pub turns: u32,
    }
}

/// Longest line kept inside an event, in bytes; a longer one becomes a blob.
pub const LINE_INLINE_BYTES_MAX: usize = 4096;
