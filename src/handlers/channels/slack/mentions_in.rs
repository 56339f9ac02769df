//! Slack's markup of what people write, as the text they saw: mentions by name, links in words
//! (<https://api.slack.com/reference/surfaces/formatting>). Pure; it asks nobody for a name.

use std::collections::{BTreeMap, BTreeSet};

/// What ids are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Users by id.
    pub users: BTreeMap<String, String>,
    /// Channels by id.
    pub channels: BTreeMap<String, String>,
    /// Handles of user groups by id.
    pub groups: BTreeMap<String, String>,
}

/// Ids that a text mentions without saying what they are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unnamed {
    /// Users.
    pub users: BTreeSet<String>,
    /// Channels.
    pub channels: BTreeSet<String>,
    /// User groups.
    pub groups: BTreeSet<String>,
}

/// A piece of Slack's text.
enum Piece<'a> {
    /// As it stands, with `&`, `<` and `>` escaped.
    Plain(&'a str),
    /// What stands between `<` and `>`, and the words after its `|`.
    Token(&'a str, Option<&'a str>),
}

/// In Slack's text every `<` begins a token, for one that somebody writes is escaped.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('<') {
        pieces.push(Piece::Plain(plain));
        let Some((token, behind)) = after.split_once('>') else {
            pieces.push(Piece::Plain(&rest[plain.len()..]));
            return pieces;
        };
        let (target, words) = match token.split_once('|') {
            Some((target, words)) => (target, Some(words)),
            None => (token, None),
        };
        pieces.push(Piece::Token(target, words));
        rest = behind;
    }
    pieces.push(Piece::Plain(rest));
    pieces
}

/// Returns whether a text mentions a user.
pub fn mentions(text: &str, user: &str) -> bool {
    let is_theirs = |piece: &Piece<'_>| match piece {
        Piece::Token(target, _) => target.strip_prefix('@') == Some(user),
        Piece::Plain(_) => false,
    };
    pieces(text).iter().any(is_theirs)
}

/// Returns what a text mentions without its name.
pub fn unnamed(text: &str) -> Unnamed {
    let mut unnamed = Unnamed::default();
    for piece in pieces(text) {
        let Piece::Token(target, None) = piece else {
            continue;
        };
        if let Some(id) = target.strip_prefix("!subteam^") {
            unnamed.groups.insert(id.to_owned());
        } else if let Some(id) = target.strip_prefix('@') {
            unnamed.users.insert(id.to_owned());
        } else if let Some(id) = target.strip_prefix('#') {
            unnamed.channels.insert(id.to_owned());
        }
    }
    unnamed
}

/// Returns a text as it was seen (spec row SLK-14). Mentions of `own`, Airut's user, are left out.
pub fn resolved(text: &str, own: &str, names: &Names) -> String {
    let mut seen = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Plain(plain) => seen.push_str(&unescaped(plain)),
            Piece::Token(target, _) if target.strip_prefix('@') == Some(own) => {
                // The space beside it goes with it.
                if seen.ends_with(' ') {
                    seen.pop();
                }
            }
            Piece::Token(target, words) => seen.push_str(&token(target, words, names)),
        }
    }
    seen.trim().to_owned()
}

fn token(target: &str, words: Option<&str>, names: &Names) -> String {
    let words = words.map(unescaped).filter(|words| !words.is_empty());
    let called = |known: &BTreeMap<String, String>, id: &str| {
        let name = words.clone().or_else(|| known.get(id).cloned());
        name.unwrap_or_else(|| id.to_owned())
    };
    if let Some(id) = target.strip_prefix("!subteam^") {
        let handle = called(&names.groups, id);
        return format!("@{}", handle.trim_start_matches('@'));
    }
    if let Some(id) = target.strip_prefix('@') {
        return format!("@{}", called(&names.users, id).trim_start_matches('@'));
    }
    if let Some(id) = target.strip_prefix('#') {
        return format!("#{}", called(&names.channels, id));
    }
    if let Some(special) = target.strip_prefix('!') {
        let name = special.split('^').next().unwrap_or_default();
        return match name {
            "here" | "channel" | "everyone" => format!("@{name}"),
            _ => words.unwrap_or_else(|| format!("@{name}")),
        };
    }
    link(&unescaped(target), words)
}

fn link(target: &str, words: Option<String>) -> String {
    let bare = target.strip_prefix("mailto:").unwrap_or(target);
    let bare = bare.strip_prefix("tel:").unwrap_or(bare);
    match words {
        Some(words) if words != target && words != bare => format!("{words} ({target})"),
        Some(_) | None => bare.to_owned(),
    }
}

/// Slack escapes three characters and no more.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let pair = |id: &str, name: &str| BTreeMap::from([(id.to_owned(), name.to_owned())]);
        let names = Names {
            users: pair("U1", "alice"),
            channels: pair("C1", "pier"),
            groups: pair("S1", "deckhands"),
        };
        assert_eq!(resolved(text, "UBOT", &names), expected, "{text}");
    }

    #[test]
    fn slk_14_mentions_and_links_read_as_they_were_seen() {
        check("<@U1> and <@U2|bob> and <@U3>", "@alice and @bob and @U3");
        check("in <#C1>, <#C2|dock> and <#C3>", "in #pier, #dock and #C3");
        check("<!subteam^S1> <!subteam^S2|@crew>", "@deckhands @crew");
        check(
            "<!here> <!channel|channel> <!everyone>",
            "@here @channel @everyone",
        );
        check("<!date^1392734382^{date}|18 February>", "18 February");
        check(
            "<https://a.test/?x=1&amp;y=2|the page>",
            "the page (https://a.test/?x=1&y=2)",
        );
        check(
            "<https://a.test|https://a.test> <https://b.test>",
            "https://a.test https://b.test",
        );
        check("<mailto:a@b.test|a@b.test>", "a@b.test");
    }

    #[test]
    fn slk_14_airuts_own_mention_is_no_part_of_the_request() {
        check("<@UBOT> /stop", "/stop");
        check("Hey <@UBOT>, look", "Hey, look");
        check("<@UBOT>", "");
        check("<@UBOT|airut>\n/status", "/status");
    }

    #[test]
    fn what_somebody_types_is_no_markup() {
        check("a &lt;@U1&gt; b &amp;lt; c", "a <@U1> b &lt; c");
        check("1 < 2", "1 < 2");
        assert!(!mentions("&lt;@UBOT&gt; @UBOT <@UBOT2>", "UBOT"));
        assert!(mentions("x<@UBOT|airut>y", "UBOT"));
    }

    #[test]
    fn only_names_that_are_missing_are_asked_for() {
        let found = unnamed("<@U1> <@U2|bob> <#C1|pier> <#C2> <!subteam^S1> <!here> <https://x>");
        assert_eq!(found.users, BTreeSet::from(["U1".to_owned()]));
        assert_eq!(found.channels, BTreeSet::from(["C2".to_owned()]));
        assert_eq!(found.groups, BTreeSet::from(["S1".to_owned()]));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "[<>@#!|a-z &;^]{0,40}") {
            let _seen = resolved(&text, "UBOT", &Names::default());
            let _unnamed = unnamed(&text);
        }
    }
}
