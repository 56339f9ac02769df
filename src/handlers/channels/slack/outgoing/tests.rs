//! What is posted, and what of it is found again.

use super::*;
use crate::events::id::{ConversationId, DeliveryId, RepoId, TaskId};

fn message(body: &str) -> OutboundMessage {
    OutboundMessage {
        delivery: DeliveryId(7),
        kind: DeliveryKind::Reply,
        repo: RepoId("work".to_owned()),
        conversation: ConversationId(0xab),
        task: TaskId(1),
        target: target(AnswerTone::Good),
        body: body.to_owned(),
        files: vec![],
        labelled_duplicate: false,
        checkpoint: Some("airut-log/1 7 a b".to_owned()),
        attempt: 1,
    }
}

fn target(tone: AnswerTone) -> DeliveryTarget {
    DeliveryTarget::Slack {
        channel: "C1".to_owned(),
        thread: "1.000100".to_owned(),
        answered: vec!["1.000100".to_owned()],
        tone,
        is_direct: false,
        title: String::new(),
    }
}

fn file(name: &str, bytes: &[u8]) -> Attachment {
    Attachment {
        name: name.to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: bytes.to_vec(),
    }
}

fn posted(message: &OutboundMessage) -> Posting {
    posting(message, &Names::default(), false)
}

