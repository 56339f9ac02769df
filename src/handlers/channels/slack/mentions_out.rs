//! The names that an answer may mention: `@name`, `@group` and `#channel` become Slack's own mentions
//! when they name one of the candidates, and nothing else does (spec row SLK-15). Whoever gives the
//! candidates decides who can be notified at all. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Most names that are known; further ones stay text.
pub const NAMES_MAX: usize = 1_000;

/// Longest name in characters; a longer one is not looked for.
const NAME_CHARS_MAX: usize = 80;

/// Words behind `@` that would notify many: they stay text, whoever bears them as a name.
const BROADCASTS: [&str; 4] = ["here", "channel", "everyone", "group"];

/// Somebody who may be mentioned, with the names they go by.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// `U…` or `W…`.
    pub id: String,
    /// What they call themselves.
    pub display_name: String,
    /// Their full name.
    pub real_name: String,
    /// Their account's name.
    pub name: String,
}

/// Whoever and whatever an answer may mention.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidates {
    /// People: who wrote in the thread, and the members of configured groups.
    pub people: BTreeSet<Person>,
    /// Groups, by their handle: id `S…`.
    pub groups: BTreeMap<String, String>,
    /// Channels, by their name: id `C…`.
    pub channels: BTreeMap<String, String>,
}

/// Candidates by what they are written as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Lower-case name with its sign, and the mention; nothing for one that two bear.
    known: BTreeMap<String, Option<String>>,
}

impl Names {
    /// Returns the names of candidates. A display name counts before a full one, and that before an
    /// account's; a name that two of the same rank bear is nobody's.
    pub fn of(candidates: &Candidates) -> Self {
        let mut names = Self::default();
        let people = &candidates.people;
        let ranks: [fn(&Person) -> &str; 3] = [
            |person| &person.display_name,
            |person| &person.real_name,
            |person| &person.name,
        ];
        let groups = candidates.groups.iter();
        let mut rank: Vec<(String, String)> = groups
            .filter_map(|(handle, id)| Some((handle.clone(), mention("!subteam^", id)?)))
            .collect();
        for name_of in ranks {
            let borne = people
                .iter()
                .filter_map(|person| Some((name_of(person).to_owned(), mention("@", &person.id)?)));
            rank.extend(borne);
            names.add('@', std::mem::take(&mut rank));
        }
        let channels = candidates.channels.iter();
        let channels = channels.filter_map(|(name, id)| Some((name.clone(), mention("#", id)?)));
        names.add('#', channels.collect());
        names
    }

    /// Adds the names of one rank; those of an earlier rank stay as they are.
    fn add(&mut self, sign: char, rank: Vec<(String, String)>) {
        let mut added: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (name, mention) in rank {
            let name = name.trim().to_lowercase();
            let is_broadcast = sign == '@' && BROADCASTS.contains(&name.as_str());
            if name.is_empty() || is_broadcast || name.chars().count() > NAME_CHARS_MAX {
                continue;
            }
            let known = added.entry(format!("{sign}{name}"));
            known
                .and_modify(|other| {
                    if other.as_ref() != Some(&mention) {
                        *other = None;
                    }
                })
                .or_insert(Some(mention));
        }
        for (name, mention) in added {
            if self.known.len() < NAMES_MAX {
                self.known.entry(name).or_insert(mention);
            }
        }
    }

    /// Returns the mention that a text begins with and the length of its name in bytes: of the longest
    /// name that fits and ends where a word does. A longest name that two bear is no mention.
    pub fn mention(&self, text: &str) -> Option<(String, usize)> {
        let sign = text.chars().next().filter(|sign| "@#".contains(*sign))?;
        let mut found = None;
        let mut written = String::new();
        let mut chars = text.char_indices().peekable();
        while let Some((_, c)) = chars.next() {
            written.extend(c.to_lowercase());
            let end = chars.peek().map_or(text.len(), |(at, _)| *at);
            let next = chars.peek().map(|(_, c)| *c);
            if ends_name(next)
                && let Some(known) = self.known.get(&written)
            {
                found = Some((known.clone(), end));
            }
            if end > NAME_CHARS_MAX * 4 + sign.len_utf8() {
                break;
            }
        }
        let (mention, end) = found?;
        Some((mention?, end))
    }

    /// Says whether nothing can be mentioned.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// Says whether a text may mention anything at all, so that candidates are worth asking for.
pub fn may_mention(markdown: &str) -> bool {
    let signs = markdown.char_indices();
    signs.filter(|(_, c)| "@#".contains(*c)).any(|(at, _)| {
        let after = markdown[at + 1..].chars().next();
        let before = markdown[..at].chars().next_back();
        after.is_some_and(|c| c.is_alphanumeric()) && before.is_none_or(|c| !c.is_alphanumeric())
    })
}

fn ends_name(next: Option<char>) -> bool {
    next.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-')
}

/// Returns a mention; an id that is none of Slack's gives none.
fn mention(kind: &str, id: &str) -> Option<String> {
    let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric());
    is_id.then(|| format!("<{kind}{id}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, names: [&str; 3]) -> Person {
        let [display_name, real_name, name] = names.map(str::to_owned);
        Person {
            id: id.to_owned(),
            display_name,
            real_name,
            name,
        }
    }

    fn names() -> Names {
        let people = [
            person("U1", ["alice", "Alice Smith", "asmith"]),
            person("U2", ["", "Bob Jones", "bob"]),
            person("U3", ["sam", "Sam One", "sam1"]),
            person("U4", ["sam", "Sam Two", "alice"]),
            person("U5", ["here", "Ann", "everyone"]),
            person("U6", ["<!here>", "Eve", "eve"]),
        ];
        Names::of(&Candidates {
            people: people.into(),
            groups: BTreeMap::from([("ops".to_owned(), "S1".to_owned())]),
            channels: BTreeMap::from([("general".to_owned(), "C1".to_owned())]),
        })
    }

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, usize)>) {
        let found = names().mention(text);
        let found = found
            .as_ref()
            .map(|(mention, end)| (mention.as_str(), *end));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_name_is_found_whole_and_the_longest_counts() {
        check("@alice, look", Some(("<@U1>", 6)));
        check("@Alice Smith: look", Some(("<@U1>", 12)));
        check("@Bob Jones", Some(("<@U2>", 10)));
        check("@bob", Some(("<@U2>", 4)));
        check("@alices", None);
        check("@alice-b", None);
        check("@ops!", Some(("<!subteam^S1>", 4)));
        check("#general", Some(("<#C1>", 8)));
        check("#ops", None);
    }

    #[test]
    fn a_display_name_counts_before_the_account_of_another() {
        // `alice` is the account's name of U4, too.
        check("@alice", Some(("<@U1>", 6)));
    }

    #[test]
    fn what_two_bear_and_what_notifies_many_stays_text() {
        check("@sam", None);
        check("@here", None);
        check("@everyone", None);
        check("@channel", None);
        check("@nobody", None);
        check("@Ann", Some(("<@U5>", 4)));
    }

    #[test]
    fn an_id_that_is_none_mentions_nobody() {
        let people = [person("!here>", ["alice", "", ""])];
        let candidates = Candidates {
            people: people.into(),
            ..Candidates::default()
        };
        assert!(Names::of(&candidates).is_empty());
    }

    #[test]
    fn candidates_are_asked_for_only_where_something_may_be_mentioned() {
        for text in ["hello @alice", "@bob", "see #general"] {
            assert!(may_mention(text), "{text}");
        }
        for text in ["", "mail a@b.test", "# Heading", "@ #"] {
            assert!(!may_mention(text), "{text}");
        }
    }
}
