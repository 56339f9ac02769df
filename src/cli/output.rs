//! What the commands print: answers to standard output, errors to standard error, colours only for
//! a person's terminal (spec row CLI-17).

use std::io::{IsTerminal as _, Write as _};

use crate::config::env;

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    colour: bool,
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
        Self {
            colour: !plain && std::io::stdout().is_terminal(),
        }
    }

    /// Prints a line; a reader that went away ends the command quietly.
    pub(super) fn line(self, text: &str) -> bool {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .is_ok()
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

    /// Prints an error.
    pub(super) fn error(self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // Without a standard error there is nobody to tell.
        let _nobody = writeln!(stderr, "airut: {text}");
    }
}
