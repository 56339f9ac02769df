//! Reading a mapping key by key: what is read is known, what is left over is an error that names
//! the nearest known key (law 7). Pure.

use crate::config::yaml::{Entry, Node, Place, Problem, Value};

/// How near a key must be to be suggested, from 0 to 1.
const NEAR: f64 = 0.7;

/// A mapping that is being read.
#[derive(Debug)]
pub struct Section {
    path: String,
    place: Place,
    entries: Vec<Entry>,
    asked: Vec<&'static str>,
}

/// A scalar with its place and full name, for errors.
#[derive(Debug, Clone)]
pub struct Scalar {
    /// Where it stands.
    pub place: Place,
    /// Its full name, for example `repos.a.email.imap.port`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Section {
    /// Returns a section over a node; an absent node is an empty section.
    ///
    /// # Errors
    /// [`Problem`] when the node is no mapping.
    pub fn new(path: &str, node: Node) -> Result<Self, Problem> {
        let entries = match node.value {
            Value::Absent => Vec::new(),
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => {
                return Err(Problem::at(
                    node.place,
                    format!("{} must be a mapping", name(path)),
                ));
            }
        };
        Ok(Self {
            path: path.to_owned(),
            place: node.place,
            entries,
            asked: Vec::new(),
        })
    }

    /// Returns where the section begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Returns the full name of a key.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Takes the node under a key; nothing when it is not there or absent.
    pub fn take(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        let node = self.entries.remove(at).node;
        (node.value != Value::Absent).then_some(node)
    }

    /// Takes a scalar.
    ///
    /// # Errors
    /// [`Problem`] when something else stands there.
    pub fn scalar(&mut self, key: &'static str) -> Result<Option<Scalar>, Problem> {
        let path = self.path_of(key);
        self.take(key).map(|node| scalar(path, node)).transpose()
    }

    /// Takes a scalar that must be there.
    ///
    /// # Errors
    /// [`Problem`] when it is not.
    pub fn required(&mut self, key: &'static str) -> Result<Scalar, Problem> {
        let (place, path) = (self.place, self.path_of(key));
        let scalar = self.scalar(key)?.filter(|scalar| !scalar.text.is_empty());
        let missing = || {
            let what = format!("{path} is required (is it missing, empty, or an unset !env?)");
            Problem::at(place, what)
        };
        scalar.ok_or_else(missing)
    }

    /// Takes a list of texts; absent items are left out.
    ///
    /// # Errors
    /// [`Problem`] when it is no list, or holds something else.
    pub fn list(&mut self, key: &'static str) -> Result<Option<Vec<String>>, Problem> {
        let scalars = self.scalars(key)?;
        let text = |scalar: Scalar| scalar.text;
        Ok(scalars.map(|scalars| scalars.into_iter().map(text).collect()))
    }

    /// Takes a list of scalars, each with its place; absent items are left out.
    ///
    /// # Errors
    /// [`Problem`] when it is no list, or holds something else.
    pub fn scalars(&mut self, key: &'static str) -> Result<Option<Vec<Scalar>>, Problem> {
        let path = self.path_of(key);
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        let Value::List(items) = node.value else {
            return Err(Problem::at(node.place, format!("{path} must be a list")));
        };
        let present = items.into_iter().filter(|item| item.value != Value::Absent);
        let read = |item| scalar(path.clone(), item);
        present.map(read).collect::<Result<_, _>>().map(Some)
    }

    /// Takes a mapping under a key.
    ///
    /// # Errors
    /// [`Problem`] when something else stands there.
    pub fn section(&mut self, key: &'static str) -> Result<Option<Self>, Problem> {
        let path = self.path_of(key);
        self.take(key)
            .map(|node| Self::new(&path, node))
            .transpose()
    }

