//! What becomes of a judged message: a task of a conversation, or nothing but a record. Pure.

use crate::events::Event;
use crate::events::conversation::{ConversationCreated, ThreadLinked};
use crate::events::id::{
    Actor, AtMs, BlobRef, ChannelKind, ConversationId, InboundId, Position, RepoId, Sha256,
    StoredFile, StreamId,
};
use crate::events::log::{Context, Expected};
use crate::events::message::{
    ConversationJoinRefused, HintSource, MessageParsed, MessageReceived, MessageRejected,
    MessageRouted, RejectionReason, ReplyAddress, SenderAuthorized,
};
use crate::events::task::TaskQueued;
use crate::handlers::channels::Triaged;
use crate::handlers::intake::command::Given;
use crate::handlers::intake::participants::{
    Circle, Invitation, decide_inviting, decide_joining, may_take_part,
};
use crate::projections::conversations::{Conversation, Conversations};

/// What a repository gives its new conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// The model, unless the message asks for another.
    pub model: String,
    /// The effort.
    pub effort: Option<String>,
}

/// Events and what must be true of their streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The events, each with its stream.
    pub events: Vec<(StreamId, Event)>,
    /// Conditions of the append.
    pub expected: Vec<(StreamId, Expected)>,
    /// The conversation they belong to.
    pub conversation: Option<ConversationId>,
}

/// An accepted message with its bodies kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What it says.
    pub triaged: Triaged,
    /// Its text, kept.
    pub body: BlobRef,
    /// Its attachments, kept.
    pub attachments: Vec<StoredFile>,
    /// What its first line asks of Airut itself.
    pub command: Option<Given>,
}

/// Records that a message is not acted on.
pub fn decide_rejection(
    received: &MessageReceived,
    reason: RejectionReason,
    detail: String,
) -> Decision {
    let rejected = MessageRejected {
        inbound: received.inbound,
        reason,
        detail,
        claimed_sender: received.claimed_sender.clone(),
    };
    let stream = StreamId::inbound(received.inbound);
    Decision {
        events: vec![(stream, rejected.into())],
        ..Decision::default()
    }
}

/// Makes an accepted message a task of the conversation it continues, or of a new one.
pub fn decide_acceptance(
    conversations: &Conversations,
    received: &MessageReceived,
    accepted: Accepted,
    defaults: &Defaults,
) -> Decision {
    let continued = find_conversation(
        conversations,
        &received.repo,
        received.channel,
        &accepted.triaged,
    );
    let new = continued.is_none();
    let conversation = conversation_of(conversations, received, &accepted.triaged);
    let mut decision = Decision {
        conversation: Some(conversation),
        ..Decision::default()
    };
    let named = accepted.triaged.conversation_hint.clone();
    let foreign = find_foreign(conversations, received, &accepted.triaged).filter(|_| new);
    let hint = continued
        .or_else(|| foreign.clone())
        .or(named)
        .or_else(|| find_forgotten(conversations, received, &accepted.triaged));
    decide_reading(&mut decision, received, &accepted, hint);
    if let Some((named, _)) = foreign {
        let refused = ConversationJoinRefused {
            inbound: received.inbound,
            named,
            identity: accepted.triaged.identity.clone(),
        };
        let stream = StreamId::inbound(received.inbound);
        decision.events.push((stream, refused.into()));
    }
    if new {
        decide_creation(&mut decision, received, conversation, &accepted, defaults);
    }
    let known = conversations.get(conversation).filter(|_| !new);
    decide_people(&mut decision, known, conversation, received, &accepted);
    decide_linking(&mut decision, conversations, received, &accepted);
    decide_queueing(&mut decision, received, conversation, accepted);
    decision
}

/// Returns the conversation the message continues, or the id of the one that it begins.
pub fn conversation_of(
    conversations: &Conversations,
    received: &MessageReceived,
    triaged: &Triaged,
) -> ConversationId {
    let continued = find_conversation(conversations, &received.repo, received.channel, triaged);
    continued.map_or_else(
        || unused_id(conversations, received.inbound),
        |(conversation, _)| conversation,
    )
}

/// Returns the conversation the message continues: the one it names, else one its thread is linked
/// to, of the same repository and with its sender taking part (spec rows EML-18, EML-19).
pub fn find_conversation(
    conversations: &Conversations,
    repo: &RepoId,
    channel: ChannelKind,
    triaged: &Triaged,
) -> Option<(ConversationId, HintSource)> {
    let keys = thread_keys(&triaged.reply_to);
    let takes_part = |conversation: &Conversation| {
        may_take_part(conversation, channel, &triaged.identity)
            || has_its_mail(conversations, conversation, (repo, channel), &keys)
    };
    pointed_at(conversations, (repo, channel), triaged)
        .into_iter()
        .find(|(conversation, _)| takes_part(conversation))
        .map(|(conversation, source)| (conversation.id, source))
}

