//! What Slack does not take: too much at once is postponed, what may pass is tried again, and what
//! never will be is given up at once.

use airut::handlers::channels::{Channel as _, SendOutcome};
use serde_json::json;

use super::{Ground, again, answer, target};
use crate::rules::ALICE;

/// Sends into a thread while Slack answers with an error; returns what is known then. The next
/// attempt must post the answer exactly once.
async fn outcome_of(error: &str) -> SendOutcome {
    let (ground, thread) = Ground::with_thread();
    ground.breaks("chat.postMessage", json!({"kind": "error", "error": error}));
    let message = answer(&thread, "Done.");
    let outcome = ground.channel.send(message.clone()).await;
    assert!(ground.texts(&thread).is_empty(), "{error}");
    ground.sends(again(&message)).await;
    assert_eq!(ground.texts(&thread), ["Done."], "{error}");
    outcome
}

#[track_caller]
fn refused(outcome: SendOutcome) -> (String, bool) {
    match outcome {
        SendOutcome::Refused { error, permanent } => (error, permanent),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_never_will_be_posted_is_given_up() {
    for error in [
        "msg_too_long",
        "invalid_blocks",
        "restricted_action_thread_locked",
    ] {
        let (words, permanent) = refused(outcome_of(error).await);
        assert!(permanent, "{words}");
        assert_eq!(words, format!("Slack refuses chat.postMessage: {error}"));
    }
}

#[tokio::test]
async fn what_somebody_can_mend_is_tried_again_and_says_how() {
    for (error, remedy) in [
        ("not_in_channel", ": invite the app into the channel"),
        ("is_archived", ": the channel is archived"),
        ("message_limit_exceeded", ""),
        (
            "token_revoked",
            ": put the app's current bot token into the configuration",
        ),
        (
            "missing_scope",
            ": `airut check` says which scope is missing",
        ),
        ("an_error_of_tomorrow", ""),
    ] {
        let (words, permanent) = refused(outcome_of(error).await);
        assert!(!permanent, "{words}");
        assert_eq!(
            words,
            format!("Slack refuses chat.postMessage: {error}{remedy}")
        );
    }
}

#[tokio::test]
async fn after_an_error_within_slack_nobody_knows_whether_it_was_posted() {
    for error in ["internal_error", "fatal_error", "request_timeout"] {
        let outcome = outcome_of(error).await;
        assert!(
            matches!(outcome, SendOutcome::Unknown { .. }),
            "{error}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn in_a_channel_that_is_gone_nothing_is_tried_for_ever() {
    let (ground, thread) = Ground::with_thread();
    for (channel, gone) in [
        ("C0HIDDEN01", true),
        ("C0WITHOUT1", false),
        ("C0ARCHIVE1", false),
    ] {
        let mut message = answer(&thread, "Done.");
        message.target = target(channel, &thread, &[&thread]);
        let (words, permanent) = refused(ground.channel.send(message).await);
        assert_eq!(permanent, gone, "{words}");
    }
}

#[tokio::test]
async fn a_short_429_is_waited_out_and_a_long_one_postpones_the_answer() {
    let (ground, thread) = Ground::with_thread();
    let limited = |seconds: u64| json!({"kind": "rate_limited", "retry_after": seconds});
    ground.breaks("chat.postMessage", limited(1));
    ground.sends(answer(&thread, "Waited.")).await;
    assert_eq!(ground.texts(&thread), ["Waited."]);
    let calls = ground.calls("chat.postMessage");
    let [first, second] = [0, 1].map(|n: usize| calls[n]["at_ms"].as_u64().unwrap());
    assert!(
        second - first >= 1_000,
        "it came again after {} ms",
        second - first
    );

    ground.breaks("chat.postMessage", limited(61));
    let mut message = answer(&thread, "Postponed.");
    message.delivery.0 += 1;
    let outcome = ground.channel.send(message.clone()).await;
    let SendOutcome::Postponed { error, wait_ms } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        (error.as_str(), wait_ms),
        ("Slack asks to wait for 61 s", 61_000)
    );
    assert_eq!(ground.texts(&thread), ["Waited."]);
    ground.sends(again(&message)).await;
    assert_eq!(ground.texts(&thread), ["Waited.", "Postponed."]);
}

#[tokio::test]
async fn a_429_between_two_parts_doubles_none_of_them() {
    let (ground, thread) = Ground::with_thread();
    let limited = json!({"kind": "rate_limited", "retry_after": 61, "skip": 1});
    ground.breaks("chat.postMessage", limited);
    let message = answer(&thread, &"A line of the answer.\n".repeat(2_500));
    let outcome = ground.channel.send(message.clone()).await;
    assert!(
        matches!(outcome, SendOutcome::Postponed { .. }),
        "{outcome:?}"
    );
    assert_eq!(ground.texts(&thread).len(), 1);
    ground.says(ALICE, "C0GENERAL1", "And?", Some(&thread));
    ground.sends(again(&message)).await;
    let texts = ground.texts(&thread);
    assert_eq!(texts.len(), 2);
    let lines: usize = texts
        .iter()
        .map(|text| text.matches("A line").count())
        .sum();
    assert_eq!(lines, 2_500);
}

#[tokio::test]
async fn slack_that_cannot_be_reached_got_nothing() {
    let (ground, thread) = Ground::with_thread();
    let Ground {
        standin, channel, ..
    } = ground;
    drop(standin);
    let (words, permanent) = refused(channel.send(answer(&thread, "Done.")).await);
    assert!(
        !permanent && words.starts_with("Slack cannot be reached: "),
        "{words}"
    );
}
