//! Claude Code as a command: its arguments, and what its event stream says. Pure; it knows no
//! container. Formats: Claude Code's `--output-format stream-json`, versions 2.0 to 2.1.
//!
//! Unknown lines are kept and never fatal; fields that are missing stay at their zero. What is kept
//! of a stream is bounded, whatever an agent writes: texts are cut where they are read.

mod classify;
mod estimate;
mod limit;
mod long_line;
mod reply;
mod todos;
mod usage;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::events::conversation::TokenUsage;
use crate::events::id::SessionId;
use crate::events::task::TodoItem;
use crate::sandbox::cut::{first_bytes, first_chars};

pub use classify::{ExitFacts, RULE_CHARS_MAX, classify};
use estimate::Estimate;
pub use limit::UsageLimit;
pub use reply::{NO_OUTPUT, REPLY_BYTES_MAX, reply_text};
use todos::Todos;

/// Returns Claude Code's arguments (spec row SBX-11); the prompt comes on standard input.
pub fn arguments(model: &str, effort: Option<&str>, resume: Option<&SessionId>) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    if let Some(session) = resume {
        add(&["--resume", &session.0]);
    }
    add(&["--model", model]);
    if let Some(effort) = effort {
        add(&["--effort", effort]);
    }
    add(&[
        "-p",
        "-",
        "--dangerously-skip-permissions",
        "--output-format",
        "stream-json",
    ]);
    add(&["--verbose"]);
    arguments
}

/// What a line says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFacts {
    /// Its `type`; `_unknown` for one that we do not know, `_text` for what is no JSON object.
    pub event_type: String,
    /// Its `subtype`, or empty.
    pub subtype: String,
    /// The session it names.
    pub session: Option<SessionId>,
    /// Whether the agent's plan changed with it.
    pub plan_changed: bool,
}

/// The end of a run as the agent reports it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    /// The answer.
    pub text: Option<String>,
    /// Whether it is an error.
    pub is_error: bool,
    /// The API's status, when it answered with an error.
    pub api_error_status: Option<u64>,
    /// Why the agent stopped, for example `prompt_too_long`; older versions lack it.
    pub terminal_reason: Option<String>,
    /// `success`, `error_max_turns`, `error_during_execution`, …
    pub subtype: String,
    /// Errors in words.
    pub errors: Vec<String>,
    /// Turns.
    pub turns: u32,
    /// The agent's own time.
    pub duration_ms: u64,
    /// Cost so far, in millionths of a US dollar.
    pub cost_microusd: u64,
    /// Tokens so far.
    pub usage: TokenUsage,
}

/// Everything a run's stream said that matters later; a fold over its lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    session: Option<SessionId>,
    texts: Vec<String>,
    results: Vec<ResultLine>,
    turns: u32,
    duration_ms: u64,
    todos: Todos,
    lines: u32,
    api_retries: u32,
    limit: Option<UsageLimit>,
    /// What was used since the last result.
    unsettled: Estimate,
    last_text_lines: Vec<String>,
}

/// Longest line that is read whole, in bytes; of a longer one only the head and a result are read.
pub const LINE_READ_BYTES_MAX: usize = 1024 * 1024;

/// Lines that were no events and are kept to be shown after a failure.
const TEXT_LINES_MAX: usize = 10;

/// Characters kept of such a line.
const TEXT_LINE_CHARS_MAX: usize = 2000;

/// Texts of the agent that are kept; the reply is chosen among the last of them.
const TEXTS_MAX: usize = 64;

/// Bytes kept of one text of the agent.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of texts that are kept together; the oldest give way.
const TEXTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Results that are kept; the oldest give way, their turns still count.
const RESULTS_MAX: usize = 16;

/// Longest id of a session, in bytes; a longer one is none.
pub const SESSION_BYTES_MAX: usize = 128;

/// Characters kept of a line's `subtype` and of a result's reasons.
const SUBTYPE_CHARS_MAX: usize = 128;

impl Transcript {
    /// Takes the next line in.
    pub fn observe(&mut self, line: &str) -> LineFacts {
        self.lines = self.lines.saturating_add(1);
        let read = if line.len() > LINE_READ_BYTES_MAX {
            long_line::read(line)
        } else {
            serde_json::from_str(line).ok()
        };
        let Some(event @ Value::Object(_)) = read else {
            self.keep_text_line(line);
            return facts("_text", "", None, false);
        };
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        let (event_type, subtype) = (text("type"), text("subtype"));
        let session = session_id(text("session_id"));
        let mut plan_changed = false;
        match event_type {
            "system" => {
                let retries = u32::from(subtype == "api_retry");
                self.api_retries = self.api_retries.saturating_add(retries);
            }
            "assistant" => {
                self.keep_texts(&event);
                self.unsettled.observe(&event);
                plan_changed = self.todos.observe_assistant(&event);
            }
            "user" => plan_changed = self.todos.observe_user(&event),
            "result" => self.keep_result(usage::result_line(&event)),
            "rate_limit_event" => match limit::event(&event) {
                limit::Said::Met(met) => self.limit = Some(met),
                limit::Said::Allowed => self.limit = None,
                limit::Said::Nothing => {}
            },
            _ => {}
        }
        // A resumed session that is unknown is named by the failing result only.
        if event_type != "result" || self.session.is_none() {
            self.session = session.clone().or_else(|| self.session.take());
        }
        let known = matches!(event_type, "system" | "assistant" | "user" | "result")
            || matches!(
                event_type,
                "stream_event" | "rate_limit_event" | "control_request"
            );
        facts(
            if known { event_type } else { "_unknown" },
            subtype,
            session,
            plan_changed,
        )
    }

