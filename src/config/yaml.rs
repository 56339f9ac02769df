//! YAML as nodes that know their place and tag. Pure. Aliases and duplicate keys are errors: both
//! make a configuration say something else than it seems to.

use std::fmt;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

/// Deepest nesting; deeper text is refused.
const DEPTH_MAX: usize = 32;

/// A place in the text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to do about it.
    pub what: String,
}

impl Problem {
    /// Returns a problem at a place.
    pub fn at(place: Place, what: impl Into<String>) -> Self {
        Self {
            place,
            what: what.into(),
        }
    }
}

/// A part of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// Its tag without the exclamation mark, for example `env`.
    pub tag: Option<String>,
    /// What it is.
    pub value: Value,
}

/// What a part of the text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing: an empty place, `~` or `null`.
    Absent,
    /// A scalar, as text.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<Entry>),
}

/// A key and what stands under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// What stands under it.
    pub node: Node,
}

/// Reads a text that holds at most one document; an empty text is an absent node.
///
/// # Errors
/// [`Problem`] at the first place that cannot be read.
pub fn parse(text: &str) -> Result<Node, Problem> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        depth: 0,
    };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            _ if root.is_some() => {
                return Err(Problem::at(place(span), "only one document is expected"));
            }
            event => root = Some(reader.node(event, span)?),
        }
    }
    let nothing = Node {
        place: Place { line: 1, column: 1 },
        tag: None,
        value: Value::Absent,
    };
    Ok(root.unwrap_or(nothing))
}

fn place(span: Span) -> Place {
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

struct Reader<'text> {
    parser: Parser<'text, granit_parser::StrInput<'text>>,
    depth: usize,
}

impl<'text> Reader<'text> {
    fn next(&mut self) -> Result<(Event<'text>, Span), Problem> {
        match self.parser.next() {
            Some(Ok((Event::Comment(..), _))) => self.next(),
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let marker = error.marker();
                let place = Place {
                    line: marker.line(),
                    column: marker.col() + 1,
                };
                Err(Problem::at(
                    place,
                    format!("this is no YAML: {}", error.info()),
                ))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'text>, span: Span) -> Result<Node, Problem> {
        let place = place(span);
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Problem::at(
                place,
                format!("more than {DEPTH_MAX} levels deep"),
            ));
        }
        let (tag, value) = match event {
            Event::Scalar(text, style, _, tag) => {
                let plain = style == ScalarStyle::Plain;
                let empty =
                    plain && tag.is_none() && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if empty {
                    Value::Absent
                } else {
                    Value::Scalar(text.into_owned())
                };
                (tag, value)
            }
            Event::SequenceStart(_, _, tag) => (tag, Value::List(self.list()?)),
            Event::MappingStart(_, _, tag) => (tag, Value::Map(self.map()?)),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let what = "aliases (*name) are not supported; write it out";
                return Err(Problem::at(place, what));
            }
            other => return Err(Problem::at(place, format!("unexpected {other:?}"))),
        };
        self.depth -= 1;
        Ok(Node {
            place,
            tag: tag.map(|tag| tag_name(&tag)),
            value,
        })
    }

    fn list(&mut self) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Vec<Entry>, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let key = self.node(event, span)?;
            let place = key.place;
            let (Value::Scalar(key), None) = (key.value, key.tag) else {
                return Err(Problem::at(place, "a key must be plain text"));
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let what = format!(
                    "the key {key} stands here for the second time, first at line {}",
                    first.place.line
                );
                return Err(Problem::at(place, what));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            entries.push(Entry { key, place, node });
        }
    }
}

fn tag_name(tag: &Tag) -> String {
    let tag = tag.to_string();
    tag.trim_start_matches('!').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_place_and_tag() {
        let node = parse("a:\n  b: !env NAME\n  c: [1, '~', ~]\n").unwrap();
        let Value::Map(entries) = node.value else {
            panic!("a map")
        };
        let Value::Map(inner) = &entries[0].node.value else {
            panic!("a map")
        };
        assert_eq!(inner[0].node.tag.as_deref(), Some("env"));
        assert_eq!(
            inner[0].node.place,
            Place {
                line: 2,
                column: 11
            }
        );
        let Value::List(items) = &inner[1].node.value else {
            panic!("a list")
        };
        let values: Vec<&Value> = items.iter().map(|item| &item.value).collect();
        let text = |text: &str| Value::Scalar(text.to_owned());
        assert_eq!(values, [&text("1"), &text("~"), &Value::Absent]);
    }

    #[track_caller]
    fn refused(text: &str, place: &str, words: &str) {
        let problem = parse(text).unwrap_err().to_string();
        assert!(
            problem.starts_with(place) && problem.contains(words),
            "{problem}"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        refused("a: 1\nb: 2\na: 3\n", "3:1", "second time, first at line 1");
        refused("a: &x 1\nb: *x\n", "2:4", "aliases");
        refused("a: [1\n", "1:4", "no YAML");
        refused("a: 1\n---\nb: 2\n", "3:1", "only one document");
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        refused(&deep, "1:", "levels deep");
    }

    #[test]
    fn an_empty_text_is_an_absent_node() {
        assert_eq!(parse("").unwrap().value, Value::Absent);
        assert_eq!(parse("# nothing\n").unwrap().value, Value::Absent);
    }
}
