//! Answers as they are posted: for each `tests/slack/golden/*.md` the body of `chat.postMessage` that
//! reached Slack stands in a `.json` beside it. `AIRUT_BLESS=1` writes them anew; each is to be read as
//! its receiver would.

use std::path::Path;

use airut::events::delivery::DeliveryKind;
use airut::handlers::channels::OutboundMessage;
use airut::handlers::tasks::begin::acknowledgement_text;
use serde_json::{Value, json};

use super::{Ground, answer};
use crate::rules::GENERAL;

/// Returns the body of the only post, with the thread's name in it made one that stays.
async fn posted(message: impl Fn(&str) -> OutboundMessage) -> Value {
    let (ground, thread) = Ground::with_thread();
    ground.sends(message(&thread)).await;
    let calls = ground.calls("chat.postMessage");
    assert_eq!(calls.len(), 1);
    let body = calls[0]["args"].to_string().replace(&thread, "THREAD");
    serde_json::from_str(&body).unwrap()
}

#[track_caller]
fn check(name: &str, body: &Value) {
    let path = golden().join(format!("{name}.json"));
    let text = format!("{body:#}\n");
    if std::env::var_os("AIRUT_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}", path.display());
}

fn golden() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slack/golden"))
}

#[tokio::test]
async fn answers_reach_slack_as_their_golden_files_say() {
    let files = std::fs::read_dir(golden()).unwrap();
    let mut names: Vec<String> = files
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            Some(name.strip_suffix(".md")?.to_owned())
        })
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let markdown = std::fs::read_to_string(golden().join(format!("{name}.md"))).unwrap();
        let body = posted(|thread| answer(thread, &markdown)).await;
        check(&name, &body);
    }
}

#[tokio::test]
async fn an_acknowledgement_reaches_slack_as_its_golden_file_says() {
    let page = "https://airut.example.test/conversation/000000ab";
    let body = posted(|thread| OutboundMessage {
        kind: DeliveryKind::Acknowledgement,
        ..answer(thread, &acknowledgement_text(Some(page)))
    });
    check("acknowledgement", &body.await);
}

#[tokio::test]
async fn only_candidates_are_mentioned_and_nobody_is_notified_otherwise() {
    let (ground, thread) = Ground::with_thread();
    // Of a stranger, of who wrote elsewhere, and of who is in no configured group nobody knows a name.
    ground.says("U0GUEST001", GENERAL, "Another thread", None);
    let text = "@alice, @Bob Example, @crew: @gwen, @gina, @robot, @here, @channel and @everyone know. \
                Neither `@alice` nor alice@example.test is asked; <@U0BOB00001> <!here>.";
    ground.sends(answer(&thread, text)).await;
    let expected = "<@U0ALICE001>, <@U0BOB00001>, <!subteam^S0CREW0001>: @gwen, @gina, @robot, @here, \
                    @channel and @everyone know. Neither `@alice` nor alice@example.test is asked; \
                    &lt;@U0BOB00001&gt; &lt;!here&gt;.";
    assert_eq!(ground.texts(&thread), [expected]);
}

#[tokio::test]
async fn a_channel_is_named_where_the_app_may_read_names() {
    for (scope, expected) in [
        ("channels:read", "See <#C0GENERAL1>."),
        ("chat:write", "See #general."),
    ] {
        let (ground, thread) = Ground::with_thread();
        let scopes = [
            "channels:history",
            "chat:write",
            "groups:history",
            "usergroups:read",
            "users:read",
            scope,
        ];
        ground.hand.act("scopes", &json!({"names": scopes}));
        ground.sends(answer(&thread, "See #general.")).await;
        assert_eq!(ground.texts(&thread), [expected]);
    }
}

#[tokio::test]
async fn a_text_without_names_asks_for_none() {
    let (ground, thread) = Ground::with_thread();
    ground
        .sends(answer(
            &thread,
            "Done: it costs # 5 and alice@example.test is told.",
        ))
        .await;
    assert!(ground.calls("users.info").is_empty());
    assert!(ground.calls("usergroups.list").is_empty());
}

#[tokio::test]
async fn names_that_cannot_be_had_hold_no_answer_up() {
    let (ground, thread) = Ground::with_thread();
    for method in ["users.info", "usergroups.list", "conversations.replies"] {
        ground.breaks(
            method,
            json!({"kind": "error", "error": "missing_scope", "times": 99}),
        );
    }
    ground
        .sends(answer(&thread, "Thanks, @alice and @crew!"))
        .await;
    assert_eq!(ground.texts(&thread), ["Thanks, @alice and @crew!"]);
}

#[tokio::test]
async fn an_answer_without_words_says_so() {
    let (ground, thread) = Ground::with_thread();
    ground.sends(answer(&thread, " \n")).await;
    assert_eq!(ground.texts(&thread), ["_The answer has no text._"]);
}
