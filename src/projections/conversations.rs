//! Conversations: whose they are, what session they resume, which threads lead to them, what was
//! said. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::events::conversation::{ConversationCreated, ReplyRecorded, WorkspaceCloned};
use crate::events::event::{ConversationEvent, DeliveryEvent, MessageEvent, ScheduleEvent};
use crate::events::id::{
    AtMs, ChannelKind, ConversationId, DeliveryId, InboundId, RepoId, RunId, SessionId, TaskId,
};
use crate::events::message::MessageParsed;
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// One conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Its repository.
    pub repo: RepoId,
    /// The channel it began on.
    pub channel: ChannelKind,
    /// Whether a schedule began it: whoever has its mail may answer.
    pub scheduled: bool,
    /// Who began it.
    pub owner: String,
    /// Everybody who took part, its owner included.
    pub participants: BTreeSet<String>,
    /// Whom the owner has let take part, whether they have written yet or not.
    pub invited: BTreeSet<String>,
    /// Its model.
    pub model: String,
    /// Its effort.
    pub effort: Option<String>,
    /// When it began.
    pub created_at: AtMs,
    /// The workspace, once there is one.
    pub workspace: Option<WorkspaceCloned>,
    /// The session the next task resumes.
    pub session: Option<SessionId>,
    /// Its runs, oldest first.
    pub runs: Vec<RunId>,
    /// Its answers, oldest first, each with its time.
    pub replies: Vec<(AtMs, ReplyRecorded)>,
    /// Its messages.
    pub messages: BTreeSet<InboundId>,
    /// The tasks they became; each has a key of its own.
    pub tasks: BTreeSet<TaskId>,
    /// What was sent for them.
    pub deliveries: BTreeSet<DeliveryId>,
    /// When something happened in it last.
    pub last_activity: AtMs,
}

/// A conversation that is being forgotten: everything that is destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgetting {
    /// Its id.
    pub id: ConversationId,
    /// Its repository.
    pub repo: RepoId,
    /// Its messages.
    pub messages: BTreeSet<InboundId>,
    /// The tasks they became.
    pub tasks: BTreeSet<TaskId>,
    /// What was sent for them.
    pub deliveries: BTreeSet<DeliveryId>,
    /// Its runs.
    pub runs: Vec<RunId>,
}

impl Conversation {
    /// Returns the newest answer that does not tell of a failure.
    pub fn last_good_reply(&self) -> Option<&ReplyRecorded> {
        self.replies
            .iter()
            .rev()
            .map(|(_, reply)| reply)
            .find(|reply| !reply.is_error)
    }

    /// A clock that was set back does not make it older.
    fn was_active(&mut self, at: AtMs) {
        self.last_activity = self.last_activity.max(at);
    }

    /// Returns what all its tasks cost, in millionths of a US dollar.
    pub fn cost_microusd(&self) -> u64 {
        self.replies
            .iter()
            .map(|(_, reply)| reply.cost_microusd)
            .sum()
    }
}

/// All conversations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversations {
    by_id: BTreeMap<ConversationId, Conversation>,
    /// For each repository, `<kind> <key>` to conversation: two repositories may be written to in one
    /// thread, or by one mail.
    threads: BTreeMap<RepoId, BTreeMap<String, ConversationId>>,
    /// Those that are being forgotten.
    forgetting: BTreeMap<ConversationId, Forgetting>,
    /// Those that are forgotten.
    forgotten: BTreeSet<ConversationId>,
}

impl Conversations {
    /// Returns a conversation.
    pub fn get(&self, id: ConversationId) -> Option<&Conversation> {
        self.by_id.get(&id)
    }

    /// Returns all conversations by id.
    pub fn iter(&self) -> impl Iterator<Item = &Conversation> {
        self.by_id.values()
    }

    /// Returns the conversation of a repository that a channel's thread belongs to.
    pub fn by_thread(
        &self,
        repo: &RepoId,
        channel: ChannelKind,
        key: &str,
    ) -> Option<ConversationId> {
        let threads = self.threads.get(repo)?;
        threads.get(&thread_key(channel, key)).copied()
    }

    /// Returns the conversations that are being forgotten, by id.
    pub fn forgetting(&self) -> impl Iterator<Item = &Forgetting> {
        self.forgetting.values()
    }

    /// Returns whether a conversation is forgotten, or is being so: it cannot be continued.
    pub fn is_forgotten(&self, id: ConversationId) -> bool {
        self.forgotten.contains(&id) || self.forgetting.contains_key(&id)
    }

