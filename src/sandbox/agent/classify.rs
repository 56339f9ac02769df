//! The judgement on a run: by exit facts, then by the fields of the result, never by searching what
//! the agent wrote (gap 18: a tool's output that says "API Error: 4" means nothing).

use crate::events::run::RunOutcome;
use crate::sandbox::agent::{ResultLine, Transcript};
use crate::sandbox::cut::first_chars;

/// Longest rule, in characters: it stands in events that must stay small.
pub const RULE_CHARS_MAX: usize = 256;

/// What is known of the container's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExitFacts {
    /// Exit code.
    pub exit_code: i32,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// Whether it was stopped on request.
    pub stopped: bool,
    /// Whether it ran out of memory.
    pub out_of_memory: bool,
}

/// Returns the judgement and the rule that decided.
pub fn classify(transcript: &Transcript, exit: ExitFacts) -> (RunOutcome, String) {
    let (outcome, rule) = judge(transcript, exit);
    (outcome, first_chars(&rule, RULE_CHARS_MAX).to_owned())
}

fn judge(transcript: &Transcript, exit: ExitFacts) -> (RunOutcome, String) {
    let answered = transcript.results().last();
    let good = answered.is_some_and(|result| !result.is_error);
    // An answer that came before the end counts, whatever ended the container then.
    if good && exit.exit_code == 0 {
        return (
            RunOutcome::Success,
            "result without error, exit 0".to_owned(),
        );
    }
    if exit.stopped {
        return (RunOutcome::Stopped, "stopped".to_owned());
    }
    if exit.timed_out {
        return (RunOutcome::Timeout, "time limit".to_owned());
    }
    if exit.out_of_memory {
        return (RunOutcome::OutOfMemory, "out of memory".to_owned());
    }
    match answered {
        Some(result) if result.is_error => match transcript.usage_limit() {
            Some(limit) => (RunOutcome::ApiBusy, format!("usage limit {}", limit.name)),
            None => classify_result(result),
        },
        Some(_) => (
            RunOutcome::AgentFailed,
            format!("exit {} after its result", exit.exit_code),
        ),
        None => (
            RunOutcome::ContainerFailed,
            format!("exit {} without a result", exit.exit_code),
        ),
    }
}

fn classify_result(result: &ResultLine) -> (RunOutcome, String) {
    let text = result.text.as_deref().unwrap_or_default();
    if result.terminal_reason.as_deref() == Some("prompt_too_long") {
        return (
            RunOutcome::PromptTooLong,
            "terminal_reason=prompt_too_long".to_owned(),
        );
    }
    let unknown_session = |error: &String| error.starts_with("No conversation found with session");
    if result.errors.iter().any(unknown_session) {
        return (
            RunOutcome::SessionUnusable,
            "errors: unknown session".to_owned(),
        );
    }
    let Some(status) = result.api_error_status else {
        let rule = format!("is_error, subtype={}", result.subtype);
        return (RunOutcome::AgentFailed, rule);
    };
    let outcome = match status {
        // Versions without terminal_reason say it only in the result's own text.
        400 if text.starts_with("Prompt is too long") => RunOutcome::PromptTooLong,
        // The API's complaint about a conversation whose tool calls and results do not pair up.
        400 if text.contains("`tool_use`") && text.contains("tool_result") => {
            RunOutcome::SessionUnusable
        }
        429 | 529 => RunOutcome::ApiBusy,
        400..=499 => RunOutcome::ApiRefused,
        _ => RunOutcome::ApiFailed,
    };
    (outcome, format!("api_error_status={status}"))
}
