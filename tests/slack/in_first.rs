//! What is written to Airut in Slack is answered in Slack: the surfaces, and how it is heard.

use airut::events::Event;
use airut::events::event::ChannelEvent;
use serde_json::json;

use crate::rig::{Rig, message, reply};
use crate::rules::{ALICE, GENERAL};

/// A member beside Alice.
const BOB: &str = "U0BOB00001";

#[test]
fn slk_01_a_direct_message_is_answered_in_its_thread() {
    let rig = Rig::new();
    let running = rig.start();
    let (channel, ts) = rig.says(&message(ALICE, None, "Count the ropes."));
    let answers = rig.answered(&channel, &ts, 1);
    assert!(answers[0].contains("Count the ropes."), "{answers:?}");
    assert!(answers[0].contains("alice"), "{answers:?}");
    assert_eq!(running.count("MessageReceived"), 1);
    running.stop();
    assert_eq!(rig.hand.look("sockets")["connections"], 0);
}

#[test]
fn slk_04_a_mention_is_answered_in_its_thread_and_the_thread_then_sticks() {
    let rig = Rig::new();
    let running = rig.start();
    rig.says(&message(BOB, Some(GENERAL), "Nobody is asked."));
    let (_, ts) = rig.says(&message(
        ALICE,
        Some(GENERAL),
        "<@U0HERALD01> Mend the nets.",
    ));
    let answers = rig.answered(GENERAL, &ts, 1);
    assert!(answers[0].contains("Mend the nets."), "{answers:?}");
    assert!(!answers[0].contains("U0HERALD01"), "{answers:?}");
    rig.says(&reply(BOB, GENERAL, &ts, "And the sails."));
    let answers = rig.answered(GENERAL, &ts, 2);
    assert!(answers[1].contains("And the sails."), "{answers:?}");
    assert_eq!(running.count("MessageReceived"), 2);
    assert_eq!(running.count("ConversationCreated"), 1);
}

#[test]
fn slk_29_a_lost_connection_is_seen_and_made_again() {
    let rig = Rig::new();
    let running = rig.start();
    running.until_recorded("ChannelCaughtUp", 1);
    rig.hand.act("sockets/drop", &json!({}));
    running.until_recorded("ChannelConnected", 2);
    let degraded = running.events().into_iter().find_map(|event| match event {
        Event::Channel(ChannelEvent::Degraded(degraded)) => Some(degraded.error),
        _ => None,
    });
    let degraded = degraded.unwrap();
    assert!(degraded.contains("was lost"), "{degraded}");
    let (channel, ts) = rig.says(&message(ALICE, None, "Are you there?"));
    rig.answered(&channel, &ts, 1);
}
