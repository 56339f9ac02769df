//! What may be posted, changed and taken away.

use serde_json::{Value, json};

use super::{ALICE, GENERAL, Ground};

#[track_caller]
fn check(method: &str, args: &Value, expected: &str) {
    let ground = Ground::quick();
    let answer = ground.call(method, args);
    let outcome = answer["error"].as_str().unwrap_or("ok");
    assert_eq!(outcome, expected, "{method}");
}

fn text(chars: usize) -> String {
    "ä".repeat(chars)
}

#[test]
fn a_text_may_have_forty_thousand_characters() {
    for (chars, expected) in [(39_999, "ok"), (40_000, "ok"), (40_001, "msg_too_long")] {
        let args = json!({ "channel": GENERAL, "text": text(chars) });
        check("chat.postMessage", &args, expected);
    }
}

#[test]
fn a_message_may_have_fifty_blocks_of_three_thousand_characters() {
    let section = |chars: usize| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text(chars) } });
    let post = |blocks: Vec<Value>| json!({ "channel": GENERAL, "blocks": blocks });
    for (chars, expected) in [(2_999, "ok"), (3_000, "ok"), (3_001, "invalid_blocks")] {
        check("chat.postMessage", &post(vec![section(chars)]), expected);
    }
    for (count, expected) in [(49, "ok"), (50, "ok"), (51, "invalid_blocks")] {
        check("chat.postMessage", &post(vec![section(1); count]), expected);
    }
    check(
        "chat.postMessage",
        &post(vec![section(0)]),
        "invalid_blocks",
    );
    check(
        "chat.postMessage",
        &post(vec![json!({ "type": "song" })]),
        "invalid_blocks",
    );
    check("chat.postMessage", &post(vec![]), "no_text");
}

#[test]
fn where_the_app_may_not_write_it_is_told_why() {
    let post = |channel: &str| json!({ "channel": channel, "text": "a" });
    check("chat.postMessage", &post("C0WITHOUT1"), "not_in_channel");
    check("chat.postMessage", &post("C0ARCHIVE1"), "is_archived");
    check("chat.postMessage", &post("C0HIDDEN01"), "channel_not_found");
    check("chat.postMessage", &post("#general"), "ok");
    check("chat.postMessage", &post(ALICE), "ok");
    let args = json!({ "channel": GENERAL, "text": "a", "thread_ts": "1.2" });
    check("chat.postMessage", &args, "invalid_thread_ts");
}

#[test]
fn metadata_has_a_type_a_payload_and_a_limit() {
    let post = |metadata: Value| json!({ "channel": GENERAL, "text": "a", "metadata": metadata });
    let payload =
        |bytes: usize| json!({ "event_type": "t", "event_payload": { "a": "x".repeat(bytes) } });
    check("chat.postMessage", &post(payload(100)), "ok");
    check(
        "chat.postMessage",
        &post(payload(16_000)),
        "metadata_too_large",
    );
    check(
        "chat.postMessage",
        &post(json!({ "event_type": "t" })),
        "invalid_metadata_format",
    );
}

#[test]
fn a_text_is_kept_with_its_mentions_and_bare_signs_escaped() {
    let ground = Ground::quick();
    let sent = "a & b < c > d &amp; <@U0ALICE001> <https://a.example/?b&c|d> <!here>";
    let answer = ground.call(
        "chat.postMessage",
        &json!({ "channel": GENERAL, "text": sent }),
    );
    let kept = "a &amp; b &lt; c &gt; d &amp; <@U0ALICE001> <https://a.example/?b&c|d> <!here>";
    assert_eq!(answer["message"]["text"], kept);
}

#[test]
fn an_update_changes_the_apps_own_messages_only() {
    let ground = Ground::quick();
    let theirs = ground.says(GENERAL, "mine");
    let blocks = json!([{ "type": "divider" }]);
    let posted = ground.call(
        "chat.postMessage",
        &json!({ "channel": GENERAL, "text": "a", "blocks": blocks }),
    );
    let ts = posted["ts"].as_str().unwrap();
    let update = |ts: &str, text: &str| {
        ground.call(
            "chat.update",
            &json!({ "channel": GENERAL, "ts": ts, "text": text }),
        )
    };
    assert_eq!(update(&theirs, "b")["error"], "cant_update_message");
    assert_eq!(
        update("1700000000.000001", "b")["error"],
        "message_not_found"
    );
    assert_eq!(update(ts, &text(2_000))["ok"], true);
    assert_eq!(update(ts, &text(2_001))["error"], "msg_too_long");
    let changed = update(ts, "b");
    assert_eq!(changed["text"], "b");
    assert_eq!(changed["message"]["blocks"][0]["type"], "rich_text");
    ground.hand.act("settings", &json!({ "edits": false }));
    assert_eq!(update(ts, "c")["error"], "edit_window_closed");
}

#[test]
fn a_root_with_replies_leaves_a_stone_and_a_message_without_leaves_nothing() {
    let ground = Ground::quick();
    let post = |thread: Option<&str>| {
        let args =
            json!({ "channel": GENERAL, "text": "a", "thread_ts": thread.unwrap_or_default() });
        ground.call("chat.postMessage", &args)["ts"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let root = post(None);
    let reply = post(Some(&root));
    let delete = |ts: &str| ground.call("chat.delete", &json!({ "channel": GENERAL, "ts": ts }));
    assert_eq!(delete(&root)["ok"], true);
    let stone = &ground.hand.look(&format!("channel?id={GENERAL}"))["messages"][0];
    assert_eq!(stone["subtype"], "tombstone");
    assert_eq!(delete(&reply)["ok"], true);
    assert_eq!(delete(&reply)["error"], "message_not_found");
}

#[test]
fn a_text_is_changed_into_one_of_four_thousand_bytes_at_most() {
    let ground = Ground::quick();
    let posted = ground.call(
        "chat.postMessage",
        &json!({ "channel": GENERAL, "text": "a" }),
    );
    let update = |text: String| {
        let change = json!({ "channel": GENERAL, "ts": posted["ts"], "text": text });
        let answer = ground.call("chat.update", &change);
        answer["error"].as_str().unwrap_or("ok").to_owned()
    };
    assert_eq!(update("a".repeat(3_999)), "ok");
    assert_eq!(update("a".repeat(4_000)), "ok");
    assert_eq!(update("a".repeat(4_001)), "msg_too_long");
    assert_eq!(update("ä".repeat(2_000)), "ok");
    assert_eq!(update("ä".repeat(2_001)), "msg_too_long");
}
