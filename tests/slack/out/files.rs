//! Files of an answer (spec row SLK-22): they stand in its thread, none of them twice; of those that
//! Slack does not take the reader is told, and the answer stands all the same.

use airut::handlers::channels::{Channel as _, OutboundMessage, SendOutcome};
use serde_json::json;

use super::{Ground, again, answer, file};

fn with_files(thread: &str) -> OutboundMessage {
    OutboundMessage {
        files: vec![file("one.txt", "first"), file("two.txt", "second")],
        ..answer(thread, "See the files.")
    }
}

#[tokio::test]
async fn files_stand_in_the_thread_after_the_answer() {
    let (ground, thread) = Ground::with_thread();
    ground.sends(with_files(&thread)).await;
    assert_eq!(ground.texts(&thread), ["See the files.", "", ""]);
    assert_eq!(ground.file_names(&thread), ["one.txt", "two.txt"]);
    let files = ground.hand.look("files");
    assert_eq!(files["files"][1]["text"], "second");
    // Nobody sees more of a file than of the thread.
    for call in ground.calls("files.completeUploadExternal") {
        assert_eq!(call["args"]["thread_ts"], thread.as_str());
    }
    assert!(ground.finds(with_files(&thread)).await);
}

#[tokio::test]
async fn of_a_file_that_slack_refuses_the_thread_is_told_and_the_answer_stands() {
    let (ground, thread) = Ground::with_thread();
    let error = json!({"kind": "error", "error": "file_upload_size_restricted"});
    ground.breaks("files.getUploadURLExternal", error);
    ground.sends(with_files(&thread)).await;
    let told = "Could not upload 1 file(s): `one.txt` (file_upload_size_restricted)";
    assert_eq!(ground.texts(&thread), ["See the files.", "", told]);
    assert_eq!(ground.file_names(&thread), ["two.txt"]);
    assert!(
        ground.finds(with_files(&thread)).await,
        "there is no more to come"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_brought_now_is_tried_again_and_told_as_missing_at_last() {
    let (ground, thread) = Ground::with_thread();
    let broken = json!({"kind": "status", "status": 503, "times": 100});
    ground.breaks("upload", broken);
    let mut message = with_files(&thread);
    for attempt in 1..=3 {
        let outcome = ground.channel.send(message.clone()).await;
        let is_later = matches!(
            outcome,
            SendOutcome::Refused {
                permanent: false,
                ..
            }
        );
        assert!(is_later, "{attempt}: {outcome:?}");
        assert_eq!(ground.texts(&thread), ["See the files."], "{attempt}");
        message = again(&message);
    }
    ground.sends(message).await;
    let texts = ground.texts(&thread);
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[1].starts_with("Could not upload 2 file(s): `one.txt` ("),
        "{}",
        texts[1]
    );
}

#[tokio::test]
async fn a_further_attempt_uploads_only_what_is_missing() {
    let (ground, thread) = Ground::with_thread();
    ground.breaks(
        "upload",
        json!({"kind": "status", "status": 503, "skip": 1}),
    );
    let first = ground.channel.send(with_files(&thread)).await;
    assert!(
        matches!(
            first,
            SendOutcome::Refused {
                permanent: false,
                ..
            }
        ),
        "{first:?}"
    );
    assert_eq!(ground.file_names(&thread), ["one.txt"]);
    assert!(
        !ground.finds(with_files(&thread)).await,
        "a file is missing"
    );
    ground.sends(again(&with_files(&thread))).await;
    assert_eq!(ground.texts(&thread), ["See the files.", "", ""]);
    assert_eq!(ground.file_names(&thread), ["one.txt", "two.txt"]);
}

#[tokio::test]
async fn a_file_whose_sharing_was_not_answered_is_not_shared_twice() {
    let (ground, thread) = Ground::with_thread();
    let lost = json!({"kind": "lose_answer", "skip": 1});
    ground.breaks("files.completeUploadExternal", lost);
    let first = ground.channel.send(with_files(&thread)).await;
    assert!(matches!(first, SendOutcome::Unknown { .. }), "{first:?}");
    assert!(
        ground.finds(with_files(&thread)).await,
        "all of it is there"
    );
    ground.sends(again(&with_files(&thread))).await;
    assert_eq!(ground.file_names(&thread), ["one.txt", "two.txt"]);
}

#[tokio::test]
async fn an_empty_file_is_told_as_missing_for_slack_takes_none() {
    let (ground, thread) = Ground::with_thread();
    let message = OutboundMessage {
        files: vec![file("empty.txt", "")],
        ..answer(&thread, "See the file.")
    };
    ground.sends(message).await;
    let texts = ground.texts(&thread);
    assert_eq!(
        texts[1],
        "Could not upload 1 file(s): `empty.txt` (it is empty)"
    );
    assert!(ground.calls("files.getUploadURLExternal").is_empty());
}
