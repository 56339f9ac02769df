//! Who takes part in a conversation: its owner, and whom the owner let in. Everybody else begins a
//! conversation of their own, however well they know its tag (decision 8). Pure; the rule of every
//! kind of channel stands here and nowhere else.

use std::collections::BTreeSet;

use crate::events::Event;
use crate::events::conversation::{ConversationParticipantInvited, ConversationParticipantJoined};
use crate::events::id::{ChannelKind, ConversationId, InboundId};
use crate::projections::conversations::Conversation;

/// Most people of one conversation, its owner included; whoever is named beyond that is not let in,
/// and begins a conversation of their own.
pub const PARTICIPANTS_MAX: usize = 100;

/// Returns whether a permitted sender reaches a conversation through a channel of this kind.
///
/// Mail and the local socket carry tags that anybody can write, so only the conversation's own
/// people count. A Slack thread is a place: whom the workspace lets into it takes part.
pub fn may_take_part(conversation: &Conversation, channel: ChannelKind, identity: &str) -> bool {
    let is_known =
        conversation.participants.contains(identity) || conversation.invited.contains(identity);
    match channel {
        ChannelKind::Email | ChannelKind::Local => is_known,
        ChannelKind::Slack => is_known || conversation.channel == ChannelKind::Slack,
    }
}

/// Records that a sender writes to a conversation for the first time.
pub fn decide_joining(conversation: &Conversation, identity: &str) -> Option<Event> {
    let is_new = !conversation.participants.contains(identity);
    let joined = || ConversationParticipantJoined {
        conversation: conversation.id,
        identity: identity.to_owned(),
    };
    is_new.then(|| joined().into())
}

/// A message that may let people in.
#[derive(Debug, Clone, Copy)]
pub struct Invitation<'a> {
    /// Who wrote it, verified.
    pub by: &'a str,
    /// Whom it names beside Airut.
    pub named: &'a [String],
    /// The message.
    pub inbound: InboundId,
}

/// The people of a conversation.
#[derive(Debug, Clone)]
pub struct Circle<'a> {
    conversation: ConversationId,
    owner: &'a str,
    known: BTreeSet<&'a str>,
}

impl<'a> Circle<'a> {
    /// Returns the people of a conversation that just begins.
    pub fn begun(conversation: ConversationId, owner: &'a str) -> Self {
        Self {
            conversation,
            owner,
            known: BTreeSet::from([owner]),
        }
    }

    /// Returns the people of a conversation.
    pub fn of(conversation: &'a Conversation) -> Self {
        let known = conversation.participants.union(&conversation.invited);
        Self {
            conversation: conversation.id,
            owner: &conversation.owner,
            known: known.map(String::as_str).collect(),
        }
    }
}

/// Records whom the owner's message lets in; a message of anybody else lets in nobody.
pub fn decide_inviting(circle: &Circle<'_>, invitation: Invitation<'_>) -> Vec<Event> {
    if invitation.by != circle.owner {
        return vec![];
    }
    let mut new: Vec<&str> = vec![];
    for identity in invitation.named.iter().map(String::as_str) {
        if !circle.known.contains(identity) && !new.contains(&identity) {
            new.push(identity);
        }
    }
    let room = PARTICIPANTS_MAX.saturating_sub(circle.known.len());
    let invited = |identity: &str| ConversationParticipantInvited {
        conversation: circle.conversation,
        identity: identity.to_owned(),
        by: invitation.by.to_owned(),
        inbound: invitation.inbound,
    };
    let new = new.into_iter().take(room);
    new.map(|identity| invited(identity).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::event::ConversationEvent;
    use crate::events::id::{AtMs, RepoId};

    fn of(channel: ChannelKind, others: &[&str], invited: &[&str]) -> Conversation {
        let set = |of: &[&str]| of.iter().map(|one| (*one).to_owned()).collect();
        let mut participants: BTreeSet<String> = set(others);
        participants.insert("alice".to_owned());
        Conversation {
            id: ConversationId(7),
            repo: RepoId("work".to_owned()),
            channel,
            scheduled: false,
            owner: "alice".to_owned(),
            participants,
            invited: set(invited),
            model: "opus".to_owned(),
            effort: None,
            created_at: AtMs(1),
            workspace: None,
            session: None,
            runs: vec![],
            replies: vec![],
            messages: BTreeSet::new(),
            tasks: BTreeSet::new(),
            deliveries: BTreeSet::new(),
            last_activity: AtMs(1),
        }
    }

    #[test]
    fn owner_and_invited_take_part_and_others_only_in_a_slack_thread() {
        let mail = of(ChannelKind::Email, &["bob"], &["carol"]);
        for (who, expected) in [
            ("alice", true),
            ("bob", true),
            ("carol", true),
            ("dave", false),
        ] {
            for through in [ChannelKind::Email, ChannelKind::Local, ChannelKind::Slack] {
                assert_eq!(may_take_part(&mail, through, who), expected, "{who}");
            }
        }
        let thread = of(ChannelKind::Slack, &[], &[]);
        assert!(may_take_part(&thread, ChannelKind::Slack, "dave"));
        assert!(!may_take_part(&thread, ChannelKind::Email, "dave"));
        assert!(!may_take_part(&thread, ChannelKind::Local, "dave"));
    }

    fn let_in(conversation: &Conversation, by: &str, named: &[String]) -> Vec<String> {
        let invitation = Invitation {
            by,
            named,
            inbound: InboundId([1; 16]),
        };
        let events = decide_inviting(&Circle::of(conversation), invitation).into_iter();
        let identity = |event| match event {
            Event::Conversation(ConversationEvent::ParticipantInvited(invited)) => invited.identity,
            other => panic!("{other:?}"),
        };
        events.map(identity).collect()
    }

    #[test]
    fn only_the_owner_lets_in_and_each_once() {
        let known = of(ChannelKind::Email, &["bob"], &["carol"]);
        let named = ["bob", "carol", "dave", "dave", "alice", "erin"].map(str::to_owned);
        assert_eq!(let_in(&known, "alice", &named), ["dave", "erin"]);
        assert!(let_in(&known, "bob", &named).is_empty());
    }

    #[test]
    fn people_beyond_the_limit_are_not_let_in() {
        let known = of(ChannelKind::Email, &[], &[]);
        let named = |count: usize| -> Vec<String> {
            let names = 0..count;
            names.map(|number| format!("guest{number}")).collect()
        };
        for (count, expected) in [
            (PARTICIPANTS_MAX - 2, PARTICIPANTS_MAX - 2),
            (PARTICIPANTS_MAX - 1, PARTICIPANTS_MAX - 1),
            (PARTICIPANTS_MAX, PARTICIPANTS_MAX - 1),
        ] {
            assert_eq!(let_in(&known, "alice", &named(count)).len(), expected);
        }
    }
}
