//! Outcomes that nobody knows: the metadata in the thread tell what is there, so that everything is
//! posted once, whatever was lost.

use airut::handlers::channels::{Channel as _, SendOutcome, Trace};
use serde_json::json;

use super::{Ground, again, answer};
use crate::rules::{ALICE, GENERAL};

#[tokio::test]
async fn an_answer_whose_receipt_was_lost_is_found_and_not_posted_again() {
    let (ground, thread) = Ground::with_thread();
    ground.breaks("chat.postMessage", json!({"kind": "lose_answer"}));
    let message = answer(&thread, "Done.");
    let outcome = ground.channel.send(message.clone()).await;
    assert!(
        matches!(outcome, SendOutcome::Unknown { .. }),
        "{outcome:?}"
    );
    assert!(ground.finds(message.clone()).await);
    ground.sends(again(&message)).await;
    assert_eq!(ground.texts(&thread), ["Done."]);
    assert_eq!(ground.reactions(GENERAL, &thread), ["white_check_mark"]);
}

#[tokio::test]
async fn an_answer_that_never_arrived_is_absent_and_posted() {
    let (ground, thread) = Ground::with_thread();
    ground.breaks("chat.postMessage", json!({"kind": "lose_request"}));
    let message = answer(&thread, "Done.");
    let outcome = ground.channel.send(message.clone()).await;
    assert!(
        matches!(outcome, SendOutcome::Unknown { .. }),
        "{outcome:?}"
    );
    assert!(!ground.finds(message.clone()).await);
    ground.sends(again(&message)).await;
    assert_eq!(ground.texts(&thread), ["Done."]);
}

#[tokio::test]
async fn of_an_answer_in_parts_those_that_are_missing_are_posted() {
    let (ground, thread) = Ground::with_thread();
    let message = answer(&thread, &"A line of the answer.\n".repeat(5_000));
    let lost = json!({"kind": "lose_answer", "skip": 1});
    ground.breaks("chat.postMessage", lost);
    let outcome = ground.channel.send(message.clone()).await;
    assert!(
        matches!(outcome, SendOutcome::Unknown { .. }),
        "{outcome:?}"
    );
    assert_eq!(ground.texts(&thread).len(), 2);
    assert!(
        !ground.finds(message.clone()).await,
        "the last part is missing"
    );
    ground.sends(again(&message)).await;
    let texts = ground.texts(&thread);
    assert_eq!(texts.len(), 3);
    let lines: usize = texts
        .iter()
        .map(|text| text.matches("A line").count())
        .sum();
    assert_eq!(lines, 5_000);
    let answers = ground.answers(&thread);
    let part = |index: usize| &answers[index]["metadata"]["event_payload"]["part"];
    assert_eq!([part(0), part(1), part(2)], ["1", "2", "3"]);
}

#[tokio::test]
async fn another_answer_of_the_thread_is_not_taken_for_this_one() {
    let (ground, thread) = Ground::with_thread();
    ground.sends(answer(&thread, "Done.")).await;
    let mut other = answer(&thread, "Done.");
    other.delivery.0 += 1;
    assert!(!ground.finds(other.clone()).await);
    // Neither is what somebody else says it is.
    let copied = ground.answers(&thread)[0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    ground.says(ALICE, GENERAL, &copied, Some(&thread));
    assert!(!ground.finds(other).await);
}

#[tokio::test]
async fn an_answer_is_found_in_a_thread_of_many_pages() {
    let (ground, thread) = Ground::with_thread();
    for number in 0..450 {
        ground.says(ALICE, GENERAL, &format!("Comment {number}"), Some(&thread));
    }
    let message = answer(&thread, "Done.");
    ground.sends(message.clone()).await;
    assert!(ground.finds(message).await);
    assert_eq!(ground.calls("conversations.replies").len(), 3);
}

#[tokio::test]
async fn where_the_thread_cannot_be_read_now_the_search_is_done_again() {
    let (ground, thread) = Ground::with_thread();
    let message = answer(&thread, "Done.");
    ground.breaks(
        "conversations.replies",
        json!({"kind": "status", "status": 503}),
    );
    let trace = ground.channel.search(message.clone()).await;
    assert!(matches!(trace, Trace::Unsearchable { .. }), "{trace:?}");
    ground.breaks(
        "conversations.replies",
        json!({"kind": "status", "status": 503}),
    );
    let outcome = ground.channel.send(again(&message)).await;
    let is_later = matches!(
        outcome,
        SendOutcome::Refused {
            permanent: false,
            ..
        }
    );
    assert!(is_later, "{outcome:?}");
    assert!(
        ground.texts(&thread).is_empty(),
        "nothing is posted blindly"
    );
}

#[tokio::test]
async fn where_the_thread_can_never_be_read_the_answer_says_that_it_may_be_a_duplicate() {
    let (ground, thread) = Ground::with_thread();
    let mut message = again(&answer(&thread, "Done."));
    message.labelled_duplicate = true;
    let refused = json!({"kind": "error", "error": "missing_scope", "times": 9});
    ground.breaks("conversations.replies", refused);
    ground.sends(message).await;
    let text = ground.texts(&thread).remove(0);
    assert!(
        text.contains("duplicate") && text.ends_with("Done."),
        "{text}"
    );
}
