//! What stands beside an answer (spec rows SLK-16, SLK-17, SLK-24, SLK-25): marks at the messages that
//! are answered, a direct message's title, and the buttons of an acknowledgement.

use airut::events::delivery::{AnswerTone, DeliveryKind, DeliveryTarget};
use airut::handlers::channels::OutboundMessage;
use serde_json::{Value, json};

use super::{Ground, answer, target};
use crate::rules::{ALICE, GENERAL};

fn toned(mut message: OutboundMessage, of: AnswerTone) -> OutboundMessage {
    if let DeliveryTarget::Slack { tone, .. } = &mut message.target {
        *tone = of;
    }
    message
}

#[tokio::test]
async fn the_mark_of_every_answered_message_tells_how_it_went() {
    for (tone, mark) in [
        (AnswerTone::Good, "white_check_mark"),
        (AnswerTone::Failed, "x"),
        (AnswerTone::Broken, "x"),
    ] {
        let (ground, thread) = Ground::with_thread();
        let second = ground.says(ALICE, GENERAL, "And test it", Some(&thread));
        let other = ground.says(ALICE, GENERAL, "Thanks", Some(&thread));
        for ts in [&thread, &second, &other] {
            let seen = json!({"user": "U0HERALD01", "channel": GENERAL, "ts": ts, "name": "eyes"});
            ground.hand.act("react", &seen);
        }
        let mut message = toned(answer(&thread, "Done."), tone);
        if let DeliveryTarget::Slack { answered, .. } = &mut message.target {
            answered.push(second.clone());
        }
        ground.sends(message.clone()).await;
        // A mark that is set again is set all the same.
        assert!(ground.finds(message).await);
        assert_eq!(ground.reactions(GENERAL, &thread), [mark]);
        assert_eq!(ground.reactions(GENERAL, &second), [mark]);
        assert_eq!(ground.reactions(GENERAL, &other), ["eyes"]);
    }
}

#[tokio::test]
async fn marks_that_cannot_be_set_hold_no_answer_up() {
    let (ground, thread) = Ground::with_thread();
    let refused = json!({"kind": "error", "error": "missing_scope", "times": 9});
    ground.breaks("reactions.add", refused.clone());
    ground.breaks("reactions.remove", refused);
    ground.sends(answer(&thread, "Done.")).await;
    assert_eq!(ground.texts(&thread), ["Done."]);
    assert!(ground.reactions(GENERAL, &thread).is_empty());
}

#[tokio::test]
async fn a_failure_of_airut_s_own_says_that_an_error_occurred() {
    let (ground, thread) = Ground::with_thread();
    let body = "The repository could not be fetched: timed out.";
    ground
        .sends(toned(answer(&thread, body), AnswerTone::Broken))
        .await;
    let expected = format!("An error occurred: {body}");
    assert_eq!(ground.texts(&thread), [expected]);
}

#[tokio::test]
async fn a_direct_message_gets_a_title_and_no_marks() {
    let (ground, _) = Ground::with_thread();
    let opened = ground.hand.act("assistant", &json!({"user": ALICE}));
    let channel = opened["channel"].as_str().unwrap();
    let thread = opened["thread_ts"].as_str().unwrap();
    let asked = ground.says(ALICE, channel, "Fix it\nnow", Some(thread));
    let mut message = answer(thread, "Done.");
    message.target = target(channel, thread, &[&asked]);
    if let DeliveryTarget::Slack { title, .. } = &mut message.target {
        "Fix it".clone_into(title);
    }
    ground.sends(message).await;
    assert!(ground.reactions(channel, &asked).is_empty());
    let threads = ground.hand.look("threads");
    assert_eq!(threads["threads"][0]["title"], "Fix it");
    assert_eq!(threads["threads"][0]["status"], "", "the composer is free");
}

#[tokio::test]
async fn an_acknowledgement_has_the_buttons_and_changes_no_marks() {
    let (ground, thread) = Ground::with_thread();
    let message = OutboundMessage {
        kind: DeliveryKind::Acknowledgement,
        ..answer(
            &thread,
            "I've started working on this and will reply shortly.",
        )
    };
    ground.sends(message.clone()).await;
    assert!(ground.finds(message).await);
    let posted = ground.answers(&thread).remove(0);
    let buttons = posted["blocks"][1]["elements"].as_array().unwrap();
    let shown = |button: &Value| (button["text"]["text"].clone(), button["value"].clone());
    let shown: Vec<_> = buttons.iter().map(shown).collect();
    let value = Value::from("000000ab");
    assert_eq!(
        shown,
        [("Stop".into(), value.clone()), ("Status".into(), value)]
    );
    assert!(ground.calls("reactions.add").is_empty());
    let pressed = json!({
        "user": ALICE, "channel": GENERAL, "ts": posted["ts"], "action_id": "airut_stop",
    });
    assert_eq!(ground.hand.act("press", &pressed)["value"], "000000ab");
}
