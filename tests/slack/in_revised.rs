//! Messages that are edited or deleted in Slack before, and after, Airut has begun to work on them.

use serde_json::{Value, json};

use crate::agent::WAIT;
use crate::rig::{Rig, Running, message, reply};
use crate::rules::{ALICE, GENERAL};

/// Begins work that does not end by itself; what is written next in its thread waits.
#[track_caller]
fn busy<'a>(rig: &'a Rig) -> (Running<'a>, String) {
    let running = rig.start();
    let asked = format!("<@U0HERALD01> {WAIT}");
    let (_, thread) = rig.says(&message(ALICE, Some(GENERAL), &asked));
    running.until_recorded("ContainerStarted", 1);
    (running, thread)
}

#[track_caller]
fn edit(rig: &Rig, channel: &str, ts: &str, text: &str) {
    let edit = json!({ "user": ALICE, "channel": channel, "ts": ts, "text": text });
    rig.hand.act("edit", &edit);
}

#[track_caller]
fn delete(rig: &Rig, channel: &str, ts: &str) {
    let delete = json!({ "user": ALICE, "channel": channel, "ts": ts });
    rig.hand.act("delete", &delete);
}

#[test]
fn a_message_that_is_edited_while_it_waits_is_read_as_it_is_then() {
    let rig = Rig::new();
    let (running, thread) = busy(&rig);
    let (_, ts) = rig.says(&reply(ALICE, GENERAL, &thread, "Paint it red."));
    running.until_recorded("TaskQueued", 2);
    edit(&rig, GENERAL, &ts, "Paint it green.");
    edit(&rig, GENERAL, &ts, "Paint it blue, <@U0BOB00001>.");
    running.until_recorded("MessageRevised", 2);
    rig.agent.release();
    let answers = rig.answered(GENERAL, &thread, 2);
    assert!(answers[1].contains("Paint it blue"), "{}", answers[1]);
    assert!(
        !answers[1].contains("it red") && !answers[1].contains("it green"),
        "{}",
        answers[1]
    );
    assert!(running.count("TaskRevised") >= 1);
}

#[test]
fn a_message_that_is_deleted_while_it_waits_is_not_worked_on() {
    let rig = Rig::new();
    let (running, thread) = busy(&rig);
    let (_, ts) = rig.says(&reply(ALICE, GENERAL, &thread, "Paint it red."));
    rig.says(&reply(ALICE, GENERAL, &thread, "Scrub the deck."));
    running.until_recorded("TaskQueued", 3);
    delete(&rig, GENERAL, &ts);
    running.until_recorded("MessageRevised", 1);
    rig.agent.release();
    let answers = rig.answered(GENERAL, &thread, 3);
    let all = answers.join("\n");
    assert!(!all.contains("Paint it red."), "{all}");
    assert!(all.contains("deleted the message"), "{all}");
    assert!(all.contains("Scrub the deck."), "{all}");
}

#[test]
fn work_that_has_begun_goes_on_whatever_becomes_of_its_message() {
    let rig = Rig::new();
    let (running, thread) = busy(&rig);
    edit(&rig, GENERAL, &thread, "<@U0HERALD01> Something else.");
    delete(&rig, GENERAL, &thread);
    running.until_recorded("MessageRevised", 2);
    rig.agent.release();
    rig.hand.until(&format!("channel?id={GENERAL}"), |seen| {
        let messages = seen["messages"].as_array().unwrap();
        let has_it = |message: &&Value| message["text"].as_str().unwrap().contains(WAIT);
        messages.iter().find(has_it).map(|_| ())
    });
    assert_eq!(running.count("TaskStopRequested"), 0);
    assert_eq!(running.count("TaskRevised"), 0);
}

#[test]
fn what_slack_shows_of_a_link_is_no_edit() {
    let rig = Rig::new();
    let (running, thread) = busy(&rig);
    let asked = reply(ALICE, GENERAL, &thread, "See https://example.com/");
    let (_, ts) = rig.says(&asked);
    running.until_recorded("TaskQueued", 2);
    rig.hand
        .act("unfurl", &json!({ "channel": GENERAL, "ts": ts }));
    rig.agent.release();
    rig.answered(GENERAL, &thread, 2);
    assert_eq!(running.count("MessageRevised"), 0);
}
