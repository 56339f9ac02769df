//! Threads, reactions and the app's own surface.

use serde_json::{Value, json};

use super::{ALICE, GENERAL, Ground};

#[test]
fn a_thread_is_read_with_its_root_at_the_head_of_each_page() {
    let ground = Ground::quick();
    let root = ground.says(GENERAL, "root");
    for text in ["a", "b", "c"] {
        let reply = json!({ "user": ALICE, "channel": GENERAL, "text": text, "thread_ts": root });
        ground.hand.act("post", &reply);
    }
    let page = |args: Value| {
        let page = ground.call("conversations.replies", &args);
        let texts = page["messages"].as_array().unwrap().iter();
        let texts: Vec<String> = texts
            .map(|one| one["text"].as_str().unwrap().to_owned())
            .collect();
        (
            texts,
            page["response_metadata"]["next_cursor"].clone(),
            page,
        )
    };
    let (texts, cursor, first) = page(json!({ "channel": GENERAL, "ts": root, "limit": 2 }));
    assert_eq!(texts, ["root", "a", "b"]);
    assert_eq!(first["messages"][0]["reply_count"], 3);
    assert_eq!(first["messages"][1]["parent_user_id"], ALICE);
    let (texts, _, last) = page(json!({ "channel": GENERAL, "ts": root, "cursor": cursor }));
    assert_eq!(texts, ["root", "c"]);
    assert_eq!(last["has_more"], false);
    let none = ground.call(
        "conversations.replies",
        &json!({ "channel": GENERAL, "ts": "1700000000.000001" }),
    );
    assert_eq!(none["error"], "thread_not_found");
}

#[test]
fn metadata_is_read_only_by_whoever_asks_for_it() {
    let ground = Ground::quick();
    let metadata = json!({ "event_type": "t", "event_payload": { "part": 1 } });
    let root = ground.says(GENERAL, "root");
    let args = json!({ "channel": GENERAL, "text": "a", "thread_ts": root, "metadata": metadata });
    ground.call("chat.postMessage", &args);
    let read = |all: bool| {
        let args = json!({ "channel": GENERAL, "ts": root, "include_all_metadata": all });
        ground.call("conversations.replies", &args)["messages"][1]["metadata"].clone()
    };
    assert_eq!(read(true), metadata);
    assert_eq!(read(false), Value::Null);
}

#[test]
fn a_reaction_is_given_once_and_taken_back_once() {
    let ground = Ground::quick();
    let ts = ground.says(GENERAL, "a");
    let call = |method: &str, name: &str| {
        let args = json!({ "channel": GENERAL, "timestamp": ts, "name": name });
        ground.call(method, &args)["error"]
            .as_str()
            .unwrap_or("ok")
            .to_owned()
    };
    assert_eq!(call("reactions.add", "eyes"), "ok");
    assert_eq!(call("reactions.add", "eyes"), "already_reacted");
    assert_eq!(call("reactions.add", ":eyes:"), "invalid_name");
    assert_eq!(call("reactions.remove", "eyes"), "ok");
    assert_eq!(call("reactions.remove", "eyes"), "no_reaction");
}

#[test]
fn a_thread_of_the_apps_own_surface_has_status_title_and_prompts() {
    let ground = Ground::quick();
    let opened = ground
        .hand
        .act("assistant", &json!({ "user": ALICE, "context": GENERAL }));
    let (channel, root) = (&opened["channel"], &opened["thread_ts"]);
    let call = |method: &str, more: Value| {
        let mut args = json!({ "channel_id": channel, "thread_ts": root });
        args.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = ground.call(&format!("assistant.threads.{method}"), &args);
        answer["error"].as_str().unwrap_or("ok").to_owned()
    };
    assert_eq!(
        call("setStatus", json!({ "status": "is thinking..." })),
        "ok"
    );
    assert_eq!(call("setTitle", json!({ "title": "A trip" })), "ok");
    let prompts =
        |count| json!({ "prompts": vec![json!({ "title": "t", "message": "m" }); count] });
    assert_eq!(call("setSuggestedPrompts", prompts(4)), "ok");
    assert_eq!(call("setSuggestedPrompts", prompts(5)), "invalid_arguments");
    let thread = || ground.hand.look("threads")["threads"][0].clone();
    assert_eq!(thread()["status"], "is thinking...");
    let reply = json!({ "channel": channel, "text": "a", "thread_ts": root });
    ground.call("chat.postMessage", &reply);
    assert_eq!(thread()["status"], "", "an answer ends the status");
    assert_eq!(thread()["title"], "A trip");
}
