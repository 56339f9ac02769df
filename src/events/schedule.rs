//! What happened to work that nobody writes for: when it was due, and what came of it. Stream
//! `schedule:<repo>/<name>`; how its command ended stands in the conversation's. It knows no cron.

use crate::events::id::{AtMs, BlobRef, ConversationId, InboundId, RepoId, RunId, TaskId};
use crate::events::macros::data;

data! {
    /// From now on a schedule is due whenever its expression says; what was due before is none of its
    /// business.
    pub struct ScheduleInForce {
        /// Its repository.
        pub repo: RepoId,
        /// Its name.
        pub name: String,
        /// Its cron expression.
        pub cron: String,
        /// IANA name of the zone whose clocks count.
        pub zone: String,
        /// What the machine's clock shows; the first time that counts is later.
        pub from: AtMs,
    }

    /// A schedule is not configured any more, or switched off.
    pub struct ScheduleWithdrawn {
        /// Its repository.
        pub repo: RepoId,
        /// Its name.
        pub name: String,
    }

    /// What a schedule does.
    pub enum ScheduledWork {
        /// The agent is given a text.
        Prompt,
        /// A command runs in the sandbox, and the agent is given what it writes.
        Command {
            /// Its words.
            argv: Vec<String>,
            /// Its time limit; nothing: that of the repository's runs.
            timeout_ms: Option<u64>,
            /// Bytes of its output that the agent is given.
            output_bytes_max: u64,
        },
    }

    /// A schedule was due and became a task, whose text and conversation are in the same append.
    pub struct ScheduleFired {
        /// Its repository.
        pub repo: RepoId,
        /// Its name.
        pub name: String,
        /// When it was due; each such time fires once.
        pub slot: AtMs,
        /// How much later than that the machine's clock was.
        pub late_ms: u64,
        /// The message that stands for it.
        pub inbound: InboundId,
        /// The task.
        pub task: TaskId,
        /// The conversation.
        pub conversation: ConversationId,
        /// What is done.
        pub work: ScheduledWork,
        /// Who gets the answer.
        pub to: String,
    }

    /// Why due times are passed over.
    #[derive(Copy)]
    #[serde(rename_all = "lowercase")]
    pub enum MissedCause {
        /// No daemon ran then, and they are not to be made up for.
        Late,
        /// The schedule's last task still waited or ran.
        Overlap,
    }

    /// A schedule was due, and nothing is done about it.
    pub struct ScheduleSlotsMissed {
        /// Its repository.
        pub repo: RepoId,
        /// Its name.
        pub name: String,
        /// The first of these times.
        pub first: AtMs,
        /// The last of them.
        pub last: AtMs,
        /// How many they are.
        pub count: u32,
        /// Why.
        pub cause: MissedCause,
    }

    /// A schedule's command has ended; without output and with exit code 0 there is nothing to do.
    pub struct ScheduleCommandEnded {
        /// The task.
        pub task: TaskId,
        /// The conversation.
        pub conversation: ConversationId,
        /// The run it was.
        pub run: RunId,
        /// Its exit code.
        pub exit_code: i32,
        /// Whether it ran into its time limit.
        pub timed_out: bool,
        /// Whether it was killed for want of memory.
        pub out_of_memory: bool,
        /// Whether it wrote more than a run may write, which ended it.
        pub too_much_output: bool,
        /// What it wrote to standard output, as far as it is kept.
        pub output: BlobRef,
        /// Bytes that it wrote to standard output.
        pub output_bytes: u64,
        /// The end of what it wrote to standard error.
        pub errors: BlobRef,
    }

    /// A schedule's command had nothing to say: nobody is written to, and its conversation is forgotten.
    pub struct ScheduleCameToNothing {
        /// Its repository.
        pub repo: RepoId,
        /// Its name.
        pub name: String,
        /// When it was due.
        pub slot: AtMs,
        /// The task.
        pub task: TaskId,
    }
}
