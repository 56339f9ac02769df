//! What the commands print: answers to standard output, errors to standard error, colours only for
//! a person's terminal (spec row CLI-17).

use std::io::{IsTerminal as _, Write as _};

use crate::config::env;

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    colour: bool,
    terminal: bool,
}

/// How a finding is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// All is well.
    Good,
    /// It works, but somebody should look.
    Note,
    /// It does not work.
    Bad,
}

impl Output {
    /// Returns the output of this process's terminal.
    pub(super) fn of_terminal() -> Self {
        let dumb = env::get("TERM").is_some_and(|terminal| terminal == "dumb");
        let plain = env::get("NO_COLOR").is_some() || dumb;
        let terminal = std::io::stdout().is_terminal();
        Self {
            colour: !plain && terminal,
            terminal,
        }
    }

    /// Prints a line; a reader that went away ends the command quietly.
    pub(super) fn line(self, text: &str) -> bool {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .is_ok()
    }

    /// Prints a text that somebody else wrote: on a terminal it moves no cursor and sets no title;
    /// a file or a program gets it as it is.
    pub(super) fn foreign(self, text: &str) -> bool {
        if self.terminal {
            self.line(&without_controls(text))
        } else {
            self.line(text)
        }
    }

    /// Prints a heading.
    pub(super) fn heading(self, text: &str) {
        let text = if self.colour {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        };
        self.line(&text);
    }

    /// Prints a finding.
    pub(super) fn finding(self, mark: Mark, text: &str) {
        let (symbol, colour) = match mark {
            Mark::Good => ("ok  ", "32"),
            Mark::Note => ("note", "33"),
            Mark::Bad => ("bad ", "31"),
        };
        let symbol = if self.colour {
            format!("\x1b[{colour}m{symbol}\x1b[0m")
        } else {
            symbol.to_owned()
        };
        self.line(&format!("  {symbol}  {text}"));
    }

    /// Prints a remark beside the answer, to standard error.
    pub(super) fn note(self, text: &str) {
        self.error(text);
    }

    /// Prints what happened on the network of a command, among the command's own errors.
    pub(super) fn network(self, line: &str) {
        let mut stderr = std::io::stderr().lock();
        // Without a standard error there is nobody to tell.
        let _nobody = writeln!(stderr, "[net] {line}");
    }

    /// Prints an error.
    pub(super) fn error(self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // Without a standard error there is nobody to tell.
        let _nobody = writeln!(stderr, "airut: {text}");
    }
}

/// Shows each control character but line break and tab as `\u{fffd}`.
fn without_controls(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\n' && c != '\t' {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_cannot_act_on_the_terminal() {
        let text = "a\tb\r\nc\x1b]0;title\x07\u{9b}2J\rd";
        assert_eq!(
            without_controls(text),
            "a\tb\nc\u{fffd}]0;title\u{fffd}\u{fffd}2J\u{fffd}d"
        );
    }
}
