//! What differs between two moments: lines of text, or places within JSON. Pure.

use serde::Serialize;
use serde_json::Value;

/// Cells of the table that finds the lines two texts share; beyond it what lies between the first and
/// the last difference is shown as removed and added as a whole.
const CELLS_MAX: usize = 4_000_000;

/// Returns the lines that differ, each after `-` or `+`, in order.
pub fn lines(before: &[String], after: &[String]) -> Vec<String> {
    let shared = before
        .iter()
        .zip(after)
        .take_while(|(one, other)| one == other);
    let head = shared.count();
    let (before, after) = (&before[head..], &after[head..]);
    let backwards = before.iter().rev().zip(after.iter().rev());
    let tail = backwards.take_while(|(one, other)| one == other).count();
    let before = &before[..before.len() - tail];
    let after = &after[..after.len() - tail];
    let removed = |line: &String| format!("- {line}");
    let added = |line: &String| format!("+ {line}");
    if (before.len() + 1).saturating_mul(after.len() + 1) > CELLS_MAX {
        let all = before.iter().map(removed);
        return all.chain(after.iter().map(added)).collect();
    }
    let longest = longest_shared(before, after);
    let (mut one, mut other) = (0, 0);
    let mut different = Vec::new();
    while one < before.len() || other < after.len() {
        let both = one < before.len() && other < after.len();
        if both && before[one] == after[other] {
            (one, other) = (one + 1, other + 1);
        } else if other == after.len()
            || (one < before.len() && longest[one + 1][other] >= longest[one][other + 1])
        {
            different.push(removed(&before[one]));
            one += 1;
        } else {
            different.push(added(&after[other]));
            other += 1;
        }
    }
    different
}

/// Returns for each pair of places how many lines the rests after them share.
fn longest_shared(before: &[String], after: &[String]) -> Vec<Vec<u32>> {
    let mut longest = vec![vec![0; after.len() + 1]; before.len() + 1];
    for one in (0..before.len()).rev() {
        for other in (0..after.len()).rev() {
            longest[one][other] = if before[one] == after[other] {
                longest[one + 1][other + 1] + 1
            } else {
                longest[one + 1][other].max(longest[one][other + 1])
            };
        }
    }
    longest
}

/// A place within JSON whose value differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The place as a JSON pointer (RFC 6901).
    pub path: String,
    /// What was there; null when nothing was.
    pub before: Value,
    /// What is there; null when nothing is.
    pub after: Value,
}

/// Returns the places that differ, in order.
pub fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(String::new(), before, after, &mut found);
    found
}

fn compare(path: String, before: &Value, after: &Value, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    let null = Value::Null;
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                let (before, after) = (one.get(key), other.get(key));
                let path = format!("{path}/{escaped}");
                compare(path, before.unwrap_or(&null), after.unwrap_or(&null), found);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for index in 0..one.len().max(other.len()) {
                let (before, after) = (one.get(index), other.get(index));
                let path = format!("{path}/{index}");
                compare(path, before.unwrap_or(&null), after.unwrap_or(&null), found);
            }
        }
        _ => found.push(Change {
            path,
            before: before.clone(),
            after: after.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn lines_that_stay_are_not_shown() {
        let check = |one: &str, other: &str, expected: &[&str]| {
            assert_eq!(lines(&text(one), &text(other)), expected, "{one} → {other}");
        };
        check("a b c", "a b c", &[]);
        check("a b c", "a x c", &["- b", "+ x"]);
        check("a b c d", "b d e", &["- a", "- c", "+ e"]);
        check("", "a", &["+ a"]);
        check("a b", "", &["- a", "- b"]);
    }

    #[test]
    fn texts_too_long_for_the_table_are_shown_whole() {
        let one: Vec<String> = (0..3000).map(|n| format!("a{n}")).collect();
        let other: Vec<String> = (0..3000).map(|n| format!("b{n}")).collect();
        assert_eq!(lines(&one, &other).len(), 6000);
    }

    #[test]
    fn changes_name_their_place() {
        let before = json!({"a": 1, "b": {"x/y": [1, 2]}, "gone": true});
        let after = json!({"a": 1, "b": {"x/y": [1, 3, 4]}, "new": "n"});
        let found = changes(&before, &after);
        let places: Vec<&str> = found.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(places, ["/b/x~1y/1", "/b/x~1y/2", "/gone", "/new"]);
        assert_eq!(found[0].before, json!(2));
        assert_eq!(found[1].before, Value::Null);
    }
}
