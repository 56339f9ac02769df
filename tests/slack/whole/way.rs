//! The way of a message that is said in Slack: seen, acknowledged, worked on, answered.

use airut::events::checkpoint::SignedCheckpoint;
use airut::events::log::store::Store as _;
use serde_json::json;

use super::{Ground, Said, until};
use crate::fakes::Act;
use crate::rules::{ALICE, GENERAL};

const FIX: Said<'_> = Said {
    user: ALICE,
    channel: GENERAL,
    thread: None,
    text: "<@U0HERALD01> fix it",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_seen_acknowledged_and_answered_in_its_thread() {
    let ground = Ground::new(&[Act::AnswerWhenReleased("It is **done**.")]);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    ground.until_marked(GENERAL, &ts, &["eyes"]);
    until(service.log(), "DeliverySucceeded", 1).await;
    let acknowledged = &ground.answers(GENERAL, &ts)[0];
    let text = acknowledged["text"].as_str().unwrap();
    let started = "I've started working on this and will reply shortly.\n\n\
                   See progress at https://airut.example.test/conversation/";
    assert!(text.starts_with(started), "{text}");
    assert_eq!(
        acknowledged["blocks"][1]["elements"][0]["action_id"],
        "airut_stop"
    );
    ground.world.sandbox.release.add_permits(1);
    until(service.log(), "DeliverySucceeded", 2).await;
    ground.until_marked(GENERAL, &ts, &["white_check_mark"]);
    assert!(service.stop("test").await);
    let answers = ground.answers(GENERAL, &ts);
    assert_eq!(answers.len(), 2);
    let text = answers[1]["text"].as_str().unwrap();
    assert!(text.starts_with("It is *done*."), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_that_is_answered_together_gets_its_mark() {
    let ground = Ground::new(&[
        Act::AnswerWhenReleased("First."),
        Act::AnswerWhenReleased("Second and third."),
    ]);
    let service = ground.service().await;
    let first = ground.says(FIX);
    until(service.log(), "TaskStarted", 1).await;
    let in_thread = Said {
        thread: Some(&first),
        ..FIX
    };
    let second = ground.says(in_thread);
    let third = ground.says(Said {
        user: "U0BOB00001",
        ..in_thread
    });
    for ts in [&first, &second, &third] {
        ground.until_marked(GENERAL, ts, &["eyes"]);
    }
    ground.world.sandbox.release.add_permits(1);
    ground.until_marked(GENERAL, &first, &["white_check_mark"]);
    ground.world.sandbox.release.add_permits(1);
    for ts in [&second, &third] {
        ground.until_marked(GENERAL, ts, &["white_check_mark"]);
    }
    assert!(service.stop("test").await);
    let replies = ground.replies(GENERAL, &first);
    assert_eq!(replies.len(), 2, "{replies:?}");
    assert!(replies[1].starts_with("Second and third."), "{replies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_outbox_stands_in_the_thread() {
    let ground = Ground::new(&[Act::AnswerWithFile("See the file.", "figures.csv")]);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    ground.until_marked(GENERAL, &ts, &["white_check_mark"]);
    assert!(service.stop("test").await);
    let answers = ground.answers(GENERAL, &ts);
    let file = &answers.last().unwrap()["files"][0];
    assert_eq!(
        (&file["name"], &file["size"]),
        (&"figures.csv".into(), &7.into())
    );
    let files = ground.hand.look("files");
    assert_eq!(files["files"][0]["text"], "content");
}

/// What Slack will never take is an alarm at once, and not tried for two days.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_slack_never_takes_is_given_up_at_once_and_counted() {
    let ground = Ground::new(&[Act::AnswerWhenReleased("Done.")]);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    until(service.log(), "DeliverySucceeded", 1).await;
    let locked = "restricted_action_thread_locked";
    let fault = json!({"method": "chat.postMessage", "kind": "error", "error": locked, "times": 9});
    ground.hand.act("faults", &fault);
    ground.world.sandbox.release.add_permits(1);
    until(service.log(), "DeliveryAbandoned", 1).await;
    assert!(service.stop("test").await);
    assert_eq!(ground.world.views().view().state.outbox.abandoned(), 1);
    assert!(ground.replies(GENERAL, &ts).is_empty());
    let calls = ground.hand.look("calls?method=chat.postMessage");
    assert_eq!(calls["calls"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_marked_as_failed() {
    let ground = Ground::new(&[Act::Flood]);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    ground.until_marked(GENERAL, &ts, &["x"]);
    assert!(service.stop("test").await);
    assert_eq!(ground.replies(GENERAL, &ts).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_cannot_be_fetched_is_told_as_an_error() {
    let mut ground = Ground::new(&[]);
    "panicking".clone_into(&mut ground.world.repo_url);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    ground.until_marked(GENERAL, &ts, &["x"]);
    assert!(service.stop("test").await);
    let replies = ground.replies(GENERAL, &ts);
    assert_eq!(replies.len(), 1);
    assert!(replies[0].starts_with("An error occurred: "), "{replies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_message_has_a_status_while_it_is_prepared_and_a_title_once_it_is_answered() {
    let ground = Ground::new(&[Act::AnswerWhenReleased("Done.")]);
    let service = ground.service().await;
    let opened = ground.hand.act("assistant", &json!({"user": ALICE}));
    let channel = opened["channel"].as_str().unwrap();
    let thread = opened["thread_ts"].as_str().unwrap();
    let title = "Fix the test that fails on Mondays, and only there, whatever it takes";
    let text = format!("{title}\nIt is red.");
    let said = Said {
        user: ALICE,
        channel,
        thread: Some(thread),
        text: &text,
    };
    let ts = ground.says(said);
    until(service.log(), "AgentEventObserved", 1).await;
    let was_shown = ground.hand.until("threads", |seen| {
        let thread = &seen["threads"][0];
        let statuses = thread["statuses"].as_array()?;
        let is_over = statuses.last()? == "" && thread["status"] == "";
        is_over.then(|| statuses.contains(&"is working on this...".into()))
    });
    assert!(was_shown, "{}", ground.hand.look("threads"));
    ground.world.sandbox.release.add_permits(1);
    until(service.log(), "DeliverySucceeded", 2).await;
    assert!(service.stop("test").await);
    let threads = ground.hand.look("threads");
    let expected: String = title.chars().take(60).collect();
    assert_eq!(threads["threads"][0]["title"], expected);
    let replies = ground.replies(channel, thread);
    assert_eq!(replies.len(), 1, "{replies:?}");
    ground.until_marked(channel, &ts, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn issue_3_every_answer_carries_a_checkpoint_that_the_log_s_key_has_signed() {
    let ground = Ground::new(&[]);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    until(service.log(), "DeliverySucceeded", 2).await;
    assert!(service.stop("test").await);
    let key = ground.world.kept.key().unwrap().verifier();
    let records = ground.world.events().len() as u64;
    let mut sizes = vec![];
    for answer in ground.answers(GENERAL, &ts) {
        let line = answer["metadata"]["event_payload"]["checkpoint"]
            .as_str()
            .unwrap();
        let checkpoint = SignedCheckpoint::from_line(line).unwrap();
        checkpoint.verified_by(std::slice::from_ref(&key)).unwrap();
        sizes.push(checkpoint.checkpoint().size);
    }
    assert_eq!(sizes.len(), 2);
    assert!(
        sizes[0] < sizes[1] && sizes[1] < records,
        "{sizes:?} of {records}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buttons_of_an_acknowledgement_tell_how_far_it_is_and_stop_it() {
    let ground = Ground::new(&[Act::Hang]);
    let service = ground.service().await;
    let ts = ground.says(FIX);
    until(service.log(), "AgentEventObserved", 1).await;
    until(service.log(), "DeliverySucceeded", 1).await;
    let acknowledged = ground.answers(GENERAL, &ts)[0]["ts"].clone();
    let press = |action: &str| {
        let button = json!({
            "user": "U0BOB00001", "channel": GENERAL, "ts": acknowledged, "action_id": action,
        });
        ground.hand.act("press", &button);
    };
    press("airut_status");
    until(service.log(), "DeliverySucceeded", 2).await;
    let told = ground.replies(GENERAL, &ts);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("`fix it` runs"), "{told:?}");
    ground.until_marked(GENERAL, &ts, &["eyes"]);
    press("airut_stop");
    until(service.log(), "TaskStopRequested", 1).await;
    ground.until_marked(GENERAL, &ts, &["x"]);
    assert!(service.stop("test").await);
    let told = ground.replies(GENERAL, &ts);
    assert!(told.iter().any(|text| text.contains("stopped")), "{told:?}");
}
