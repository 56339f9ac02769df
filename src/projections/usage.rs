//! What work has cost: tokens, money, turns and time, in all and by repository and conversation.
//! It sets no budget.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::conversation::{ReplyRecorded, TokenUsage};
use crate::events::event::ConversationEvent;
use crate::events::id::{ConversationId, RepoId};
use crate::events::run::{RunCutOff, RunOutcomeClassified};
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// A sum of what runs took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Tokens and server-side tools.
    pub usage: TokenUsage,
    /// Millionths of a US dollar.
    pub cost_microusd: u64,
    /// Turns of the agent.
    pub turns: u32,
    /// The agent's own time.
    pub duration_ms: u64,
}

/// What work has cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All of it.
    pub total: Spent,
    /// By conversation.
    pub conversations: BTreeMap<ConversationId, Spent>,
    /// By repository.
    pub repos: BTreeMap<RepoId, Spent>,
    /// Which repository a conversation belongs to.
    pub repo_of: BTreeMap<ConversationId, RepoId>,
}

impl Spent {
    /// Adds what another sum holds.
    pub fn add(&mut self, more: Self) {
        self.usage.add(more.usage);
        self.cost_microusd = self.cost_microusd.saturating_add(more.cost_microusd);
        self.turns = self.turns.saturating_add(more.turns);
        self.duration_ms = self.duration_ms.saturating_add(more.duration_ms);
    }

    /// Adds what a run's judgement reports; its time is its container's to report.
    pub fn add_run(&mut self, outcome: &RunOutcomeClassified) {
        self.add(Self {
            usage: outcome.usage,
            cost_microusd: outcome.cost_microusd,
            turns: outcome.turns,
            duration_ms: 0,
        });
    }
}

impl From<&ReplyRecorded> for Spent {
    fn from(reply: &ReplyRecorded) -> Self {
        Self {
            usage: reply.usage,
            cost_microusd: reply.cost_microusd,
            turns: reply.turns,
            duration_ms: reply.duration_ms,
        }
    }
}

impl From<&RunCutOff> for Spent {
    fn from(cut_off: &RunCutOff) -> Self {
        Self {
            usage: cut_off.usage,
            cost_microusd: cut_off.cost_microusd,
            turns: cut_off.turns,
            duration_ms: 0,
        }
    }
}

impl Usage {
    fn count(&mut self, reply: &ReplyRecorded) {
        let spent = Spent::from(reply);
        self.total.add(spent);
        let conversation = self.conversations.entry(reply.conversation);
        conversation.or_default().add(spent);
        if let Some(repo) = self.repo_of.get(&reply.conversation) {
            self.repos.entry(repo.clone()).or_default().add(spent);
        }
    }
}

impl Projection for Usage {
    const NAME: &'static str = "usage";
    const CODE_VERSION: u32 = 1;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Conversation(ConversationEvent::Created(created)) => {
                let repo = created.repo.clone();
                self.repo_of.insert(created.conversation, repo);
            }
            Event::Conversation(ConversationEvent::ReplyRecorded(reply)) => self.count(reply),
            Event::Conversation(
                ConversationEvent::ParticipantJoined(_)
                | ConversationEvent::ParticipantInvited(_)
                | ConversationEvent::ModelChosen(_)
                | ConversationEvent::ThreadLinked(_)
                | ConversationEvent::WorkspaceCloned(_)
                | ConversationEvent::WorkspaceCloneFailed(_)
                | ConversationEvent::PromptComposed(_)
                | ConversationEvent::SessionAbandoned(_)
                | ConversationEvent::ForgetRequested(_)
                | ConversationEvent::Forgotten(_),
            )
            | Event::Service(_)
            | Event::Schedule(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Message(_)
            | Event::Task(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Proxy(_)
            | Event::Delivery(_) => {}
        }
    }
}
