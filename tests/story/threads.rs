//! Two repositories that are written to in one thread: each has its own conversation there, however
//! often they take turns.

use airut::events::event::ConversationEvent;
use airut::events::id::{
    Actor, AtMs, BlobRef, ChannelKind, ConversationId, InboundId, Position, RepoId, Sha256,
    StreamVersion,
};
use airut::events::message::{AuthenticationMethod, MessageReceived, MessageSource, ReplyAddress};
use airut::events::{Event, Recorded};
use airut::handlers::channels::Triaged;
use airut::handlers::intake::decide::{Accepted, Defaults, decide_acceptance};
use airut::projections::Projection as _;
use airut::projections::conversations::Conversations;

fn body() -> BlobRef {
    BlobRef {
        sha256: Sha256::of(b""),
        bytes: 0,
        media_type: "text/plain".to_owned(),
    }
}

fn received(repo: &str, ts: &str) -> MessageReceived {
    MessageReceived {
        inbound: InboundId::from_dedupe_key(&format!("{repo} {ts}")),
        repo: RepoId(repo.to_owned()),
        channel: ChannelKind::Slack,
        source: MessageSource::Slack {
            event_id: String::new(),
            channel: "C1".to_owned(),
            ts: ts.to_owned(),
            thread: "1.000100".to_owned(),
        },
        dedupe_key: format!("{repo} {ts}"),
        raw: body(),
        claimed_sender: "U1".to_owned(),
        title: String::new(),
    }
}

fn accepted(ts: &str) -> Accepted {
    Accepted {
        triaged: Triaged {
            method: AuthenticationMethod::Slack,
            identity: "U1".to_owned(),
            sender_name: String::new(),
            evidence: String::new(),
            rule: String::new(),
            body: "Fix it".to_owned(),
            subject: String::new(),
            conversation_hint: None,
            invites: vec![],
            model_hint: None,
            attachments: vec![],
            reply_to: ReplyAddress::Slack {
                channel: "C1".to_owned(),
                thread: "1.000100".to_owned(),
                message: ts.to_owned(),
            },
        },
        body: body(),
        attachments: vec![],
        command: None,
    }
}

/// Takes a message of the thread in, and returns its conversation and whether that is new.
fn take_in(conversations: &mut Conversations, repo: &str, ts: &str) -> (ConversationId, bool) {
    let defaults = Defaults {
        model: "opus".to_owned(),
        effort: None,
    };
    let decision = decide_acceptance(conversations, &received(repo, ts), accepted(ts), &defaults);
    let is_creation =
        |event: &Event| matches!(event, Event::Conversation(ConversationEvent::Created(_)));
    let is_new = decision.events.iter().any(|(_, event)| is_creation(event));
    for (index, (stream, event)) in (1..).zip(decision.events) {
        conversations.apply(&Recorded {
            position: Position(index),
            stream,
            stream_version: StreamVersion(1),
            at: AtMs(1),
            actor: Actor::System,
            causation: None,
            correlation: String::new(),
            event,
        });
    }
    (decision.conversation.unwrap(), is_new)
}

#[test]
fn two_repositories_in_one_thread_have_a_conversation_each() {
    let mut conversations = Conversations::default();
    let (first, is_new) = take_in(&mut conversations, "work", "1.000100");
    assert!(is_new);
    let (second, is_new) = take_in(&mut conversations, "other", "2.000100");
    assert!(is_new && second != first);
    for round in 3..6 {
        let ts = format!("{round}.000100");
        assert_eq!(take_in(&mut conversations, "work", &ts), (first, false));
        assert_eq!(take_in(&mut conversations, "other", &ts), (second, false));
    }
}
