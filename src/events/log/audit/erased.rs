//! What a tombstone explains: which bodies are gone because their conversation is forgotten. Pure.

use std::collections::{BTreeMap, HashMap};

use crate::events::id::{BlobRef, ConversationId, Position, Sha256, TaskId};
use crate::events::log::audit::Scan;

/// What checking the bodies came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bodies {
    /// Bodies that are there and whole.
    pub whole: usize,
    /// Bodies that are gone, as a tombstone says.
    pub erased: usize,
    /// Bodies that the log refers to.
    pub all: usize,
    /// The conversations that are forgotten, by the position that says so.
    pub erasures: Vec<Erasure>,
}

/// A conversation that is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Erasure {
    /// Where its tombstone stands; as long as there is none, where forgetting it was asked for.
    pub position: Position,
    /// The conversation.
    pub conversation: ConversationId,
    /// Bodies that its events refer to.
    pub bodies: usize,
}

/// Whose is what, as the log says.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    owners: HashMap<Sha256, TaskId>,
    conversations: HashMap<TaskId, ConversationId>,
    erasures: BTreeMap<ConversationId, Position>,
}

impl Ownership {
    pub(super) fn owns(&mut self, task: TaskId, body: Sha256) {
        self.owners.insert(body, task);
    }

    pub(super) fn belongs(&mut self, task: TaskId, conversation: ConversationId) {
        self.conversations.insert(task, conversation);
    }

    pub(super) fn erase(&mut self, conversation: ConversationId, position: Position) {
        self.erasures.insert(conversation, position);
    }
}

impl Scan {
    /// Returns where it says that the conversation of a body is forgotten; nothing when it is not.
    pub fn erasure_of(&self, body: &BlobRef) -> Option<Position> {
        let task = self.ownership.owners.get(&body.sha256)?;
        let conversation = self.ownership.conversations.get(task)?;
        self.ownership.erasures.get(conversation).copied()
    }

    /// Returns the tasks of all forgotten conversations, each with where it says so.
    pub(super) fn erased_tasks(&self) -> Vec<(TaskId, ConversationId, Position)> {
        let Ownership {
            conversations,
            erasures,
            ..
        } = &self.ownership;
        let erased = conversations.iter().filter_map(|(task, conversation)| {
            let position = erasures.get(conversation)?;
            Some((*task, *conversation, *position))
        });
        let mut erased: Vec<_> = erased.collect();
        erased.sort();
        erased
    }

    /// Returns the forgotten conversations by position.
    pub(super) fn erasures(&self) -> Vec<Erasure> {
        let mut counts: HashMap<ConversationId, usize> = HashMap::new();
        for task in self.ownership.owners.values() {
            if let Some(conversation) = self.ownership.conversations.get(task) {
                *counts.entry(*conversation).or_default() += 1;
            }
        }
        let erasures = self.ownership.erasures.iter();
        let erasures = erasures.map(|(conversation, position)| Erasure {
            position: *position,
            conversation: *conversation,
            bodies: counts.get(conversation).copied().unwrap_or_default(),
        });
        let mut erasures: Vec<_> = erasures.collect();
        erasures.sort_by_key(|erasure| erasure.position);
        erasures
    }
}
