//! What the sender reads: the agent's words, or in ours what went wrong and what to do (spec rows
//! GW-11, GW-19 to GW-23). Pure.

use crate::events::conversation::TokenUsage;
use crate::events::run::RunOutcome;
use crate::events::task::CompletionReason;
use crate::sandbox::agent::NO_OUTPUT;

/// Lines of the agent's output that a failure shows.
pub const OUTPUT_LINES_MAX: usize = 10;

/// Characters of an error that an answer shows; the whole of it is in the log.
pub const ERROR_CHARS_MAX: usize = 2000;

/// An answer and how its task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text as Markdown.
    pub text: String,
    /// How the task ended.
    pub reason: CompletionReason,
    /// In words, for the operator; empty for a success.
    pub detail: String,
}

impl Answer {
    /// Returns whether it tells of a failure.
    pub fn is_error(&self) -> bool {
        self.reason != CompletionReason::Success
    }

    fn failed(detail: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            reason: CompletionReason::ExecutionFailed,
            detail: detail.into(),
        }
    }

    fn internal(detail: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            reason: CompletionReason::InternalError,
            ..Self::failed(detail, text)
        }
    }
}

/// What the agent left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its answer, or the API's error as it reports it.
    pub reply: String,
    /// The last lines of its output, for a failure without words.
    pub last_lines: Vec<String>,
    /// How long it worked.
    pub duration_ms: u64,
}

/// Why a task ended before an agent could be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The message has neither text nor subject nor files.
    EmptyMessage,
    /// The repository is not configured any more.
    RepositoryGone,
    /// The mirror could not be brought up to date.
    Mirror(String),
    /// The workspace could not be made.
    Workspace(String),
    /// The allowlist is missing or wrong.
    Allowlist(String),
    /// The image could not be built.
    Image(String),
    /// The agent's program is not there.
    Agent(String),
    /// The sandbox could not be brought up, or broke.
    Sandbox(String),
    /// It was stopped on request.
    Stopped(Stop),
    /// It was cut off too often.
    CutOffTooOften(u32),
    /// Airut itself failed.
    Internal(String),
}

/// A stop on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Who asked for it; empty when that is not known.
    pub by: String,
    /// How far the task was.
    pub when: StoppedWhen,
}

/// How far a task was when it was stopped (gap 21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedWhen {
    /// It waited for its turn, and nothing was done for it.
    Unbegun,
    /// It had been worked on, and waited to go on.
    Waiting,
    /// It was being worked on.
    Running,
}

/// Returns the answer of a judged run.
pub fn answer_outcome(outcome: RunOutcome, rule: &str, said: &Said) -> Answer {
    let seconds = said.duration_ms / 1000;
    let words = said.reply.trim();
    match outcome {
        RunOutcome::Success => Answer {
            text: said.reply.clone(),
            reason: CompletionReason::Success,
            detail: String::new(),
        },
        RunOutcome::Timeout => answer_timeout(seconds, words),
        RunOutcome::Stopped => answer_obstacle(&Obstacle::Stopped(Stop {
            by: String::new(),
            when: StoppedWhen::Running,
        })),
        RunOutcome::OutOfMemory => Answer::failed(
            "out of memory",
            "The task needed more memory than it is allowed and was ended. Work done so far has been \
             saved. Ask for smaller steps, or ask the operator for a higher memory limit.",
        ),
        RunOutcome::PromptTooLong => Answer::failed(
            rule,
            "The message is too long for the model. Send a shorter one, or attach the long part \
             as a file.",
        ),
        RunOutcome::SessionUnusable => Answer::failed(
            rule,
            "The conversation's earlier session could not be resumed. Send your message again: it \
             will begin a new session in the same workspace.",
        ),
        RunOutcome::ApiBusy => Answer::failed(
            rule,
            format!(
                "The model's API is overloaded or limits the rate of requests: {words}\n\nYour \
                 message is fine. Send it again in a few minutes."
            ),
        ),
        RunOutcome::ApiRefused => Answer::failed(
            rule,
            format!(
                "The model's API refused the request: {words}\n\nThe operator must look at the \
                 API key or the credit balance; then send your message again."
            ),
        ),
        RunOutcome::ApiFailed => Answer::failed(
            rule,
            format!("The model's API failed: {words}\n\nTo retry, send your message again."),
        ),
        RunOutcome::Frozen => Answer::failed(
            rule,
            told(
                "The task was stopped because something in its sandbox tried to send out a decoy: a \
                 false access token, which stands in its environment so that theft is noticed. A file \
                 or a page that the agent read, or your message, may have told it to do so; it also \
                 happens where a program sends its whole environment. Details",
                words,
                "Nothing more can leave that sandbox. Please tell the operator: if its container was \
                 kept, it can be looked at for up to 72 hours (`podman inspect`, `podman export`) or \
                 released at once with `airut stop`. Masked credentials were never in it; secrets \
                 that are configured in plain were. Do not send the same message again before it is \
                 clear what happened.",
            ),
        ),
        RunOutcome::AgentFailed | RunOutcome::ContainerFailed => {
            Answer::failed(rule, failure_text(said))
        }
    }
}