/// Returns whether the message answers a mail of a schedule: whoever has one may take part, since it
/// may have gone to many. It is known by its `Message-ID`, which nobody can guess as they could a tag.
fn has_its_mail(
    conversations: &Conversations,
    conversation: &Conversation,
    (repo, channel): (&RepoId, ChannelKind),
    keys: &[String],
) -> bool {
    let thread = |key: &String| conversations.by_thread(repo, channel, key);
    let leads_there = |key: &String| thread(key) == Some(conversation.id);
    conversation.scheduled && keys.iter().any(leads_there)
}

/// Returns the conversation that the message would continue if its sender took part in it.
fn find_foreign(
    conversations: &Conversations,
    received: &MessageReceived,
    triaged: &Triaged,
) -> Option<(ConversationId, HintSource)> {
    let of = (&received.repo, received.channel);
    pointed_at(conversations, of, triaged)
        .into_iter()
        .map(|(conversation, source)| (conversation.id, source))
        .next()
}

/// Returns the repository's conversations that the message points at: the one it names, then those
/// its thread is linked to, newest first.
fn pointed_at<'a>(
    conversations: &'a Conversations,
    (repo, channel): (&RepoId, ChannelKind),
    triaged: &Triaged,
) -> Vec<(&'a Conversation, HintSource)> {
    let keys = thread_keys(&triaged.reply_to);
    let linked = keys.iter().rev();
    let linked = linked.filter_map(|key| conversations.by_thread(repo, channel, key));
    let linked = linked.map(|id| (id, HintSource::Thread));
    let all = triaged.conversation_hint.clone().into_iter().chain(linked);
    let known = all.filter_map(|(id, source)| Some((conversations.get(id)?, source)));
    known
        .filter(|(conversation, _)| conversation.repo == *repo)
        .collect()
}

/// Returns the forgotten conversation that the message's thread is linked to: the message begins a
/// new one, and its answer says so.
fn find_forgotten(
    conversations: &Conversations,
    received: &MessageReceived,
    triaged: &Triaged,
) -> Option<(ConversationId, HintSource)> {
    let (repo, channel) = (&received.repo, received.channel);
    let keys = thread_keys(&triaged.reply_to);
    let linked = keys.iter().rev();
    let mut linked = linked.filter_map(|key| conversations.by_thread(repo, channel, key));
    let forgotten = linked.find(|id| conversations.is_forgotten(*id));
    forgotten.map(|id| (id, HintSource::Thread))
}

/// Returns the names under which a channel knows the threads this message stands in.
fn thread_keys(reply_to: &ReplyAddress) -> Vec<String> {
    match reply_to {
        ReplyAddress::Email { references, .. } => references.clone(),
        ReplyAddress::Local => vec![],
        ReplyAddress::Slack {
            channel, thread, ..
        } => vec![format!("{channel}:{thread}")],
    }
}

/// Returns the name under which a later message may refer to this one.
fn own_thread_key(reply_to: &ReplyAddress) -> Option<String> {
    match reply_to {
        ReplyAddress::Email { message_id, .. } => {
            (!message_id.is_empty()).then(|| message_id.clone())
        }
        ReplyAddress::Local => None,
        ReplyAddress::Slack {
            channel, thread, ..
        } => Some(format!("{channel}:{thread}")),
    }
}

/// Derives a conversation's id from its first message; a number is added until none has it.
pub fn unused_id(conversations: &Conversations, inbound: InboundId) -> ConversationId {
    let id = |counter: u32| {
        let digest = Sha256::of_parts(&[&inbound.0, &counter.to_be_bytes()]).0;
        ConversationId(u32::from_be_bytes([
            digest[0], digest[1], digest[2], digest[3],
        ]))
    };
    (0..)
        .map(id)
        .find(|id| conversations.get(*id).is_none() && !conversations.is_forgotten(*id))
        .expect("fewer conversations than ids, or memory would have run out")
}

