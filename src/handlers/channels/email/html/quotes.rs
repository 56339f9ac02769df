//! What is quoted in a mail and what is new: marks in the converted text, and what becomes of them
//! (spec rows EML-27 to EML-29). It knows no HTML. Pure.

use crate::handlers::channels::email::html::tables;

/// What is between these two is quoted; characters that no mail means anything by.
const QUOTE_START: char = '\u{F0000}';
const QUOTE_END: char = '\u{F0001}';
/// From here to the end everything is quoted.
const ALL_AFTER_IS_QUOTED: char = '\u{F0002}';
/// What stands in place of a quote that nothing follows.
pub const QUOTE_REMOVED: &str = "[quoted text removed]";
/// How the converter writes a line across the page.
const RULE: &str = "* * *";

/// Longest line that is taken for one which says who wrote what is quoted below it, in characters.
const ATTRIBUTION_CHARS_MAX: usize = 300;
/// What such lines say, in the languages that mail programs write them in.
const WROTE: [&str; 20] = [
    "wrote",
    "schrieb",
    "geschrieben",
    "écrit",
    "escribió",
    "escribio",
    "escreveu",
    "scritto",
    "schreef",
    "geschreven",
    "skrev",
    "kirjoitti",
    "napisał",
    "napsal",
    "написал",
    "пише",
    "yazdı",
    "írta",
    "scris",
    "写道",
];

/// Returns the text without the characters that are marks here or in tables.
pub(super) fn without_marks(text: &str) -> String {
    let is_mark = |character| matches!(character, QUOTE_START..=tables::ROW_END);
    text.chars()
        .filter(|character| !is_mark(*character))
        .collect()
}

/// Marks a text as quoted.
pub(super) fn marked(quoted: &str) -> String {
    let inner = without_marks(quoted);
    format!("\n\n{QUOTE_START}{}{QUOTE_END}\n\n", inner.trim())
}

/// Marks everything that follows as quoted.
pub(super) fn all_after_is_quoted() -> String {
    ALL_AFTER_IS_QUOTED.to_string()
}

/// Writes quotes that new text follows as quotes, and leaves those at the end out; where
/// `keeps_tail`, they stay, for what is forwarded looks like a quote and is what the mail is about.
pub(super) fn written(marked: &str, keeps_tail: bool) -> String {
    let (new, tail) = match marked.split_once(ALL_AFTER_IS_QUOTED) {
        Some((new, tail)) => (without_rule(new), Some(without_marks(tail))),
        None => (marked, None),
    };
    let mut page = Page::default();
    let mut rest = new;
    while let Some((before, after)) = rest.split_once(QUOTE_START) {
        let (before, attribution) = split_attribution(before);
        page.write(before);
        let (quoted, after) = after.split_once(QUOTE_END).unwrap_or((after, ""));
        page.quote(attribution);
        page.quote(quoted);
        rest = after;
    }
    page.write(rest);
    if keeps_tail {
        page.write_waiting();
        page.write(tail.as_deref().unwrap_or_default());
        return page.text.trim().to_owned();
    }
    let is_cut = tail.is_some() || !page.waiting.trim().is_empty();
    let text = page.text.trim();
    if is_cut {
        format!("{text}\n\n{QUOTE_REMOVED}").trim().to_owned()
    } else {
        text.to_owned()
    }
}

/// A text that grows, and the quotes that wait for what follows them.
#[derive(Default)]
struct Page {
    text: String,
    waiting: String,
}

impl Page {
    /// Adds what the sender wrote; a quote that waited for it is now one that is answered.
    fn write(&mut self, new: &str) {
        let new = new.trim();
        if new.is_empty() {
            return;
        }
        self.write_waiting();
        self.text.push_str(new);
        self.text.push_str("\n\n");
    }

    fn quote(&mut self, quoted: &str) {
        let quoted = quoted.trim();
        if !quoted.is_empty() {
            self.waiting.push_str(quoted);
            self.waiting.push('\n');
        }
    }

    fn write_waiting(&mut self) {
        for line in self.waiting.trim().lines() {
            self.text.push_str("> ");
            self.text.push_str(line);
            self.text.push('\n');
        }
        if !self.waiting.is_empty() {
            self.text.push('\n');
        }
        self.waiting.clear();
    }
}

/// Outlook draws a line above what it quotes.
fn without_rule(text: &str) -> &str {
    let trimmed = text.trim_end();
    trimmed.strip_suffix(RULE).unwrap_or(trimmed)
}

/// Splits off a last paragraph that says who wrote what is quoted below it: some programs put it
/// above the quote and not into it (Fastmail, Apple Mail for some languages).
fn split_attribution(text: &str) -> (&str, &str) {
    let trimmed = text.trim_end();
    let start = trimmed.rfind("\n\n").map_or(0, |at| at + 2);
    let (before, last) = trimmed.split_at(start);
    if is_attribution(last) {
        (before, last)
    } else {
        (text, "")
    }
}

fn is_attribution(paragraph: &str) -> bool {
    let last = paragraph.trim();
    let is_short = last.chars().count() <= ATTRIBUTION_CHARS_MAX && last.lines().count() <= 3;
    let has_number = last.chars().any(|character| character.is_ascii_digit());
    let ends = last.ends_with(':') || last.ends_with('：');
    let words = last.to_lowercase();
    is_short && has_number && ends && WROTE.iter().any(|word| words.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_who_wrote_a_quote_is_part_of_it() {
        for line in [
            "On Mon, 23 Nov 2026, at 10:00, Airut wrote:",
            "Am 23.11.2026 um 10:00 schrieb Airut \\<bot@example.test>:",
            "Le lun. 23 nov. 2026 à 10:00, Airut a écrit :",
            "El lun, 23 nov 2026 a las 10:00, Airut (\\<bot@example.test>) escribió:",
            "ma 23.11.2026 klo 10.00 Airut kirjoitti:",
        ] {
            let text = format!("Yes.\n\n{line}{}", marked("Which one?"));
            assert_eq!(written(&text, false), "Yes.\n\n[quoted text removed]");
            let answered = format!("{line}{}The first.", marked("Which one?"));
            let expected = format!("> {line}\n> Which one?\n\nThe first.");
            assert_eq!(written(&answered, false), expected);
        }
    }

    #[test]
    fn what_the_sender_writes_above_a_quote_stays() {
        for line in [
            "Here is what you wrote:",
            "The error of 10:00 is this:",
            "On Monday at 10:00 somebody wrote this.",
        ] {
            let text = format!("{line}{}", marked("Which one?"));
            let expected = format!("{line}\n\n{QUOTE_REMOVED}");
            assert_eq!(written(&text, false), expected);
        }
    }

    #[test]
    fn what_is_forwarded_stays() {
        let text = format!("Please look.{}", marked("Forwarded\n\nIt is broken."));
        let expected = "Please look.\n\n> Forwarded\n> \n> It is broken.";
        assert_eq!(written(&text, true), expected);
        let text =
            format!("Please look.\n\n* * *\n\n{ALL_AFTER_IS_QUOTED}From: a\n\nIt is broken.");
        assert_eq!(
            written(&text, true),
            "Please look.\n\nFrom: a\n\nIt is broken."
        );
        assert_eq!(
            written(&text, false),
            "Please look.\n\n[quoted text removed]"
        );
    }
}
