//! Walks through a body and settles each entry of each `tools` list in it, however deep it lies. One
//! pass; what is kept of the body is one entry at a time.

use std::ops::Range;

use crate::sandbox::proxy::filter::Blocked;
use crate::sandbox::proxy::filter::json::{Begin, Malformed, Scanner};
use crate::sandbox::proxy::filter::tools::entry::{Domains, Entry};
use crate::sandbox::proxy::limits::FILTERED_DEPTH_MAX;

/// A change to the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// What is replaced; empty where something is put in.
    pub(super) place: Range<usize>,
    /// What stands there instead.
    pub(super) text: String,
}

/// Why the walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The body is not what it must be.
    Malformed,
    /// A tool must not be sent.
    Blocked(Blocked),
}

impl From<Malformed> for Stop {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Keys that decide what a tool is; a body that tells one twice is read differently by different
/// servers. Case is not trusted either.
const WATCHED: [&str; 4] = ["tools", "type", "allowed_domains", "blocked_domains"];

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Elsewhere,
    /// Behind the key `tools`.
    Tools,
    /// In a list behind that key.
    Tool,
}

struct Walk<'a> {
    scanner: Scanner<'a>,
    opens: &'a dyn Fn(&str) -> bool,
    edits: Vec<Edit>,
    notes: Vec<String>,
}

/// Returns the changes in the body's order, and what the log says of them.
pub(super) fn walk(
    text: &str,
    opens: &dyn Fn(&str) -> bool,
) -> Result<(Vec<Edit>, Vec<String>), Stop> {
    let mut walk = Walk {
        scanner: Scanner::new(text),
        opens,
        edits: Vec::new(),
        notes: Vec::new(),
    };
    walk.value(Place::Elsewhere, 0)?;
    if walk.scanner.peek().is_some() {
        return Err(Stop::Malformed);
    }
    // A tool within a tool is settled first, but may stand behind what is put into the outer one.
    walk.edits.sort_by_key(|edit| edit.place.start);
    let overlap = |pair: &[Edit]| pair[0].place.end > pair[1].place.start;
    if walk.edits.windows(2).any(overlap) {
        return Err(Stop::Malformed);
    }
    Ok((walk.edits, walk.notes))
}

impl Walk<'_> {
    fn value(&mut self, place: Place, depth: usize) -> Result<(), Stop> {
        if depth > FILTERED_DEPTH_MAX {
            return Err(Stop::Malformed);
        }
        match self.scanner.begin()? {
            Begin::Object => self.object(place == Place::Tool, depth),
            Begin::Array => {
                let item = match place {
                    Place::Tools => Place::Tool,
                    Place::Tool | Place::Elsewhere => Place::Elsewhere,
                };
                self.array(item, depth)
            }
            Begin::Text => Ok(self.scanner.text().map(|_| ())?),
            Begin::Scalar => Ok(self.scanner.scalar()?),
        }
    }

    fn array(&mut self, item: Place, depth: usize) -> Result<(), Stop> {
        self.scanner.expect(b'[')?;
        if self.scanner.take(b']') {
            return Ok(());
        }
        loop {
            self.value(item, depth + 1)?;
            if self.scanner.take(b']') {
                return Ok(());
            }
            self.scanner.expect(b',')?;
        }
    }

    fn object(&mut self, is_tool: bool, depth: usize) -> Result<(), Stop> {
        self.scanner.expect(b'{')?;
        let mut entry = Entry::beginning(self.scanner.at());
        if self.scanner.take(b'}') {
            return Ok(());
        }
        let (mut seen, mut comma) = ([false; WATCHED.len()], None);
        loop {
            self.scanner.peek();
            let start = self.scanner.at();
            let key = self.scanner.text()?;
            let key = self.scanner.resolve(key).to_ascii_lowercase();
            self.scanner.expect(b':')?;
            if let Some(watched) = WATCHED.iter().position(|name| *name == key)
                && std::mem::replace(&mut seen[watched], true)
            {
                return Err(Stop::Malformed);
            }
            self.member(&key, is_tool.then_some(&mut entry), depth + 1)?;
            let end = self.scanner.at();
            let more = self.scanner.take(b',');
            if key == "allowed_domains" {
                // With one of the commas around it, so that the others still part what is left.
                let after = self.scanner.at();
                entry.removal = if more {
                    start..after
                } else {
                    comma.unwrap_or(start)..end
                };
            }
            if !more {
                break;
            }
            comma = Some(self.scanner.at() - 1);
        }
        self.scanner.expect(b'}')?;
        if is_tool {
            self.settle(&entry)?;
        }
        Ok(())
    }

    /// Passes a member's value; of a tool it keeps what decides.
    fn member(&mut self, key: &str, entry: Option<&mut Entry>, depth: usize) -> Result<(), Stop> {
        let begin = self.scanner.begin()?;
        match (key, entry) {
            ("tools", _) => self.value(Place::Tools, depth),
            ("type", Some(entry)) if begin == Begin::Text => {
                let kind = self.scanner.text()?;
                entry.kind = self.scanner.resolve(kind);
                Ok(())
            }
            ("allowed_domains", Some(entry)) => {
                let start = self.scanner.at();
                let listed = self.domains(begin, depth)?;
                let place = start..self.scanner.at();
                entry.allowed = Some(Domains { listed, place });
                Ok(())
            }
            ("blocked_domains", Some(entry)) => {
                let listed = self.domains(begin, depth)?;
                entry.has_blocked = listed.is_none_or(|listed| !listed.is_empty());
                Ok(())
            }
            _ => self.value(Place::Elsewhere, depth),
        }
    }

    /// Passes what should be a list of hosts; an item that is no text stands as nothing.
    fn domains(&mut self, begin: Begin, depth: usize) -> Result<Option<Vec<Option<String>>>, Stop> {
        if begin != Begin::Array {
            self.value(Place::Elsewhere, depth)?;
            return Ok(None);
        }
        self.scanner.expect(b'[')?;
        let mut listed = Vec::new();
        if self.scanner.take(b']') {
            return Ok(Some(listed));
        }
        loop {
            if self.scanner.begin()? == Begin::Text {
                let place = self.scanner.text()?;
                listed.push(Some(self.scanner.resolve(place)));
            } else {
                self.value(Place::Elsewhere, depth + 1)?;
                listed.push(None);
            }
            if self.scanner.take(b']') {
                return Ok(Some(listed));
            }
            self.scanner.expect(b',')?;
        }
    }

    fn settle(&mut self, entry: &Entry) -> Result<(), Stop> {
        if let Some((edit, note)) = entry.settle(self.opens).map_err(Stop::Blocked)? {
            self.edits.push(edit);
            self.notes.push(note);
        }
        Ok(())
    }
}
