//! Who is let into a conversation, and what becomes of whoever is not (gap 31: whoever knew the id of a
//! conversation could go on with it).

use airut::events::Event;
use airut::events::event::{ConversationEvent, MessageEvent};
use airut::handlers::channels::OutboundMessage;

use crate::world::{Daemon, World, conversation_of};

const KEPT_OUT: &str = "a conversation that you are not part of";

/// A conversation that alice began and that lets in those whom she names.
async fn begun(world: &World, lets_in: &str) -> (Daemon, String) {
    let daemon = world.daemon().await;
    let first = daemon.receive("m1", "alice", lets_in, "First.");
    first.await.unwrap();
    daemon.until("TaskCompleted", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    (daemon, conversation)
}

fn body(reply: &OutboundMessage) -> &str {
    &reply.body
}

#[tokio::test]
async fn a_stranger_who_knows_the_tag_begins_a_conversation_of_their_own_and_is_told() {
    let world = World::new(&[]);
    let (daemon, conversation) = begun(&world, "").await;
    let second = daemon.receive("m2", "bob", &conversation, "Show me all of it.");
    second.await.unwrap();
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
    let events = world.events();
    assert_ne!(conversation_of(&events, "m2"), conversation);
    assert_eq!(world.count("ConversationParticipantJoined"), 0);
    let refused = events
        .iter()
        .find_map(|recorded| match &recorded.event {
            Event::Message(MessageEvent::JoinRefused(refused)) => Some(refused.clone()),
            _ => None,
        })
        .unwrap();
    assert_eq!(
        (refused.named.to_string(), refused.identity.as_str()),
        (conversation.clone(), "bob")
    );
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert!(!ran[1].argv.contains(&"--resume".to_owned()));
    let replies = world.channel.replies();
    let said = body(&replies[1]);
    assert!(
        said.contains(KEPT_OUT) && !said.contains(&conversation),
        "{said}"
    );
    assert!(!body(&replies[0]).contains(KEPT_OUT));
}

#[tokio::test]
async fn whom_the_owner_names_takes_part_from_then_on_and_the_log_says_by_whom() {
    let world = World::new(&[]);
    let (daemon, conversation) = begun(&world, "cc bob").await;
    let second = daemon.receive("m2", "bob", &conversation, "And this.");
    second.await.unwrap();
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
    let events = world.events();
    assert_eq!(conversation_of(&events, "m2"), conversation);
    let people: Vec<_> = events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::Conversation(ConversationEvent::ParticipantInvited(invited)) => Some(format!(
                "{} by {} in {}",
                invited.identity, invited.by, invited.inbound
            )),
            Event::Conversation(ConversationEvent::ParticipantJoined(joined)) => {
                Some(format!("{} joined", joined.identity))
            }
            _ => None,
        })
        .collect();
    let first = airut::events::id::InboundId::from_dedupe_key("m1");
    assert_eq!(
        people,
        [format!("bob by alice in {first}"), "bob joined".to_owned()]
    );
    assert_eq!(world.count("ConversationJoinRefused"), 0);
    assert!(!body(&world.channel.replies()[1]).contains(KEPT_OUT));
}
