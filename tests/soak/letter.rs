//! How a letter names itself, and how an answer names the letters that it answers. Pure.

use std::collections::BTreeSet;

/// What stands before the number of a letter; the agent of `tests/soak/daemon` knows it too.
const MARK: &str = "soak-";

/// Names a letter.
pub(crate) fn name(number: u32) -> String {
    format!("{MARK}{number:06}")
}

/// Returns the letters that an answer of the agent names; nothing when it is no answer of the agent.
pub(crate) fn named(text: &str) -> Option<BTreeSet<u32>> {
    let (_, names) = text.split_once("echo: ")?;
    let numbers = names
        .split_whitespace()
        .map_while(|word| word.strip_prefix(MARK)?.parse().ok());
    Some(numbers.collect())
}

/// Returns whether a text says that a letter is worked on, or waits for its turn.
pub(crate) fn acknowledges(text: &str) -> bool {
    text.contains("I've started working on this")
        || text.contains("Your message is taken in and waits for its turn")
}

#[test]
fn an_answer_s_letters_are_read_and_other_words_are_no_answer() {
    let text = format!(
        "*Perhaps a copy.*\n\necho: {} {}\n\nCost: $0.01",
        name(7),
        name(12)
    );
    assert_eq!(named(&text), Some(BTreeSet::from([7, 12])));
    assert_eq!(named("I've started working on this."), None);
    assert!(acknowledges("I've started working on this.") && !acknowledges(&text));
}