/// What the agent had said by then is shown: it may be all that the sender waits for.
fn answer_timeout(seconds: u64, words: &str) -> Answer {
    let lasted = match seconds {
        0..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds / 60),
    };
    let mut text = format!(
        "The task was stopped after {lasted}, which is its time limit. Work done so far has been \
         saved. Reply to this message to continue it."
    );
    if !words.is_empty() && words != NO_OUTPUT {
        text += "\n\nThe agent's last words were:\n\n";
        text += words;
    }
    Answer {
        reason: CompletionReason::Timeout,
        ..Answer::failed(format!("time limit reached after {seconds} s"), text)
    }
}

fn failure_text(said: &Said) -> String {
    let mut text = "An error occurred while processing your message. To retry, send your message \
                    again."
        .to_owned();
    let first = said.last_lines.len().saturating_sub(OUTPUT_LINES_MAX);
    let lines = said.last_lines[first..].join("\n");
    let output = if lines.trim().is_empty() {
        said.reply.trim()
    } else {
        &lines
    };
    if !output.is_empty() {
        text += "\n\nThe last output was:\n\n";
        text += &fenced(&shortened(output));
    }
    text
}

/// Returns the answer of a task that an obstacle ended.
pub fn answer_obstacle(obstacle: &Obstacle) -> Answer {
    match obstacle {
        Obstacle::EmptyMessage => Answer::failed(
            "empty message",
            "Your message has neither a text nor a subject, so there is nothing to work on. Send \
             it again with what you want done.",
        ),
        Obstacle::RepositoryGone => Answer::internal(
            "repository not configured",
            "The repository of this conversation is not configured any more. Ask the operator.",
        ),
        Obstacle::Mirror(error) => Answer::internal(
            format!("mirror: {error}"),
            told("The repository could not be fetched", error, RETRY_LATER),
        ),
        Obstacle::Workspace(error) => Answer::internal(
            format!("workspace: {error}"),
            told("The workspace could not be prepared", error, RETRY_LATER),
        ),
        Obstacle::Allowlist(error) => Answer::internal(
            format!("allowlist: {error}"),
            told(
                "The network allowlist of the repository cannot be used",
                error,
                "Correct `.airut/network-allowlist.yaml` on the default branch, then send your \
                 message again.",
            ),
        ),
        Obstacle::Image(error) => Answer::internal(
            format!("image: {error}"),
            told(
                "The container image could not be built from the repository's Dockerfile",
                error,
                "If the Dockerfile is wrong, correct it on the default branch; otherwise ask the \
                 operator. Then send your message again.",
            ),
        ),
        Obstacle::Agent(error) => Answer::failed(
            format!("agent: {error}"),
            told("Claude Code cannot be started", error, RETRY_LATER),
        ),
        Obstacle::Sandbox(error) => Answer::internal(
            format!("sandbox: {error}"),
            told("The sandbox failed", error, RETRY_LATER),
        ),
        Obstacle::Stopped(stop) => answer_stopped(stop),
        Obstacle::CutOffTooOften(times) => Answer::internal(
            format!("cut off {times} times"),
            format!(
                "The service restarted {times} times while working on your message, so it was \
                 given up. Work done so far has been saved. Reply to this message to continue it."
            ),
        ),
        Obstacle::Internal(error) => Answer::internal(
            error.clone(),
            told(
                "Airut failed while processing your message",
                error,
                RETRY_LATER,
            ),
        ),
    }
}

const SAVED: &str = "Work done so far has been saved. Reply to this message to continue it.";

fn answer_stopped(stop: &Stop) -> Answer {
    let by = match stop.by.as_str() {
        "" => String::new(),
        by => format!(" by {by}"),
    };
    let (text, was) = match stop.when {
        StoppedWhen::Unbegun => (
            format!(
                "Your message was taken out of the queue on request{by}, before any work on it began. \
                 Nothing was done. Send it again if you want it done after all."
            ),
            "waited for its turn",
        ),
        StoppedWhen::Waiting => (
            format!("The task was stopped on request{by} while it waited to go on. {SAVED}"),
            "waited to go on",
        ),
        StoppedWhen::Running => (
            format!("The task was stopped on request{by}. {SAVED}"),
            "ran",
        ),
    };
    Answer {
        text,
        reason: CompletionReason::Stopped,
        detail: format!("stopped{by} while it {was}"),
    }
}

