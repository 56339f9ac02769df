//! `!env NAME` and `!var NAME`, anywhere a scalar may stand. Pure: the environment is an argument.
//!
//! An unset variable makes its place absent, an empty one makes it empty text (spec row CFG-02).

use std::collections::BTreeMap;

use crate::config::yaml::{Entry, Node, Problem, Value};

/// Values by name.
pub type Variables = BTreeMap<String, String>;

/// Replaces all tags by what they stand for; `vars` is taken out of the root.
///
/// # Errors
/// [`Problem`] at an unknown tag, an undefined variable or a tag that is on no scalar.
pub fn resolve(root: Node, environment: &Variables) -> Result<Node, Problem> {
    let Value::Map(entries) = root.value else {
        return Ok(root);
    };
    let (vars, rest): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.key == "vars");
    let mut resolver = Resolver {
        environment,
        vars: BTreeMap::new(),
    };
    for entry in vars {
        resolver.define(entry.node)?;
    }
    let rest = Node {
        value: Value::Map(rest),
        ..Node {
            place: root.place,
            tag: root.tag,
            value: Value::Absent,
        }
    };
    resolver.node(rest)
}

struct Resolver<'a> {
    environment: &'a Variables,
    vars: BTreeMap<String, Value>,
}

impl Resolver<'_> {
    /// Reads the `vars` table: scalars and `!env` only.
    fn define(&mut self, table: Node) -> Result<(), Problem> {
        let entries = match table.value {
            Value::Absent => return Ok(()),
            Value::Map(entries) => entries,
            _ => return Err(Problem::at(table.place, "vars must be a mapping")),
        };
        for entry in entries {
            if entry.node.tag.as_deref() == Some("var") {
                return Err(Problem::at(
                    entry.node.place,
                    "a variable cannot refer to a variable",
                ));
            }
            let node = self.node(entry.node)?;
            if matches!(node.value, Value::List(_) | Value::Map(_)) {
                return Err(Problem::at(node.place, "a variable must be a single value"));
            }
            self.vars.insert(entry.key, node.value);
        }
        Ok(())
    }

    fn node(&self, node: Node) -> Result<Node, Problem> {
        let Node { place, tag, value } = node;
        let value = match (tag.as_deref(), value) {
            (None, Value::List(items)) => Value::List(
                items
                    .into_iter()
                    .map(|item| self.node(item))
                    .collect::<Result<_, _>>()?,
            ),
            (None, Value::Map(entries)) => Value::Map(self.entries(entries)?),
            (None, value) => value,
            (Some("env"), Value::Scalar(name)) => self
                .environment
                .get(&name)
                .map_or(Value::Absent, |text| Value::Scalar(text.clone())),
            (Some("var"), Value::Scalar(name)) => self.variable(&name, place)?,
            (Some("env" | "var"), _) => {
                return Err(Problem::at(place, "!env and !var are followed by a name"));
            }
            (Some(tag), _) => {
                return Err(Problem::at(
                    place,
                    format!("unknown tag !{tag}: there are !env and !var"),
                ));
            }
        };
        Ok(Node {
            place,
            tag: None,
            value,
        })
    }

    fn entries(&self, entries: Vec<Entry>) -> Result<Vec<Entry>, Problem> {
        let resolved = |entry: Entry| {
            Ok(Entry {
                node: self.node(entry.node)?,
                ..entry
            })
        };
        entries.into_iter().map(resolved).collect()
    }

    fn variable(&self, name: &str, place: crate::config::yaml::Place) -> Result<Value, Problem> {
        self.vars.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.vars.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            Problem::at(
                place,
                format!("!var {name} is not defined under vars (defined: {known})"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::parse;

    fn resolved(text: &str) -> Result<Node, Problem> {
        let environment = [("SET", "value"), ("EMPTY", "")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        resolve(parse(text).unwrap(), &environment.into())
    }

    fn at<'n>(node: &'n Node, key: &str) -> &'n Value {
        let Value::Map(entries) = &node.value else {
            panic!("a map")
        };
        &entries
            .iter()
            .find(|entry| entry.key == key)
            .unwrap()
            .node
            .value
    }

    #[test]
    fn tags_are_replaced_everywhere() {
        let node = resolved(
            "vars: {v: 7, e: !env SET}\na: !env SET\nb: !env UNSET\nc: !env EMPTY\nd: !var v\ne: [!env SET, !var e]\n",
        );
        let node = node.unwrap();
        let text = |text: &str| Value::Scalar(text.to_owned());
        assert_eq!(at(&node, "a"), &text("value"));
        assert_eq!(at(&node, "b"), &Value::Absent);
        assert_eq!(at(&node, "c"), &text(""));
        assert_eq!(at(&node, "d"), &text("7"));
        let Value::List(items) = at(&node, "e") else {
            panic!("a list")
        };
        assert_eq!(
            [&items[0].value, &items[1].value],
            [&text("value"), &text("value")]
        );
    }

    #[test]
    fn wrong_tags_are_refused_with_their_place() {
        let refused = |text: &str| resolved(text).unwrap_err().to_string();
        assert!(refused("a: !secret X\n").contains("1:12: unknown tag !secret"));
        assert!(
            refused("a: !var x\n").contains("!var x is not defined under vars (defined: none)")
        );
        assert!(refused("vars: {a: 1, b: !var a}\n").contains("cannot refer to a variable"));
        assert!(refused("vars: {a: [1]}\n").contains("single value"));
        assert!(refused("a: !env [x]\n").contains("followed by a name"));
    }
}
