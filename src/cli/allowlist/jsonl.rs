//! `airut allowlist explain --jsonl`: many questions, a line each, answered in their order. Each
//! allowlist is read once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cli::output::Output;
use crate::service::policy::Policy;

/// Allowlists kept; beyond that all are forgotten and read again.
const KEPT_MAX: usize = 256;

/// Bytes of answers that are printed at once; fewer are, whenever no further question waits.
const ANSWERS_BYTES_MAX: usize = 64 * 1024;

#[derive(Deserialize)]
struct Question<'a> {
    /// As it stands in the line: the same text is the same allowlist, and is read once.
    #[serde(default, borrow)]
    allowlist: Option<&'a RawValue>,
    #[serde(borrow)]
    host: Cow<'a, str>,
    #[serde(default, borrow)]
    path: Cow<'a, str>,
    #[serde(default, borrow)]
    method: Cow<'a, str>,
}

#[derive(Serialize)]
struct Told<'a> {
    allowed: bool,
    rule: Option<String>,
    /// What no rule names: `host`, `path` or `method`; `traversal` for a path that none may.
    denial: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// Answers standard input; a line that cannot be answered is told to be, and allows nothing.
pub(super) fn run(named: Option<Policy>, output: Output) -> anyhow::Result<ExitCode> {
    let mut input = BufReader::with_capacity(256 * 1024, std::io::stdin().lock());
    let (mut kept, mut line, mut answers) = (Kept::new(named), String::new(), String::new());
    while input.read_line(&mut line)? > 0 {
        if !line.trim().is_empty() {
            answers.push_str(&kept.answer(&line)?);
            answers.push('\n');
        }
        line.clear();
        let must_print = answers.len() >= ANSWERS_BYTES_MAX || input.buffer().is_empty();
        if must_print && !answers.is_empty() {
            if !output.line(answers.trim_end()) {
                break;
            }
            answers.clear();
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The allowlists that were named so far.
struct Kept {
    named: Option<Policy>,
    policies: HashMap<String, Result<Policy, String>>,
}

impl Kept {
    fn new(named: Option<Policy>) -> Self {
        Self {
            named,
            policies: HashMap::new(),
        }
    }

    fn answer(&mut self, line: &str) -> serde_json::Result<String> {
        let question: Result<Question<'_>, _> = serde_json::from_str(line);
        let question = match question {
            Ok(question) => question,
            Err(error) => return unanswered(&error.to_string()),
        };
        let policy = match self.policy(question.allowlist) {
            Ok(policy) => policy,
            Err(error) => return unanswered(&error),
        };
        let judged = policy.brief(&question.host, &question.path, &question.method);
        serde_json::to_string(&Told {
            allowed: judged.is_ok(),
            rule: judged.ok().map(|rule| rule.to_string()),
            denial: judged.err(),
            error: None,
        })
    }

    fn policy(&mut self, told: Option<&RawValue>) -> Result<&Policy, String> {
        let Some(told) = told.map(RawValue::get) else {
            let named = self.named.as_ref();
            return named.ok_or_else(|| "no allowlist is named".to_owned());
        };
        if !self.policies.contains_key(told) {
            if self.policies.len() >= KEPT_MAX {
                self.policies.clear();
            }
            let read = match serde_json::from_str(told) {
                Ok(Value::String(text)) => read(&text),
                Ok(value) => Policy::from_json(value),
                Err(error) => Err(error.to_string()),
            };
            self.policies.insert(told.to_owned(), read);
        }
        match self.policies.get(told) {
            Some(Ok(policy)) => Ok(policy),
            Some(Err(error)) => Err(error.clone()),
            None => Err("no allowlist is named".to_owned()),
        }
    }
}

/// Reads a file, or what is one's text: of several lines, or no file's name.
fn read(text: &str) -> Result<Policy, String> {
    let is_name = !text.is_empty() && !text.contains('\n') && Path::new(text).is_file();
    if is_name {
        return Policy::read(text).map_err(|error| error.to_string());
    }
    Policy::parse(text.as_bytes())
}

fn unanswered(error: &str) -> serde_json::Result<String> {
    serde_json::to_string(&Told {
        allowed: false,
        rule: None,
        denial: None,
        error: Some(error),
    })
}
