//! What an agent reads of what was written in Slack: words, names, files, and what was said before.

use serde_json::json;

use crate::rig::{Rig, message, reply};
use crate::rules::{ALICE, GENERAL};

const BOB: &str = "U0BOB00001";

#[test]
fn slk_13_a_thread_that_airut_is_called_into_is_replayed_once() {
    let rig = Rig::new();
    let running = rig.start();
    let (_, root) = rig.says(&message(BOB, Some(GENERAL), "The mast creaks."));
    rig.says(&reply(ALICE, GENERAL, &root, "Since when, <@U0BOB00001>?"));
    rig.says(&reply(BOB, GENERAL, &root, "<@U0HERALD01> Look at it."));
    let answers = rig.answered(GENERAL, &root, 1);
    // The agent reads Bob's name; whoever reads its answer sees him mentioned again.
    let before = "[Bob Example]: The mast creaks.\n[alice]: Since when, <@U0BOB00001>?";
    assert!(answers[0].contains(before), "{}", answers[0]);
    assert!(answers[0].contains("Look at it."), "{}", answers[0]);
    rig.says(&reply(ALICE, GENERAL, &root, "And at the boom."));
    let answers = rig.answered(GENERAL, &root, 2);
    assert!(!answers[1].contains("creaks"), "{}", answers[1]);
    assert_eq!(running.count("MessageReceived"), 2);
}

#[test]
fn gap_07_two_quick_messages_in_a_new_thread_are_one_conversation() {
    let rig = Rig::new();
    let running = rig.start();
    rig.hand.act("events/hold", &json!({}));
    let asked = message(ALICE, Some(GENERAL), "<@U0HERALD01> Mend the nets.");
    let (_, ts) = rig.says(&asked);
    rig.says(&reply(ALICE, GENERAL, &ts, "The blue ones."));
    rig.hand.act("events/release", &json!({}));
    running.until_recorded("MessageRouted", 2);
    let answers = rig.answered(GENERAL, &ts, 1);
    assert!(answers[0].contains("Mend the nets."), "{answers:?}");
    assert_eq!(running.count("ConversationCreated"), 1);
}

#[test]
fn slk_26_a_bare_mention_is_accepted_and_slk_27_its_sender_named() {
    let rig = Rig::new();
    let _running = rig.start();
    let (_, ts) = rig.says(&message(ALICE, Some(GENERAL), "<@U0HERALD01>"));
    let answers = rig.answered(GENERAL, &ts, 1);
    assert!(answers[0].contains("without further words"), "{answers:?}");
    assert!(answers[0].contains("alice"), "{answers:?}");
}

#[test]
fn slk_23_files_reach_the_agent_and_a_missing_one_is_told() {
    let rig = Rig::new();
    let _running = rig.start();
    let broken = json!({ "method": "download", "skip": 1, "kind": "status", "status": 404 });
    rig.hand.act("faults", &broken);
    let files = json!([
        { "name": "ropes.txt", "text": "seven ropes" },
        { "name": "nets.txt", "text": "nine nets" },
    ]);
    let asked = json!({ "user": ALICE, "text": "Count them.", "files": files });
    let (channel, ts) = rig.says(&asked);
    let answers = rig.answered(&channel, &ts, 1);
    assert!(
        answers[0].contains("file ropes.txt: seven ropes"),
        "{}",
        answers[0]
    );
    assert!(
        answers[0].contains("nets.txt: Slack answered with 404"),
        "{}",
        answers[0]
    );
}

#[test]
fn slk_03_whoever_opens_a_thread_with_the_assistant_is_greeted_once() {
    let rig = Rig::new();
    let running = rig.start();
    let opened = rig.hand.act("assistant", &json!({ "user": ALICE }));
    let channel = opened["channel"].as_str().unwrap();
    let thread = opened["thread_ts"].as_str().unwrap();
    let seen = rig.hand.until("threads", |seen| {
        let one = &seen["threads"][0];
        (!one["prompts"].is_null()).then(|| one.clone())
    });
    assert_eq!(seen["statuses"][0], "is getting ready...");
    let deliveries = rig.hand.look("deliveries");
    let started = deliveries["deliveries"].as_array().unwrap();
    let mut started = started.iter();
    let started = started.find(|one| one["type"] == "assistant_thread_started");
    let event = started.unwrap()["event_id"].clone();
    rig.hand.act("events/again", &json!({ "event_id": event }));
    rig.says(&reply(ALICE, channel, thread, "Count the ropes."));
    rig.answered(channel, thread, 1);
    let said = rig.hand.look(&format!("channel?id={channel}"));
    let said = said["messages"].as_array().unwrap();
    let greetings = said
        .iter()
        .filter(|one| one["text"] == "Hello! How can I help you today?");
    assert_eq!(greetings.count(), 1);
    assert_eq!(running.count("SlackThreadGreeted"), 1);
}
