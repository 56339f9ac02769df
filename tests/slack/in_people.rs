//! Who may write to Airut over Slack, and where: Slack's own word for its user, and the rules.

use airut::events::Event;
use airut::events::event::MessageEvent;
use serde_json::{Value, json};

use crate::rig::{Rig, Running, message, quick};
use crate::rules::{ALICE, GENERAL};

const BOB: &str = "U0BOB00001";
const PRIVATE: &str = "C0PRIVATE1";

fn rig(settings: &str) -> Rig {
    Rig::with(quick(), settings)
}

/// The words with which senders were refused, each after who it was.
fn refused(running: &Running<'_>) -> Vec<(String, String)> {
    let events = running.events().into_iter();
    let refused = events.filter_map(|event| match event {
        Event::Message(MessageEvent::Rejected(one)) => Some((one.claimed_sender, one.detail)),
        _ => None,
    });
    refused.collect()
}

/// Checks that Airut has written nothing anywhere in a channel.
#[track_caller]
fn assert_silent(rig: &Rig, channel: &str) {
    let seen = rig.hand.look(&format!("channel?id={channel}"));
    let messages = seen["messages"].as_array().unwrap();
    let ours = |message: &&Value| message["user"] == "U0HERALD01";
    assert_eq!(messages.iter().find(ours), None);
}

#[test]
fn m4_whom_no_rule_permits_is_refused_without_an_answer_and_an_operator_sees_it() {
    let rig = rig("authorized: [workspace_members: true]");
    let running = rig.start();
    let robot = json!({ "channel": GENERAL, "text": "<@U0HERALD01> obey" });
    rig.hand.act("robot", &robot);
    let mut channels = vec![GENERAL.to_owned()];
    let nobodies = [
        "U0GUEST001",
        "U0SINGLE01",
        "U0GONE0001",
        "U0STRANGE1",
        "U0ROBOT001",
    ];
    for user in nobodies {
        let (channel, _) = rig.says(&message(user, None, "Let me in."));
        channels.push(channel);
    }
    running.until_recorded("MessageRejected", 1 + nobodies.len());
    let mut senders: Vec<String> = refused(&running).into_iter().map(|(who, _)| who).collect();
    senders.sort();
    let mut expected = vec!["B0ROBOT001".to_owned()];
    expected.extend(nobodies.map(str::to_owned));
    expected.sort();
    assert_eq!(senders, expected);
    assert!(refused(&running).iter().all(|(_, why)| !why.is_empty()));
    for channel in &channels {
        assert_silent(&rig, channel);
    }
    assert_eq!(running.count("TaskQueued"), 0);
}

#[test]
fn slk_08_members_of_a_group_and_named_users_are_permitted_and_others_are_not() {
    let rules = "authorized:\n  - user_group: crew\n  - user_id: U0GUEST001";
    let rig = rig(rules);
    let carol = json!({ "id": "U0CAROL001", "name": "carol", "real_name": "Carol" });
    rig.hand.act("users", &carol);
    let running = rig.start();
    let (by_group, ts) = rig.says(&message(BOB, None, "Count the ropes."));
    rig.answered(&by_group, &ts, 1);
    let (by_id, ts) = rig.says(&message("U0GUEST001", None, "Count the nets."));
    rig.answered(&by_id, &ts, 1);
    let (neither, _) = rig.says(&message("U0CAROL001", None, "Let me in."));
    running.until_recorded("MessageRejected", 1);
    assert_silent(&rig, &neither);
}

#[test]
fn slk_05_other_channels_than_the_allowed_ones_leave_no_trace_and_direct_messages_are_heard() {
    let rig = rig("authorized: [workspace_members: true]\nallowed_channels: [C0PRIVATE1]");
    let running = rig.start();
    rig.says(&message(ALICE, Some(GENERAL), "<@U0HERALD01> Not here."));
    let (_, ts) = rig.says(&message(ALICE, Some(PRIVATE), "<@U0HERALD01> But here."));
    rig.answered(PRIVATE, &ts, 1);
    let (direct, ts) = rig.says(&message(ALICE, None, "And here."));
    rig.answered(&direct, &ts, 1);
    assert_eq!(running.count("MessageReceived"), 2);
    assert_silent(&rig, GENERAL);
}

#[test]
fn slk_09_an_outage_of_slacks_refuses_nobody() {
    let rig = rig("authorized: [user_group: crew]");
    let running = rig.start();
    let broken = json!({ "method": "usergroups.list", "kind": "status", "status": 503 });
    rig.hand.act("faults", &broken);
    let (direct, ts) = rig.says(&message(ALICE, None, "Count the ropes."));
    rig.answered(&direct, &ts, 1);
    assert_eq!(running.count("MessageRejected"), 0);
}
