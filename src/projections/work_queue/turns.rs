//! When whose turn was last: of each sender in each repository in which something of theirs is in the
//! queue. Somebody who joins has had their turn just now, so that nobody who comes again and again
//! overtakes those who wait. It chooses nothing: `handlers/turns` does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::id::{Position, RepoId};

/// The turns of everybody who has something in the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns {
    senders: BTreeMap<String, BTreeMap<RepoId, Position>>,
}

impl Turns {
    /// Returns where in the log a sender's last turn in a repository stands; the beginning of the log
    /// for who has nothing there in the queue.
    pub fn last(&self, sender: &str, repo: &RepoId) -> Position {
        let turns = self.senders.get(sender);
        let last = turns.and_then(|turns| turns.get(repo));
        last.copied().unwrap_or_default()
    }

    /// Takes note that a sender has something in the queue; who had before keeps their turn.
    pub(super) fn join(&mut self, sender: &str, repo: &RepoId, at: Position) {
        let turns = self.senders.entry(sender.to_owned()).or_default();
        turns.entry(repo.clone()).or_insert(at);
    }

    /// Takes note that something of a sender begins.
    pub(super) fn serve(&mut self, sender: &str, repo: &RepoId, at: Position) {
        let turns = self.senders.get_mut(sender);
        if let Some(last) = turns.and_then(|turns| turns.get_mut(repo)) {
            *last = at;
        }
    }

    /// Drops a sender's turn in a repository in which nothing of theirs is left.
    pub(super) fn leave(&mut self, sender: &str, repo: &RepoId) {
        if let Some(turns) = self.senders.get_mut(sender) {
            turns.remove(repo);
            if turns.is_empty() {
                self.senders.remove(sender);
            }
        }
    }
}
