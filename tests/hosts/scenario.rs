//! What the model shall do, written by a test into the prompt itself.
//!
//! `[[bash: CMD]]` runs a command, `[[say: TEXT]]` answers, and before either may stand
//! `[[wait: MS]]`, `[[hold: NAME]]` (until a file of that name appears in `release/`),
//! `[[stream: N]]` (N words, slowly) and `[[fail: WHAT]]` (an HTTP status, `too-long` or
//! `credit`). Each `bash` ends a turn. Alternatively a file maps phrases to such texts, for a
//! prompt that should look like a person wrote it. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Let the client run a shell command.
    Bash(String),
    /// Answer with a text.
    Say(String),
    /// Wait, in milliseconds.
    Wait(u64),
    /// Wait until a file of this name is there.
    Hold(String),
    /// Send this many words, slowly.
    Stream(u64),
    /// Answer with an error.
    Fail(String),
}

/// A conversation, as far as a scenario needs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// What the person wrote last.
    pub(crate) prompt: String,
    /// How many turns of the script are done.
    pub(crate) done: usize,
    /// How many messages the conversation has.
    pub(crate) messages: usize,
}

impl Turn {
    /// Finds the last prompt in a Messages API request, and what was done since.
    pub(crate) fn of(request: &Value) -> Self {
        let none = Vec::new();
        let messages = request["messages"].as_array().unwrap_or(&none);
        let prompt_at = messages.iter().rposition(is_prompt).unwrap_or(0);
        let used_tool = |message: &&Value| has_block(message, "tool_use");
        Self {
            prompt: messages.get(prompt_at).map(text_of).unwrap_or_default(),
            done: messages.iter().skip(prompt_at).filter(used_tool).count(),
            messages: messages.len(),
        }
    }

    /// The steps of this turn.
    pub(crate) fn steps(&self, phrases: &BTreeMap<String, String>) -> Vec<Step> {
        let phrase = phrases
            .iter()
            .find(|(phrase, _)| self.prompt.contains(phrase.as_str()));
        let script = phrase.map_or(self.prompt.as_str(), |(_, script)| script);
        let steps = parse(script);
        let is_bash = |step: &Step| matches!(step, Step::Bash(_));
        let turn = steps
            .split_inclusive(is_bash)
            .nth(self.done)
            .unwrap_or_default();
        let mut turn = turn.to_vec();
        if !turn
            .iter()
            .any(|step| matches!(step, Step::Bash(_) | Step::Say(_) | Step::Fail(_)))
        {
            turn.push(Step::Say(format!(
                "Answer after {} messages.",
                self.messages
            )));
        }
        turn
    }
}

fn is_prompt(message: &Value) -> bool {
    message["role"] == "user" && !has_block(message, "tool_result") && !text_of(message).is_empty()
}

fn has_block(message: &Value, kind: &str) -> bool {
    let blocks = message["content"].as_array();
    blocks.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == kind))
}

/// The texts of a message, without what the client itself slips in.
fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block["text"].as_str());
            let written = texts.filter(|text| !text.trim_start().starts_with("<system-reminder>"));
            written.collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn parse(script: &str) -> Vec<Step> {
    let marks = script
        .split("[[")
        .skip(1)
        .filter_map(|rest| rest.split_once("]]"));
    marks.filter_map(|(mark, _)| step(mark)).collect()
}

fn step(mark: &str) -> Option<Step> {
    let (what, value) = mark.split_once(':').unwrap_or((mark, ""));
    let value = value.trim();
    Some(match what.trim() {
        "bash" => Step::Bash(value.to_owned()),
        "say" => Step::Say(value.to_owned()),
        "wait" => Step::Wait(value.parse().ok()?),
        "hold" => Step::Hold(value.to_owned()),
        "stream" => Step::Stream(value.parse().ok()?),
        "fail" => Step::Fail(value.to_owned()),
        _ => return None,
    })
}
