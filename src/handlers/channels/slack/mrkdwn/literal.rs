//! Plain text as Slack shows it: nothing in it is markup, and nothing but a name that is known mentions
//! anybody. Pure.
//!
//! Of Slack's signs only `&`, `<` and `>` can be written out
//! (<https://docs.slack.dev/messaging/formatting-message-text>). For the others there is the text that
//! Slack shows in place of a date it cannot show: it is shown as it is.

use crate::handlers::channels::slack::mentions_out::Names;

/// What comes before a text within its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// It begins a line.
    Line,
    /// This character.
    Char(char),
}

/// Returns a text with what Slack means something by written out.
pub(super) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns a plain text with its signs written out and the names in it that are known as mentions.
pub(super) fn plain(text: &str, before: Before, names: &Names) -> String {
    let mut written = String::with_capacity(text.len());
    let mut before = before;
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let is_in_word = matches!(before, Before::Char(c) if is_of_word(c));
        if let Some((mention, length)) = names.mention(rest).filter(|_| !is_in_word) {
            written.push_str(&mention);
            before = Before::Char('>');
            rest = &rest[length..];
            continue;
        }
        let after = rest[sign.len_utf8()..].chars().next();
        let as_text = escaped(sign.encode_utf8(&mut [0; 4]));
        if would_act(sign, before, after) {
            written.extend(["<!date^00000000^{_}|", &as_text, ">"]);
        } else {
            written.push_str(&as_text);
        }
        before = if sign == '\n' {
            Before::Line
        } else {
            Before::Char(sign)
        };
        rest = &rest[sign.len_utf8()..];
    }
    written
}

/// Says whether Slack may take a character for markup: a sign of emphasis beside a word but not within
/// one, a backtick anywhere, the sign of a quote where a line begins.
fn would_act(sign: char, before: Before, after: Option<char>) -> bool {
    match sign {
        '`' => true,
        '>' => before == Before::Line,
        '*' | '_' | '~' => {
            let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
            let before = match before {
                Before::Line => None,
                Before::Char(c) => Some(c),
            };
            let is_within_word = before.is_some_and(is_of_word) && after.is_some_and(is_of_word);
            // What comes after the text is not known, so that its last sign is written out.
            let stands_alone = is_space(before) && after.is_some_and(char::is_whitespace);
            !is_within_word && !stands_alone
        }
        _ => false,
    }
}

/// Says whether a character is part of a word to Slack.
pub(in crate::handlers::channels::slack) fn is_of_word(c: char) -> bool {
    c.is_alphanumeric()
}
