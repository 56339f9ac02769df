//! Commands: a message whose first line is `/stop`, `/status` or `/model NAME` is for Airut itself.
//! The same for every channel, so it knows text and no channel. Pure.

use std::fmt;

use crate::handlers::channels::email::html::QUOTE_REMOVED;

/// What the first line of a message asks of Airut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `/stop`: whatever runs or waits in the conversation ends.
    Stop,
    /// `/status`: say how the work stands.
    Status,
    /// `/model NAME`: this message and all later ones of the conversation use the model.
    Model(String),
    /// `/model` without a name that could be one.
    ModelUnnamed,
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => formatter.write_str("/stop"),
            Self::Status => formatter.write_str("/status"),
            Self::Model(name) => write!(formatter, "/model {name}"),
            Self::ModelUnnamed => formatter.write_str("/model"),
        }
    }
}

impl Command {
    /// Returns whether a message that says `rest` after the command, or has files, is work too: then it becomes a
    /// task. Otherwise the command's own answer is all there is.
    pub fn leaves_work(&self, rest: &str, has_files: bool) -> bool {
        match self {
            Self::Stop | Self::Model(_) => has_files || has_words_of_its_own(rest),
            Self::Status | Self::ModelUnnamed => false,
        }
    }
}

/// A command as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The command.
    pub command: Command,
    /// Whether the message is work too; otherwise the command's own answer is all there is.
    pub is_work: bool,
}

/// Splits a message's text into the command that its first line is, and the rest; a text without a
/// command is all rest.
pub fn split(body: &str) -> (Option<Command>, &str) {
    let text = body.trim_start();
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    match command(line) {
        Some(command) => (Some(command), rest.trim()),
        None => (None, body),
    }
}

/// Longest name of a model; a longer one is none.
const MODEL_BYTES_MAX: usize = 100;

/// A quote begins with `>`, so that its lines are never commands.
fn command(line: &str) -> Option<Command> {
    // Markdown that was made from HTML escapes what would be markup.
    let line = line.replace('\\', "").to_lowercase();
    let mut words = line.split_whitespace();
    let (name, argument, more) = (words.next()?, words.next(), words.next());
    match (name, argument, more) {
        ("/stop", None, None) => Some(Command::Stop),
        ("/status", None, None) => Some(Command::Status),
        ("/model", Some(model), None) if is_model(model) => Some(Command::Model(model.to_owned())),
        ("/model", _, None) => Some(Command::ModelUnnamed),
        _ => None,
    }
}

/// A name begins with a letter or digit, so that it is no option of the agent's program.
fn is_model(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.:/@[]".contains(c);
    name.len() <= MODEL_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_part)
}

/// Begins of lines that programs write under a mail; none of them is work.
const SIGNATURES: [&str; 6] = [
    "sent from my ",
    "sent from outlook",
    "sent from proton mail",
    "sent from yahoo mail",
    "sent with proton mail",
    "get outlook for ",
];

/// Returns whether anything is left beside quotes, who they are from, and a signature.
fn has_words_of_its_own(text: &str) -> bool {
    let mut paragraphs = text.split("\n\n").peekable();
    while let Some(paragraph) = paragraphs.next() {
        let quoted_next = paragraphs.peek().is_some_and(|next| is_quoted(next));
        let mut lines = paragraph.lines().map(str::trim).peekable();
        let mut own = Vec::new();
        while let Some(line) = lines.next() {
            if ends_the_text(line) {
                return !own.is_empty();
            }
            if is_attribution(line, &own)
                && (quoted_next || lines.peek().is_some_and(|l| is_quoted(l)))
            {
                own.clear();
            } else if !is_quoted(line) && !is_signature(line) {
                own.push(line);
            }
        }
        if !own.is_empty() {
            return true;
        }
    }
    false
}

fn is_quoted(text: &str) -> bool {
    text.trim_start().starts_with('>')
}

/// Whether a line, with those before it, says who wrote what is quoted next: `On …, Airut wrote:`,
/// which a mail program may have wrapped once.
fn is_attribution(line: &str, before: &[&str]) -> bool {
    line.ends_with(':') && before.len() <= 1
}

fn ends_the_text(line: &str) -> bool {
    line == "--" || line.starts_with("-----Original Message") || line.starts_with("__________")
}

fn is_signature(line: &str) -> bool {
    let line = line.replace(['[', '*', '_', '\\'], "").to_lowercase();
    line.is_empty()
        || line == QUOTE_REMOVED.trim_start_matches('[')
        || SIGNATURES.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<&str>, rest: &str, leaves_work: bool) {
        let (command, left) = split(body);
        let shown = command.as_ref().map(ToString::to_string);
        assert_eq!(shown.as_deref(), expected, "{body:?}");
        assert_eq!(left, rest, "{body:?}");
        let works = command.is_none_or(|command| command.leaves_work(left, false));
        assert_eq!(works, leaves_work, "{body:?}");
    }

    #[test]
    fn the_first_line_alone_is_a_command() {
        check("/stop", Some("/stop"), "", false);
        check("\n \n  /STOP \r\n", Some("/stop"), "", false);
        check("/status\nThanks", Some("/status"), "Thanks", false);
        check("/Model Opus\n\nDo it.", Some("/model opus"), "Do it.", true);
        check("/model claude\\_x", Some("/model claude_x"), "", false);
        check(
            "/stop\n\nDo the other thing.",
            Some("/stop"),
            "Do the other thing.",
            true,
        );
        for body in [
            "/stop it",
            "/stopp",
            "stop",
            "Please\n/stop",
            "> /stop",
            "/",
            "",
            "`/stop`",
        ] {
            check(body, None, body, true);
        }
    }

    #[test]
    fn a_model_that_is_none_is_asked_for_again() {
        let long = format!("/model {}", "x".repeat(MODEL_BYTES_MAX + 1));
        for body in ["/model", "/model --help", "/model a;b", "/model ä", &long] {
            assert_eq!(split(body).0, Some(Command::ModelUnnamed), "{body}");
        }
        let longest = format!("/model {}", "x".repeat(MODEL_BYTES_MAX));
        assert!(matches!(split(&longest).0, Some(Command::Model(_))));
        let arn = "/model us.anthropic.claude-x-v1:0";
        assert!(matches!(split(arn).0, Some(Command::Model(_))));
    }

    #[test]
    fn what_a_mail_program_adds_is_no_work() {
        for rest in [
            "[quoted text removed]",
            "-- \nAlice\nExample Ltd",
            "Sent from my iPhone",
            "Get [Outlook for iOS](https://aka.ms/o0ukef)",
            "On Mon, 23 Nov 2026 at 10:00, Airut <airut@example.test> wrote:\n\n> Which one?\n> a",
            "On Mon, 23 Nov 2026 at 10:00, Airut <\nairut@example.test> wrote:\n> Which one?",
            "Am 23.11.26 schrieb Airut:\n> Which one?\n\n[quoted text removed]",
            "-----Original Message-----\nFrom: Airut\n\nWhich one?",
        ] {
            check(&format!("/stop\n\n{rest}"), Some("/stop"), rest, false);
        }
        for rest in [
            "> Which one?\n\nThe second.",
            "Do this:\n\n1. one",
            "Do this:",
        ] {
            check(&format!("/stop\n\n{rest}"), Some("/stop"), rest, true);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_lost(body in "[/a-z \n>:-]{0,60}") {
            let (command, rest) = split(&body);
            let _works = command.as_ref().map(|command| command.leaves_work(rest, false));
            assert!(body.ends_with(rest) || body.trim_end().ends_with(rest));
        }
    }
}