const RETRY_LATER: &str = "The operator may have to look at it. To retry, send your message again.";

fn told(what: &str, error: &str, remedy: &str) -> String {
    let error = fenced(&shortened(error.trim()));
    format!("{what}:\n\n{error}\n\n{remedy}")
}

/// Fences a text with more backticks than it has anywhere in a row.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{text}\n{fence}")
}

fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= ERROR_CHARS_MAX {
        return text.to_owned();
    }
    // The end of an output says why it failed.
    let kept: String = text.chars().skip(count - ERROR_CHARS_MAX).collect();
    format!("…{kept}")
}

/// Returns the line under an answer that tells its cost (spec row GW-23), or nothing.
/// `shows_cost` is false where a flat subscription pays.
pub fn footer(cost_microusd: u64, usage: TokenUsage, shows_cost: bool) -> Option<String> {
    let mut parts = vec![];
    if shows_cost && cost_microusd > 0 {
        // Rounded to ten-thousandths, in whole numbers.
        let rounded = (cost_microusd + 50) / 100;
        parts.push(format!(
            "Cost: ${}.{:04}",
            rounded / 10_000,
            rounded % 10_000
        ));
    }
    if usage.web_searches > 0 {
        parts.push(format!("Web searches: {}", usage.web_searches));
    }
    if usage.web_fetches > 0 {
        parts.push(format!("Web fetches: {}", usage.web_fetches));
    }
    (!parts.is_empty()).then(|| format!("*{}*", parts.join(" · ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footer_tells_cost_and_web_use() {
        let usage = TokenUsage {
            web_searches: 2,
            web_fetches: 1,
            ..TokenUsage::default()
        };
        let check = |cost, usage, shown, expected: Option<&str>| {
            assert_eq!(footer(cost, usage, shown).as_deref(), expected);
        };
        let all = "*Cost: $0.0423 · Web searches: 2 · Web fetches: 1*";
        check(42_349, usage, true, Some(all));
        check(
            42_349,
            usage,
            false,
            Some("*Web searches: 2 · Web fetches: 1*"),
        );
        check(
            1_999_950,
            TokenUsage::default(),
            true,
            Some("*Cost: $2.0000*"),
        );
        check(0, TokenUsage::default(), true, None);
    }

    #[test]
    fn every_failure_says_what_to_do() {
        let said = Said {
            reply: "API Error: 529".to_owned(),
            ..Said::default()
        };
        for outcome in [
            RunOutcome::Timeout,
            RunOutcome::Stopped,
            RunOutcome::OutOfMemory,
            RunOutcome::PromptTooLong,
            RunOutcome::SessionUnusable,
            RunOutcome::ApiBusy,
            RunOutcome::ApiRefused,
            RunOutcome::ApiFailed,
            RunOutcome::AgentFailed,
            RunOutcome::ContainerFailed,
        ] {
            let answer = answer_outcome(outcome, "rule", &said);
            assert!(answer.is_error(), "{outcome:?}");
            assert!(answer.text.contains('.'), "{outcome:?}: {}", answer.text);
            let advises = ["again", "Reply", "shorter", "smaller"];
            let advised = advises.iter().any(|word| answer.text.contains(word));
            assert!(advised, "{outcome:?}: {}", answer.text);
        }
    }

    #[test]
    fn a_task_at_its_time_limit_says_after_how_long_and_shows_what_there_is() {
        let text = |duration_ms, reply: &str| {
            let said = Said {
                reply: reply.to_owned(),
                duration_ms,
                ..Said::default()
            };
            answer_outcome(RunOutcome::Timeout, "rule", &said).text
        };
        let partial = text(1_800_123, "I found the cause.\n\n| a | b |");
        assert!(partial.contains("stopped after 30 minutes"), "{partial}");
        let end = "The agent's last words were:\n\nI found the cause.\n\n| a | b |";
        assert!(partial.ends_with(end), "{partial}");
        for nothing in ["", " \n", NO_OUTPUT] {
            let silent = text(119_999, nothing);
            assert!(silent.contains("after 119 seconds,"), "{silent}");
            assert!(silent.ends_with("to continue it."), "{silent}");
        }
        assert!(text(120_000, "").contains("after 2 minutes,"));
    }

    #[test]
    fn output_cannot_break_out_of_its_fence() {
        assert_eq!(fenced("a ```` b"), "`````\na ```` b\n`````");
    }

    #[test]
    fn a_long_output_keeps_its_end() {
        let long = format!("{}why", "x".repeat(3000));
        let short = shortened(&long);
        assert!(short.ends_with("why") && short.chars().count() == ERROR_CHARS_MAX + 1);
    }
}
