//! What a listener remembers of single mails, so that one that gives trouble holds up no other. It
//! decides what is due; it touches no mailbox. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::events::id::AtMs;

/// Tries of one mail in a row; then it is passed over for [`PASSED_OVER_MS`].
pub const MAIL_TRIES_MAX: u32 = 3;
/// How long a mail that gave trouble is passed over; then it is tried once more.
pub const PASSED_OVER_MS: u64 = 3_600_000;
/// Mails that are remembered; of more, the oldest is forgotten and so tried again.
const REMEMBERED_MAX: usize = 10_000;

/// What is remembered; all of it is lost when the service ends, so that a start tries everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    uid_validity: u32,
    left: BTreeSet<u32>,
    troubles: BTreeMap<u32, Trouble>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Trouble {
    failures: u32,
    again_at: AtMs,
}

impl Notes {
    /// Forgets everything when the folder has other numbers than before.
    pub fn open(&mut self, uid_validity: u32) {
        if self.uid_validity != uid_validity {
            *self = Self {
                uid_validity,
                ..Self::default()
            };
        }
    }

    /// Returns what is to be tried now: mail without trouble first, oldest first.
    pub fn due(&self, uids: &BTreeSet<u32>, now: AtMs) -> Vec<u32> {
        let failures = |uid: &u32| self.troubles.get(uid).map_or(0, |known| known.failures);
        let is_due = |uid: &u32| {
            let passed_over = self.troubles.get(uid);
            let waits = passed_over
                .is_some_and(|known| known.failures >= MAIL_TRIES_MAX && now < known.again_at);
            !waits && !self.left.contains(uid)
        };
        let mut due: Vec<u32> = uids.iter().copied().filter(is_due).collect();
        due.sort_by_key(|uid| (failures(uid), *uid));
        due
    }

    /// Says whether a mail gave trouble since it last gave none.
    pub fn is_troubled(&self, uid: u32) -> bool {
        self.troubles.contains_key(&uid)
    }

    /// Remembers that a mail was dealt with and stays where it is.
    pub fn leave(&mut self, uid: u32) {
        self.left.insert(uid);
        if self.left.len() > REMEMBERED_MAX {
            self.left.pop_first();
        }
    }

    /// Remembers that a mail gave no trouble.
    pub fn settle(&mut self, uid: u32) {
        self.troubles.remove(&uid);
    }

    /// Remembers that a mail gave trouble, `for_good` if trying again at once is pointless; returns
    /// its failures and when it is tried again once it is passed over.
    pub fn trouble(&mut self, uid: u32, for_good: bool, now: AtMs) -> Option<(u32, AtMs)> {
        let trouble = self.troubles.entry(uid).or_default();
        trouble.failures = trouble.failures.saturating_add(1);
        let failures = trouble.failures;
        if for_good {
            trouble.failures = failures.max(MAIL_TRIES_MAX);
        }
        trouble.again_at = AtMs(now.0.saturating_add(PASSED_OVER_MS));
        let passed_over = trouble.failures >= MAIL_TRIES_MAX;
        let again_at = trouble.again_at;
        if self.troubles.len() > REMEMBERED_MAX {
            self.troubles.pop_first();
        }
        passed_over.then_some((failures, again_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_that_gives_trouble_comes_last_and_is_then_passed_over_for_a_while() {
        let mut notes = Notes::default();
        let uids = BTreeSet::from([1, 2, 3]);
        let now = AtMs(1_000);
        assert_eq!(notes.trouble(1, false, now), None);
        assert_eq!(notes.due(&uids, now), [2, 3, 1]);
        assert_eq!(notes.trouble(1, false, now), None);
        let again_at = AtMs(1_000 + PASSED_OVER_MS);
        assert_eq!(notes.trouble(1, false, now), Some((3, again_at)));
        assert_eq!(notes.due(&uids, now), [2, 3]);
        assert_eq!(notes.due(&uids, again_at), [2, 3, 1]);
        notes.settle(1);
        assert_eq!(notes.due(&uids, now), [1, 2, 3]);
    }

    #[test]
    fn what_cannot_get_better_is_passed_over_at_once() {
        let mut notes = Notes::default();
        let passed_over = notes.trouble(7, true, AtMs(0));
        assert_eq!(passed_over, Some((1, AtMs(PASSED_OVER_MS))));
        assert!(notes.due(&BTreeSet::from([7]), AtMs(0)).is_empty());
    }

    #[test]
    fn what_was_left_is_not_met_again_until_the_numbers_mean_other_mails() {
        let mut notes = Notes::default();
        notes.open(1);
        notes.leave(5);
        notes.open(1);
        assert!(notes.due(&BTreeSet::from([5]), AtMs(0)).is_empty());
        notes.open(2);
        assert_eq!(notes.due(&BTreeSet::from([5]), AtMs(0)), [5]);
    }
}
