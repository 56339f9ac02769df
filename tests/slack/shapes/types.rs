//! What the stand-in says, and the manifest, as TypeScript against the types that Slack ships with its
//! client for Node: generated here, checked by the compiler. Where the packages are missing
//! (`scripts/setup.sh slack`), the test is skipped, aloud; with `AIRUT_REQUIRE_REAL=1` that is a failure.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;

use super::seen;
use crate::conformance::find;

/// Says of an answer's type only what it names, without the index that lets any field pass, and takes
/// an enumeration for the texts that it consists of. Where the types of events are wrong about what
/// stands within a message (that of a change would have a channel of its own, that of a file a text as
/// its time, and whoever comes into a channel an inviter), that is left out.
const HEAD: &str = "\
import type * as web from '@slack/web-api';
import type * as types from '@slack/types';
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Named<T> = Plain<
  { [K in keyof T as string extends K ? never : number extends K ? never : K]: T[K] }>;
type Within = 'message' | 'previous_message' | 'root' | 'files' | 'inviter';
type Event<T> = Omit<T, 'subtype' | Within> & { [field: string]: unknown };
";

/// Fields that Slack documents and these types lack: the field within which they stand, and their name.
const BEYOND_TYPES: &[(&str, &str)] = &[
    // https://docs.slack.dev/reference/events/message/assistant_app_thread
    ("assistant_app_thread", "artifacts"),
    // Required by the OpenAPI description: objs_user_profile, usergroups.list, objs_conversation.
    ("profile", "fields"),
    ("usergroups", "auto_type"),
    ("channel", "parent_conversation"),
    ("channels", "parent_conversation"),
    ("channel", "is_user_deleted"),
    ("channel", "priority"),
    ("channel", "user"),
    // https://docs.slack.dev/reference/events/message: of any message, in an event or a thread.
    ("messages", "client_msg_id"),
    ("messages", "subtype"),
    // The type of files.info has it, that of files.completeUploadExternal has not.
    ("shares", "private"),
    // https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
    ("blocks", "elements"),
];

/// A scope that Slack documents (<https://docs.slack.dev/reference/scopes/assistant.write>) and the
/// manifest's type lacks.
const SCOPE_BEYOND_TYPES: &str = "\"assistant:write\",";

/// Takes out what [`BEYOND_TYPES`] names from what stands within `parent`.
fn without_known(parent: &str, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_rich = fields.get("type").is_some_and(|kind| kind == "rich_text");
            fields.retain(|name, _| {
                let is_known = BEYOND_TYPES.contains(&(parent, name.as_str()));
                !is_known || (parent == "blocks" && !is_rich)
            });
            for (name, value) in fields {
                without_known(name, value);
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| without_known(parent, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `chat.postMessage` is answered with a `ChatPostMessageResponse`.
fn type_of_answer(method: &str) -> String {
    let words = method.split('.').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    format!("{}Response", words.collect::<String>())
}

/// The name of an event's type, for those that Airut is told of.
fn type_of_event(event: &Value) -> &'static str {
    let subtype = event["subtype"].as_str();
    match (event["type"].as_str().unwrap(), subtype) {
        ("message", None) => "GenericMessageEvent",
        ("message", Some("bot_message")) => "BotMessageEvent",
        ("message", Some("channel_join")) => "ChannelJoinMessageEvent",
        ("message", Some("file_share")) => "FileShareMessageEvent",
        ("message", Some("message_changed")) => "MessageChangedEvent",
        ("message", Some("message_deleted")) => "MessageDeletedEvent",
        ("message", Some("thread_broadcast")) => "ThreadBroadcastMessageEvent",
        // The types have none for the root of a thread with the assistant.
        ("message", Some("assistant_app_thread")) => "GenericMessageEvent",
        ("app_mention", _) => "AppMentionEvent",
        ("assistant_thread_started", _) => "AssistantThreadStartedEvent",
        ("assistant_thread_context_changed", _) => "AssistantThreadContextChangedEvent",
        ("reaction_added", _) => "ReactionAddedEvent",
        ("reaction_removed", _) => "ReactionRemovedEvent",
        ("member_joined_channel", _) => "MemberJoinedChannelEvent",
        (other, subtype) => panic!("no type is known for {other} {subtype:?}"),
    }
}

#[tokio::test]
async fn the_types_of_slacks_own_client_fit_every_answer_and_event_and_the_manifest() {
    let Some(compiler) = find("node/node_modules/typescript/bin/tsc") else {
        return;
    };
    let mut source = HEAD.to_owned();
    let mut seen = seen().await;
    for (number, (method, answer)) in seen.answers.iter_mut().enumerate() {
        without_known("", answer);
        let name = type_of_answer(method);
        writeln!(source, "const a{number}: Named<web.{name}> = {answer};").unwrap();
    }
    let events = seen
        .frames
        .iter_mut()
        .map(|frame| frame["payload"]["event"].take());
    for (number, mut event) in events.filter(|event| !event.is_null()).enumerate() {
        without_known("", &mut event);
        let name = type_of_event(&event);
        writeln!(source, "const e{number}: Event<types.{name}> = {event};").unwrap();
    }
    let manifest = include_str!("../../../config/slack-app-manifest.json");
    let manifest = manifest.replacen(SCOPE_BEYOND_TYPES, "", 1);
    let of_create = "web.AppsManifestCreateArguments['manifest']";
    writeln!(source, "const manifest: Named<{of_create}> = {manifest};").unwrap();
    let node = compiler.ancestors().nth(4).unwrap();
    let beside = tempfile::tempdir_in(node).unwrap();
    std::fs::write(beside.path().join("shapes.ts"), &source).unwrap();
    let checked = Command::new("node")
        .arg(&compiler)
        .args(["--noEmit", "--skipLibCheck", "--types", "node"])
        .args(["--module", "nodenext", "--target", "es2022", "shapes.ts"])
        .current_dir(beside.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
}