    /// Returns the forgotten conversation that one of these messages wanted to continue.
    pub fn forgotten_of<'a>(
        &self,
        mut messages: impl Iterator<Item = &'a MessageParsed>,
    ) -> Option<ConversationId> {
        messages.find_map(|message| {
            message
                .conversation_hint
                .filter(|id| self.is_forgotten(*id))
        })
    }

    /// Returns the conversation of a repository that one of these messages wanted to continue, if it
    /// is another than the one they are in: their senders take no part in it.
    pub fn foreign_of<'a>(
        &self,
        own: ConversationId,
        repo: &RepoId,
        mut messages: impl Iterator<Item = &'a MessageParsed>,
    ) -> Option<ConversationId> {
        messages.find_map(|message| {
            let named = message.conversation_hint.filter(|named| *named != own)?;
            self.get(named).filter(|named| named.repo == *repo)?;
            Some(named)
        })
    }

    fn forget(&mut self, id: ConversationId) {
        let Some(conversation) = self.by_id.remove(&id) else {
            return;
        };
        let forgetting = Forgetting {
            id,
            repo: conversation.repo,
            messages: conversation.messages,
            tasks: conversation.tasks,
            deliveries: conversation.deliveries,
            runs: conversation.runs,
        };
        self.forgetting.insert(id, forgetting);
    }

    fn apply_to(&mut self, id: ConversationId, change: impl FnOnce(&mut Conversation)) {
        if let Some(conversation) = self.by_id.get_mut(&id) {
            change(conversation);
        }
    }
}

fn thread_key(channel: ChannelKind, key: &str) -> String {
    format!("{channel} {key}")
}

impl Projection for Conversations {
    const NAME: &'static str = "conversations";
    const CODE_VERSION: u32 = 4;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Conversation(event) => self.apply_own(recorded, event),
            Event::Message(MessageEvent::Routed(routed)) => {
                self.apply_to(routed.conversation, |conversation| {
                    conversation.messages.insert(routed.inbound);
                    conversation.tasks.insert(routed.task);
                    conversation.was_active(recorded.at);
                });
            }
            Event::Schedule(ScheduleEvent::Fired(fired)) => {
                self.apply_to(fired.conversation, |conversation| {
                    conversation.scheduled = true;
                });
            }
            Event::Delivery(DeliveryEvent::Requested(request)) => {
                self.apply_to(request.conversation, |conversation| {
                    conversation.deliveries.insert(request.delivery);
                    conversation.tasks.insert(request.task);
                    conversation.was_active(recorded.at);
                });
            }
            Event::Message(_)
            | Event::Delivery(_)
            | Event::Service(_)
            | Event::Schedule(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Task(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Proxy(_) => {}
        }
    }
}

impl Conversation {
    fn new(created: &ConversationCreated, at: AtMs) -> Self {
        Self {
            id: created.conversation,
            repo: created.repo.clone(),
            channel: created.channel,
            scheduled: false,
            owner: created.owner.clone(),
            participants: BTreeSet::from([created.owner.clone()]),
            invited: BTreeSet::new(),
            model: created.model.clone(),
            effort: created.effort.clone(),
            created_at: at,
            workspace: None,
            session: None,
            runs: Vec::new(),
            replies: Vec::new(),
            messages: BTreeSet::new(),
            tasks: BTreeSet::new(),
            deliveries: BTreeSet::new(),
            last_activity: at,
        }
    }
}

impl Conversations {
    fn apply_own(&mut self, recorded: &Recorded, event: &ConversationEvent) {
        match event {
            ConversationEvent::Created(created) => {
                let conversation = Conversation::new(created, recorded.at);
                self.by_id.insert(created.conversation, conversation);
            }
            ConversationEvent::ParticipantJoined(joined) => {
                self.apply_to(joined.conversation, |conversation| {
                    conversation.participants.insert(joined.identity.clone());
                });
            }
            ConversationEvent::ParticipantInvited(invited) => {
                self.apply_to(invited.conversation, |conversation| {
                    conversation.invited.insert(invited.identity.clone());
                });
            }
            ConversationEvent::ThreadLinked(linked) => {
                let conversation = self.by_id.get(&linked.conversation);
                if let Some(repo) = conversation.map(|conversation| conversation.repo.clone()) {
                    let key = thread_key(linked.channel, &linked.key);
                    let threads = self.threads.entry(repo).or_default();
                    threads.insert(key, linked.conversation);
                }
            }
            ConversationEvent::WorkspaceCloned(cloned) => {
                self.apply_to(cloned.conversation, |conversation| {
                    conversation.workspace = Some(cloned.clone());
                });
            }
            ConversationEvent::SessionAbandoned(abandoned) => {
                self.apply_to(abandoned.conversation, |conversation| {
                    conversation
                        .session
                        .take_if(|session| *session == abandoned.session);
                });
            }
            ConversationEvent::ReplyRecorded(reply) => {
                self.apply_to(reply.conversation, |conversation| {
                    if reply.session.is_some() {
                        conversation.session.clone_from(&reply.session);
                    }
                    conversation.replies.push((recorded.at, reply.clone()));
                    conversation.was_active(recorded.at);
                });
            }
            ConversationEvent::PromptComposed(composed) => {
                self.apply_to(composed.conversation, |conversation| {
                    conversation.runs.push(composed.run);
                });
            }
            ConversationEvent::ForgetRequested(asked) => self.forget(asked.conversation),
            ConversationEvent::Forgotten(forgotten) => {
                self.forgetting.remove(&forgotten.conversation);
                self.forgotten.insert(forgotten.conversation);
            }
            ConversationEvent::ModelChosen(chosen) => {
                self.apply_to(chosen.conversation, |conversation| {
                    conversation.model.clone_from(&chosen.model);
                });
            }
            ConversationEvent::WorkspaceCloneFailed(_) => {}
        }
    }
}
