//! Stopping work and asking about it in Slack, by words and by buttons.

use serde_json::{Value, json};

use crate::agent::WAIT;
use crate::rig::{Rig, message, reply};
use crate::rules::{ALICE, GENERAL};

/// Asks for work that does not end by itself; returns its thread.
#[track_caller]
fn begun(rig: &Rig) -> String {
    let asked = format!("<@U0HERALD01> {WAIT}");
    let (_, ts) = rig.says(&message(ALICE, Some(GENERAL), &asked));
    ts
}

/// Waits for a message with a button, and presses it.
#[track_caller]
fn press(rig: &Rig, action: &str) {
    let ts = rig.hand.until(&format!("channel?id={GENERAL}"), |seen| {
        let messages = seen["messages"].as_array().unwrap();
        let has_it = |message: &&Value| message["blocks"].to_string().contains(action);
        let found = messages.iter().find(has_it)?;
        found["ts"].as_str().map(str::to_owned)
    });
    let press = json!({ "user": ALICE, "channel": GENERAL, "ts": ts, "action_id": action });
    rig.hand.act("press", &press);
}

#[test]
fn a_stop_by_words_ends_the_work_of_its_thread() {
    let rig = Rig::new();
    let running = rig.start();
    let thread = begun(&rig);
    running.until_recorded("ContainerStarted", 1);
    let stop = reply(ALICE, GENERAL, &thread, "<@U0HERALD01> /stop");
    rig.says(&stop);
    running.until_recorded("TaskStopRequested", 1);
    rig.answered(GENERAL, &thread, 1);
}

#[test]
fn a_pressed_button_is_the_command_that_it_stands_for_and_counts_once() {
    let rig = Rig::new();
    let running = rig.start();
    let thread = begun(&rig);
    running.until_recorded("ContainerStarted", 1);
    press(&rig, "airut_status");
    let answers = rig.answered(GENERAL, &thread, 1);
    assert!(answers[0].to_lowercase().contains("task"), "{answers:?}");
    press(&rig, "airut_stop");
    running.until_recorded("TaskStopRequested", 1);
    rig.answered(GENERAL, &thread, 2);
    assert_eq!(running.count("MessageReceived"), 3);
    assert_eq!(running.count("ConversationCreated"), 1);
}

#[test]
fn m4_a_button_pressed_by_somebody_without_permission_does_nothing_and_is_seen() {
    let rig = Rig::new();
    let running = rig.start();
    let thread = begun(&rig);
    running.until_recorded("ContainerStarted", 1);
    let ts = rig.hand.until(&format!("channel?id={GENERAL}"), |seen| {
        let messages = seen["messages"].as_array().unwrap();
        let has_it = |message: &&Value| message["blocks"].to_string().contains("airut_stop");
        messages.iter().find(has_it)?["ts"]
            .as_str()
            .map(str::to_owned)
    });
    let press = json!({
        "user": "U0GUEST001", "channel": GENERAL, "ts": ts, "action_id": "airut_stop",
    });
    rig.hand.act("press", &press);
    running.until_recorded("MessageRejected", 1);
    rig.agent.release();
    rig.answered(GENERAL, &thread, 1);
    assert_eq!(running.count("TaskStopRequested"), 0);
}