fn decide_reading(
    decision: &mut Decision,
    received: &MessageReceived,
    accepted: &Accepted,
    hint: Option<(ConversationId, HintSource)>,
) {
    let triaged = &accepted.triaged;
    let inbound = received.inbound;
    let authorized = SenderAuthorized {
        inbound,
        method: triaged.method.clone(),
        identity: triaged.identity.clone(),
        evidence: triaged.evidence.clone(),
        rule: triaged.rule.clone(),
    };
    let parsed = MessageParsed {
        inbound,
        body: accepted.body.clone(),
        subject: triaged.subject.clone(),
        conversation_hint: hint.as_ref().map(|(conversation, _)| *conversation),
        hint_source: hint.map(|(_, source)| source),
        model_hint: triaged.model_hint.clone(),
        attachments: accepted.attachments.clone(),
        reply_to: triaged.reply_to.clone(),
    };
    let stream = StreamId::inbound(inbound);
    decision.events.push((stream.clone(), authorized.into()));
    decision.events.push((stream, parsed.into()));
}

fn decide_creation(
    decision: &mut Decision,
    received: &MessageReceived,
    conversation: ConversationId,
    accepted: &Accepted,
    defaults: &Defaults,
) {
    let triaged = &accepted.triaged;
    let model = triaged.model_hint.as_ref().unwrap_or(&defaults.model);
    let created = ConversationCreated {
        conversation,
        repo: received.repo.clone(),
        channel: received.channel,
        owner: triaged.identity.clone(),
        model: model.clone(),
        effort: defaults.effort.clone(),
    };
    let stream = StreamId::conversation(conversation);
    decision.expected.push((stream.clone(), Expected::NoStream));
    decision.events.push((stream, created.into()));
}

/// Lets the sender join, and whom the owner writes to besides.
fn decide_people(
    decision: &mut Decision,
    known: Option<&Conversation>,
    conversation: ConversationId,
    received: &MessageReceived,
    accepted: &Accepted,
) {
    let identity = &accepted.triaged.identity;
    let joined = known.and_then(|known| decide_joining(known, identity));
    let invitation = Invitation {
        by: identity,
        named: &accepted.triaged.invites,
        inbound: received.inbound,
    };
    let circle = known.map_or_else(|| Circle::begun(conversation, identity), Circle::of);
    let invited = decide_inviting(&circle, invitation);
    let stream = StreamId::conversation(conversation);
    let events = joined.into_iter().chain(invited);
    let events = events.map(|event| (stream.clone(), event));
    decision.events.extend(events);
}

fn decide_linking(
    decision: &mut Decision,
    conversations: &Conversations,
    received: &MessageReceived,
    accepted: &Accepted,
) {
    let (repo, channel) = (&received.repo, received.channel);
    let key = own_thread_key(&accepted.triaged.reply_to);
    // A thread whose conversation is forgotten leads to the new one from now on.
    let leads_on = |key: &String| {
        let linked = conversations.by_thread(repo, channel, key);
        linked.is_some_and(|id| !conversations.is_forgotten(id))
    };
    let new = key.filter(|key| !leads_on(key));
    if let (Some(key), Some(conversation)) = (new, decision.conversation) {
        let linked = ThreadLinked {
            conversation,
            channel,
            key,
        };
        let stream = StreamId::conversation(conversation);
        decision.events.push((stream, linked.into()));
    }
}

fn decide_queueing(
    decision: &mut Decision,
    received: &MessageReceived,
    conversation: ConversationId,
    accepted: Accepted,
) {
    let task = received.inbound.task();
    let routed = MessageRouted {
        inbound: received.inbound,
        conversation,
        new: !decision.expected.is_empty(),
        task,
    };
    let title = Some(accepted.triaged.subject).filter(|subject| !subject.is_empty());
    let queued = TaskQueued {
        task,
        inbound: received.inbound,
        repo: received.repo.clone(),
        conversation,
        sender: accepted.triaged.identity,
        sender_name: accepted.triaged.sender_name,
        title: title.unwrap_or_else(|| received.title.clone()),
    };
    let message = StreamId::inbound(received.inbound);
    decision.events.push((message, routed.into()));
    let stream = StreamId::task(task);
    decision.expected.push((stream.clone(), Expected::NoStream));
    decision.events.push((stream, queued.into()));
}

/// The circumstances of a verdict on a message.
pub fn judged_context(
    received: &MessageReceived,
    causation: Option<Position>,
    conversation: Option<ConversationId>,
    now: AtMs,
) -> Context {
    let conversation = conversation.map(|conversation| conversation.to_string());
    Context {
        actor: Actor::Channel(received.repo.clone(), received.channel),
        causation,
        correlation: conversation.unwrap_or_default(),
        ..Context::system(now)
    }
}