    /// Returns all entries, whatever their keys: for mappings whose keys are names.
    pub fn into_named(self) -> impl Iterator<Item = (String, Place, String, Node)> {
        let path = self.path.clone();
        self.entries.into_iter().map(move |entry| {
            let full = format!("{path}.{}", entry.key);
            (entry.key, entry.place, full, entry.node)
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Problem`] at the first key that nobody asked for, with the nearest known one.
    pub fn end(self) -> Result<(), Problem> {
        let Some(entry) = self.entries.first() else {
            return Ok(());
        };
        let near = |known: &&&str| strsim::jaro_winkler(known, &entry.key);
        let nearest = self.asked.iter().max_by(|a, b| near(a).total_cmp(&near(b)));
        let hint = match nearest.filter(|known| near(known) >= NEAR) {
            Some(known) => format!("; did you mean {known}?"),
            None => format!("; known here: {}", self.asked.join(", ")),
        };
        let path = self.path_of(&entry.key);
        Err(Problem::at(
            entry.place,
            format!("unknown key {path}{hint}"),
        ))
    }
}

fn name(path: &str) -> &str {
    if path.is_empty() {
        "the configuration"
    } else {
        path
    }
}

pub(super) fn scalar(path: String, node: Node) -> Result<Scalar, Problem> {
    match node.value {
        Value::Scalar(text) => Ok(Scalar {
            place: node.place,
            path,
            text,
        }),
        Value::Absent | Value::List(_) | Value::Map(_) => Err(Problem::at(
            node.place,
            format!("{path} must be a single value"),
        )),
    }
}

impl Scalar {
    /// Returns the problem of this value.
    pub fn problem(&self, what: &str) -> Problem {
        Problem::at(self.place, format!("{} {what}", self.path))
    }

    /// Reads a whole number within limits.
    ///
    /// # Errors
    /// [`Problem`] naming the limits.
    pub fn integer(&self, min: u64, max: u64) -> Result<u64, Problem> {
        let number = self
            .text
            .trim()
            .parse()
            .ok()
            .filter(|number| (min..=max).contains(number));
        let limits = if max == u64::MAX {
            format!("must be a whole number, at least {min}")
        } else {
            format!("must be a whole number from {min} to {max}")
        };
        number.ok_or_else(|| self.problem(&limits))
    }

    /// Reads a number within limits.
    ///
    /// # Errors
    /// [`Problem`] naming the limits.
    pub fn number(&self, min: f64, max: f64) -> Result<f64, Problem> {
        let number: Option<f64> = self.text.trim().parse().ok();
        let fits = number.filter(|number| (min..=max).contains(number));
        fits.ok_or_else(|| self.problem(&format!("must be a number from {min} to {max}")))
    }

    /// Reads yes or no, in the words of spec row CFG-18.
    ///
    /// # Errors
    /// [`Problem`] naming the words.
    pub fn boolean(&self) -> Result<bool, Problem> {
        match self.text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(self.problem("must be true or false")),
        }
    }

    /// Reads something that has a text form.
    ///
    /// # Errors
    /// [`Problem`] saying what is expected.
    pub fn parse<T: std::str::FromStr>(&self, expected: &str) -> Result<T, Problem> {
        let parsed = self.text.trim().parse().ok();
        parsed.ok_or_else(|| self.problem(&format!("must be {expected}")))
    }

    /// Reads one of several words.
    ///
    /// # Errors
    /// [`Problem`] naming them.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Problem> {
        let chosen = choices.iter().find(|(word, _)| self.text.trim() == *word);
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let wrong = || self.problem(&format!("must be one of: {}", words.join(", ")));
        chosen.map(|(_, value)| *value).ok_or_else(wrong)
    }

    /// Reads a size such as `512m` (spec row CFG-25), in bytes.
    ///
    /// # Errors
    /// [`Problem`] showing the form.
    pub fn size(&self) -> Result<u64, Problem> {
        let wrong = || self.problem("must be digits and one of b, k, m, g, for example 2g");
        let (unit_at, unit) = self.text.trim().char_indices().last().ok_or_else(wrong)?;
        let shift = match unit.to_ascii_lowercase() {
            'b' => 0,
            'k' => 10,
            'm' => 20,
            'g' => 30,
            _ => return Err(wrong()),
        };
        let digits = &self.text.trim()[..unit_at];
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let count: Option<u64> = digits.parse().ok().filter(|count| plain && *count > 0);
        let bytes = count.and_then(|count| count.checked_mul(1 << shift));
        bytes.ok_or_else(wrong)
    }
}