    /// Returns the session to resume later; nothing when the agent never came to have one.
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Returns the results, one for each time the agent came to an end.
    pub fn results(&self) -> &[ResultLine] {
        &self.results
    }

    /// Returns the agent's plan.
    pub fn todos(&self) -> Vec<TodoItem> {
        self.todos.items()
    }

    /// Returns how often the agent waited for the API and asked again.
    pub fn api_retries(&self) -> u32 {
        self.api_retries
    }

    /// Returns the usage limit that ended the run, if one did.
    pub fn usage_limit(&self) -> Option<UsageLimit> {
        let failed = self.results.last().filter(|result| result.is_error)?;
        let is_refused = matches!(failed.api_error_status, None | Some(429));
        let met = self.limit.clone().or_else(|| limit::in_words(failed));
        met.filter(|_| is_refused)
    }

    /// Returns how many lines there were.
    pub fn lines(&self) -> u32 {
        self.lines
    }

    /// Returns the last lines that were no events.
    pub fn text_lines(&self) -> &[String] {
        &self.last_text_lines
    }

    /// Returns tokens and cost: as the last result says them (spec row SBX-14), and an estimate of what
    /// was used since, which is all there is of a run that did not come to its end.
    pub fn usage(&self) -> (TokenUsage, u64) {
        let (mut usage, cost, _) = self.unsettled.sum();
        let Some(last) = self.results.last() else {
            return (usage, cost);
        };
        usage.add(last.usage);
        (usage, cost.saturating_add(last.cost_microusd))
    }

    /// Returns turns and the agent's own time, over all results; the turns since are counted too.
    pub fn turns_and_duration_ms(&self) -> (u32, u64) {
        let (_, _, since) = self.unsettled.sum();
        (self.turns.saturating_add(since), self.duration_ms)
    }

    fn keep_result(&mut self, result: ResultLine) {
        self.turns = self.turns.saturating_add(result.turns);
        self.duration_ms = self.duration_ms.saturating_add(result.duration_ms);
        self.unsettled = Estimate::default();
        if self.results.len() == RESULTS_MAX {
            self.results.remove(0);
        }
        self.results.push(result);
    }

    fn keep_text_line(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.last_text_lines.len() == TEXT_LINES_MAX {
            self.last_text_lines.remove(0);
        }
        let line = first_chars(line, TEXT_LINE_CHARS_MAX);
        self.last_text_lines.push(line.to_owned());
    }

    /// Keeps what the agent itself says; its sub-agents speak to it, not to the user.
    fn keep_texts(&mut self, event: &Value) {
        if event["parent_tool_use_id"].is_string() {
            return;
        }
        for block in event["message"]["content"].as_array().into_iter().flatten() {
            let text = block["text"].as_str().filter(|_| block["type"] == "text");
            if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
                self.texts
                    .push(first_bytes(text, TEXT_BYTES_MAX).to_owned());
            }
        }
        let mut bytes: usize = self.texts.iter().map(String::len).sum();
        while self.texts.len() > TEXTS_MAX || bytes > TEXTS_BYTES_MAX {
            bytes -= self.texts.remove(0).len();
        }
    }
}

/// Returns an id of a session, unless it is one that no file and no argument could be named by.
fn session_id(id: &str) -> Option<SessionId> {
    let fits = !id.is_empty() && id.len() <= SESSION_BYTES_MAX && !id.starts_with('-');
    let is_plain = |c: char| c.is_ascii_graphic() && c != '/';
    (fits && id.chars().all(is_plain)).then(|| SessionId(id.to_owned()))
}

fn facts(
    event_type: &str,
    subtype: &str,
    session: Option<SessionId>,
    plan_changed: bool,
) -> LineFacts {
    let subtype = first_chars(subtype, SUBTYPE_CHARS_MAX).to_owned();
    let event_type = event_type.to_owned();
    LineFacts {
        event_type,
        subtype,
        session,
        plan_changed,
    }
}

#[cfg(test)]
mod tests;
