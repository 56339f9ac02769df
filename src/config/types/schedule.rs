//! `repos.<id>.schedules`: work that nobody writes for. Pure.

use crate::config::cron::Cron;

/// `repos.<id>.schedules.<name>`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// When it is due.
    pub cron: Cron,
    /// IANA name of the zone whose clocks count; nothing: the machine's own.
    pub timezone: Option<String>,
    /// Whether it is ever due; default true.
    pub enabled: bool,
    /// The subject of its mails; default its name.
    pub subject: Option<String>,
    /// What is done.
    pub work: Work,
    /// The model of its conversations; default the repository's.
    pub model: Option<String>,
    /// Their effort; default the repository's.
    pub effort: Option<String>,
    /// Where its answers go.
    pub deliver: Deliver,
    /// What becomes of a time at which its last task still waits or runs; default `skip`.
    pub overlap: Overlap,
    /// What becomes of times at which no daemon ran; default `once`.
    pub catch_up: CatchUp,
}

/// What a schedule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// `prompt`: the agent is given this text.
    Prompt(String),
    /// `trigger_command`: a command runs in the sandbox, and the agent is given what it writes.
    Command {
        /// As written.
        text: String,
        /// Its words, as a shell without expansions splits them.
        argv: Vec<String>,
        /// `trigger_timeout`, at least 10 seconds; nothing: the repository's time limit.
        timeout_s: Option<u64>,
        /// `output_limit`: bytes of its output that the agent is given, default 102,400; the rest is
        /// cut, and the agent is told.
        output_bytes_max: u64,
    },
}

/// `deliver`: where answers go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deliver {
    /// By mail.
    Email {
        /// The address.
        to: String,
    },
}

/// `overlap`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overlap {
    /// The time is passed over, which is recorded.
    #[default]
    Skip,
    /// Another task is queued beside the one that is not done.
    Allow,
}

/// `catch_up`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// They are passed over, which is recorded.
    Skip,
    /// The newest of them is made up for; the others are passed over.
    #[default]
    Once,
    /// The newest of them, up to a limit, are made up for, one after the other.
    All,
}