fn texts(message: &OutboundMessage) -> Vec<String> {
    let messages = posted(message).messages.into_iter();
    messages
        .map(|body| body["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_answer_stands_in_its_thread_and_shows_no_pages() {
    let expected = json!({
        "channel": "C1", "thread_ts": "1.000100", "text": "It is *done*.", "mrkdwn": true,
        "link_names": false, "unfurl_links": false, "unfurl_media": false,
        "metadata": {"event_type": "airut_reply", "event_payload": {
            "delivery": "0000000000000007", "part": "1", "parts": "1",
            "checkpoint": "airut-log/1 7 a b",
        }},
    });
    assert_eq!(posted(&message("It is **done**.")).messages, [expected]);
}

#[test]
fn an_acknowledgement_has_buttons() {
    let acknowledgement = OutboundMessage {
        kind: DeliveryKind::Acknowledgement,
        ..message("I've started working on this and will reply shortly.")
    };
    let posted = posted(&acknowledgement);
    let blocks = &posted.messages[0]["blocks"];
    assert_eq!(blocks[0]["text"]["text"], posted.messages[0]["text"]);
    assert_eq!(blocks[1]["elements"][0]["value"], "000000ab");
}

#[test]
fn up_to_five_messages_are_posted_and_more_become_a_file() {
    let text = |pieces: usize| "word ".repeat(pieces * 7_900);
    for pieces in [1, 4, 5] {
        let posted = posted(&message(&text(pieces)));
        assert_eq!((posted.messages.len(), posted.uploads.len()), (pieces, 0));
        let last = &posted.messages[pieces - 1]["metadata"]["event_payload"];
        assert_eq!(last["part"], pieces.to_string());
    }
    let long = OutboundMessage {
        files: vec![file("response.md", b"x")],
        ..message(&text(6))
    };
    let posted = posted(&long);
    assert_eq!(posted.messages.len(), 1);
    let shown = posted.messages[0]["text"].as_str().unwrap();
    assert!(shown.ends_with("_The answer is longer: all of it is in the file_ `response-2.md`_._"));
    assert!(shown.chars().count() < 4_000, "{}", shown.len());
    let names: Vec<&str> = posted
        .uploads
        .iter()
        .map(|file| file.title.as_str())
        .collect();
    assert_eq!(names, ["Response", "response.md"]);
    assert_eq!(posted.uploads[0].bytes, long.body.as_bytes());
}

#[test]
fn a_failure_of_airut_s_own_says_that_an_error_occurred() {
    let broken = OutboundMessage {
        target: target(AnswerTone::Broken),
        ..message("The repository could not be fetched.")
    };
    assert_eq!(
        texts(&broken),
        ["An error occurred: The repository could not be fetched."]
    );
    let failed = OutboundMessage {
        target: target(AnswerTone::Failed),
        ..message("The task was interrupted.")
    };
    assert_eq!(texts(&failed), ["The task was interrupted."]);
}

#[test]
fn an_answer_without_words_says_so() {
    assert_eq!(texts(&message(" \n")), [WORDLESS]);
}

#[test]
fn only_what_could_not_be_looked_for_says_that_it_may_be_a_duplicate() {
    let again = OutboundMessage {
        labelled_duplicate: true,
        ..message("Done.")
    };
    assert_eq!(texts(&again), ["Done."]);
    let unseen = posting(&again, &Names::default(), true);
    let text = unseen.messages[0]["text"].as_str().unwrap();
    assert!(text.starts_with("_This may be a duplicate"), "{text}");
}

/// What a thread shows of a posting.
fn thread_of(posting: &Posting) -> Vec<Value> {
    let message = |(index, body): (usize, &Value)| json!({"user": "UBOT", "ts": format!("{}.000200", index + 2), "metadata": body["metadata"]});
    let file = |upload: &Upload| {
        let files = json!([{"name": upload.name, "size": upload.bytes.len()}]);
        json!({"user": "UBOT", "ts": "9.000100", "files": files})
    };
    let messages = posting.messages.iter().enumerate().map(message);
    messages.chain(posting.uploads.iter().map(file)).collect()
}

#[test]
fn what_is_there_is_found_and_what_is_missing_is_told() {
    let message = OutboundMessage {
        files: vec![file("a.txt", b"aa"), file("b.txt", b"bbb")],
        ..message(&"word ".repeat(15_800))
    };
    let posting = posted(&message);
    let thread = thread_of(&posting);
    assert_eq!(thread.len(), 4);
    for there in 0..=thread.len() {
        let found = Found::of(&thread[..there], &message, "UBOT");
        assert_eq!(found.is_whole(&posting), there == 4, "{there}");
        assert_eq!(found.has_message(1), there > 1, "{there}");
        assert_eq!(found.has_upload(&posting.uploads[0]), there > 2, "{there}");
    }
    assert_eq!(
        Found::of(&thread, &message, "UBOT").first(),
        Some("2.000200")
    );
    // The same, written by somebody else.
    assert_eq!(Found::of(&thread, &message, "UEVIL"), Found::default());
}

#[test]
fn an_earlier_file_of_the_same_name_is_not_this_answer_s() {
    let message = OutboundMessage {
        files: vec![file("a.txt", b"aa")],
        ..message("Done.")
    };
    let posting = posted(&message);
    let mut thread = thread_of(&posting);
    thread.rotate_right(1);
    assert!(!Found::of(&thread, &message, "UBOT").is_whole(&posting));
}

#[test]
fn a_message_about_files_names_them_and_ends_the_answer() {
    let message = OutboundMessage {
        files: vec![file("a`b.txt", b"aa")],
        ..message("Done.")
    };
    let posting = posted(&message);
    let failed = [("a`b.txt".to_owned(), "file_too_large".to_owned())];
    let about = about_files(&message, &failed);
    assert_eq!(
        about["text"],
        "Could not upload 1 file(s): `a'b.txt` (file_too_large)"
    );
    let mut thread = thread_of(&posting)[..1].to_vec();
    assert!(!Found::of(&thread, &message, "UBOT").is_whole(&posting));
    thread.push(json!({"user": "UBOT", "ts": "5.000100", "metadata": about["metadata"]}));
    assert!(Found::of(&thread, &message, "UBOT").is_whole(&posting));
    let many: Vec<(String, String)> = (0..500)
        .map(|n| (format!("{n}.txt"), "missing_scope".to_owned()))
        .collect();
    let text = about_files(&message, &many)["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.starts_with("Could not upload 500 file(s)") && text.ends_with(" more"));
    assert!(text.chars().count() < 2_200, "{}", text.len());
}
