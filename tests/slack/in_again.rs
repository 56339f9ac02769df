//! What Slack tells more than once is answered once, and what it tells while nobody listens is found.

use airut::events::Event;
use airut::events::channel::ChannelCaughtUp;
use airut::events::event::ChannelEvent;
use serde_json::{Value, json};

use crate::rig::{Rig, Running, message, reply};
use crate::rules::{ALICE, GENERAL};

const BOB: &str = "U0BOB00001";

/// Waits until every envelope has its acknowledgement, or is given up.
#[track_caller]
fn settled(rig: &Rig) {
    rig.hand.until("deliveries", |seen| {
        let deliveries = seen["deliveries"].as_array().unwrap();
        let waits = |delivery: &Value| delivery["state"] == "waiting";
        (!deliveries.iter().any(waits)).then_some(())
    });
}

fn caught_up(running: &Running<'_>) -> Vec<ChannelCaughtUp> {
    let events = running.events().into_iter();
    let caught_up = events.filter_map(|event| match event {
        Event::Channel(ChannelEvent::CaughtUp(caught_up)) => Some(caught_up),
        _ => None,
    });
    caught_up.collect()
}

#[test]
fn slk_07_a_mention_that_is_also_a_message_and_comes_again_is_answered_once() {
    let rig = Rig::new();
    let running = rig.start();
    rig.hand.act("acks/swallow", &json!({ "count": 2 }));
    let asked = message(ALICE, Some(GENERAL), "<@U0HERALD01> Mend the nets.");
    let (_, ts) = rig.says(&asked);
    rig.answered(GENERAL, &ts, 1);
    settled(&rig);
    let deliveries = rig.hand.look("deliveries");
    let first = deliveries["deliveries"][0]["event_id"].clone();
    rig.hand.act("events/again", &json!({ "event_id": first }));
    settled(&rig);
    rig.says(&reply(ALICE, GENERAL, &ts, "And the sails."));
    assert_eq!(rig.answered(GENERAL, &ts, 2).len(), 2);
    assert_eq!(running.count("MessageReceived"), 2);
    assert!(running.count("MessageDuplicateIgnored") >= 1);
    assert_eq!(running.count("TaskQueued"), 2);
}

#[test]
fn a_message_that_was_kept_but_not_acknowledged_is_known_after_a_restart() {
    let rig = Rig::new();
    let running = rig.start();
    rig.hand
        .act("settings", &json!({ "retry_delays_ms": [4_000] }));
    rig.hand.act("acks/swallow", &json!({ "count": 1 }));
    let (channel, ts) = rig.says(&message(ALICE, None, "Count the ropes."));
    rig.answered(&channel, &ts, 1);
    running.stop();
    let running = rig.start();
    settled(&rig);
    assert_eq!(running.count("MessageReceived"), 1);
    assert_eq!(rig.answers(&channel, &ts).len(), 1);
}

#[test]
fn slk_29_a_connection_that_slack_renews_is_followed_by_another_without_a_gap() {
    let rig = Rig::new();
    let running = rig.start();
    rig.hand
        .act("sockets/disconnect", &json!({ "reason": "warning" }));
    let two = |seen: &Value| (seen["connections"] == 2).then_some(());
    rig.hand.until("sockets", two);
    let renewed = json!({ "reason": "refresh_requested", "close": true });
    let (channel, ts) = rig.says(&message(ALICE, None, "Are you there?"));
    rig.answered(&channel, &ts, 1);
    rig.hand.act("sockets/disconnect", &renewed);
    let (_, ts) = rig.says(&message(ALICE, None, "And now?"));
    rig.answered(&channel, &ts, 1);
    let lost = running.count("ChannelDegraded");
    assert!(lost <= 1, "both at once were told to go: {lost}");
    assert_eq!(running.count("MessageReceived"), 2);
}

#[test]
fn slk_29_a_revoked_token_is_told_and_tried_on() {
    let rig = Rig::new();
    let revoked = json!({ "method": "auth.test", "kind": "error", "error": "token_revoked" });
    rig.hand.act("faults", &revoked);
    let running = rig.start();
    let told = running.events().into_iter().find_map(|event| match event {
        Event::Channel(ChannelEvent::Degraded(degraded)) => Some(degraded.error),
        _ => None,
    });
    let told = told.unwrap();
    assert!(
        told.contains("token_revoked") && told.contains("valid token"),
        "{told}"
    );
    let (channel, ts) = rig.says(&message(ALICE, None, "Are you there?"));
    rig.answered(&channel, &ts, 1);
}

#[test]
fn what_was_written_while_the_daemon_was_down_is_answered_once_and_the_rest_leaves_no_trace() {
    let rig = Rig::new();
    let running = rig.start();
    let (direct, _) = rig.says(&message(ALICE, None, "Count the ropes."));
    let asked = message(ALICE, Some(GENERAL), "<@U0HERALD01> Mend the nets.");
    let (_, nets) = rig.says(&asked);
    rig.answered(GENERAL, &nets, 1);
    running.until_recorded("ReplyRecorded", 2);
    running.stop();

    rig.hand.act("events/lose", &json!({ "on": true }));
    let (_, anchors) = rig.says(&message(ALICE, None, "Count the anchors."));
    rig.says(&reply(BOB, GENERAL, &nets, "And the sails."));
    let asked = message(BOB, Some(GENERAL), "<@U0HERALD01> Paint the hull.");
    let (_, hull) = rig.says(&asked);
    rig.says(&reply(ALICE, GENERAL, &hull, "Red, please."));
    rig.says(&message(BOB, Some(GENERAL), "Nobody is asked."));
    rig.hand.act("events/lose", &json!({ "on": false }));

    let running = rig.start();
    rig.answered(&direct, &anchors, 1);
    rig.answered(GENERAL, &nets, 2);
    running.until_recorded("ChannelCaughtUp", 2);
    running.until_recorded("TaskQueued", 6);
    let last = caught_up(&running).pop().unwrap();
    assert_eq!((last.found, last.beyond.len()), (4, 0), "{last:?}");
    running.stop();

    // What was found is not found again.
    let running = rig.start();
    running.until_recorded("ChannelCaughtUp", 3);
    assert_eq!(caught_up(&running).pop().unwrap().found, 0);
    assert_eq!(running.count("MessageReceived"), 6);
    assert_eq!(running.count("ConversationCreated"), 4);
}

#[test]
fn what_cannot_be_looked_for_now_is_looked_for_later() {
    let rig = Rig::new();
    let running = rig.start();
    let (direct, ts) = rig.says(&message(ALICE, None, "Count the ropes."));
    rig.answered(&direct, &ts, 1);
    running.stop();
    rig.hand.act("events/lose", &json!({ "on": true }));
    let (_, anchors) = rig.says(&message(ALICE, None, "Count the anchors."));
    let broken = json!({ "method": "conversations.history", "kind": "status", "status": 503 });
    rig.hand.act("faults", &broken);
    let running = rig.start();
    rig.answered(&direct, &anchors, 1);
    running.until_recorded("ChannelCaughtUp", 2);
}
