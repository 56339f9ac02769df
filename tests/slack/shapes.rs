//! The shapes of what the stand-in answers and sends: read by slack-morphism's models, checked against
//! the types that Slack ships with its own client for Node, and against the fields that Slack's
//! descriptions and samples always have.

mod fields;
mod models;
mod types;

use serde_json::{Value, json};

use crate::rules::sockets::Socket;
use crate::rules::{ALICE, GENERAL, Ground};

/// Scopes that Airut's manifest does not ask for, so that every method can be called.
const MORE_SCOPES: [&str; 5] = [
    "im:read",
    "im:write",
    "mpim:read",
    "reactions:read",
    "team:read",
];

/// Events that Airut's manifest does not subscribe to.
const MORE_EVENTS: [&str; 3] = [
    "member_joined_channel",
    "reaction_added",
    "reaction_removed",
];

/// What the stand-in said.
pub(crate) struct Seen {
    /// Method and answer of each call.
    pub(crate) answers: Vec<(String, Value)>,
    /// The frames of a socket.
    pub(crate) frames: Vec<Value>,
}

/// Calls every method, lets everything happen that Airut is told of, and keeps what was said.
pub(crate) async fn seen() -> Seen {
    let ground = Ground::quick();
    let manifest = include_str!("../../config/slack-app-manifest.json");
    let manifest: Value = serde_json::from_str(manifest).unwrap();
    let names = |place: &str, more: &[&str]| {
        let names = manifest.pointer(place).unwrap().clone();
        let mut names: Vec<String> = serde_json::from_value(names).unwrap();
        names.extend(more.iter().map(|&name| name.to_owned()));
        json!({ "names": names })
    };
    let scopes = names("/oauth_config/scopes/bot", &MORE_SCOPES);
    ground.hand.act("scopes", &scopes);
    let events = names("/settings/event_subscriptions/bot_events", &MORE_EVENTS);
    ground.hand.act("subscribed", &events);
    let mut socket = Socket::open(&ground).await;
    let mut seen = Seen {
        answers: vec![],
        frames: vec![socket.next().await],
    };
    people(&ground, &mut seen);
    messages(&ground, &mut seen);
    let direct = threads(&ground, &mut seen);
    files(&ground, &mut seen, &direct);
    happenings(&ground, &direct);
    let told = ground.hand.look("deliveries");
    for _ in told["deliveries"].as_array().unwrap() {
        let frame = socket.next().await;
        socket.acknowledge(&frame).await;
        seen.frames.push(frame);
    }
    ground.hand.act("sockets/disconnect", &json!({}));
    seen.frames.push(socket.next().await);
    seen
}

/// Calls a method that must work, keeps its answer and returns it.
#[track_caller]
fn call(ground: &Ground, seen: &mut Seen, method: &str, args: &Value) -> Value {
    let answer = ground.call(method, args);
    assert_eq!(answer["ok"], true, "{method} {args}: {answer}");
    seen.answers.push((method.to_owned(), answer.clone()));
    answer
}

fn people(ground: &Ground, seen: &mut Seen) {
    for (method, args) in [
        ("api.test", json!({"foo": "bar"})),
        ("auth.test", json!({})),
        ("bots.info", json!({"bot": "B0HERALD01"})),
        ("team.info", json!({})),
        ("users.info", json!({"user": ALICE, "include_locale": true})),
        ("users.info", json!({"user": "U0GONE0001"})),
        ("users.info", json!({"user": "U0ROBOT001"})),
        ("users.info", json!({"user": "U0STRANGE1"})),
        ("users.list", json!({"limit": 3})),
        ("usergroups.list", json!({"include_users": true})),
        ("usergroups.users.list", json!({"usergroup": "S0CREW0001"})),
        ("users.conversations", json!({"types": "public_channel,im"})),
        ("conversations.list", json!({"limit": 1})),
        ("conversations.info", json!({"channel": GENERAL})),
        (
            "conversations.members",
            json!({"channel": GENERAL, "limit": 2}),
        ),
        ("conversations.open", json!({"users": ALICE})),
    ] {
        call(ground, seen, method, &args);
    }
    let (_, opened) = ground.raw("apps.connections.open", crate::rules::APP_TOKEN, &json!({}));
    let opened = serde_json::from_str(&opened).unwrap();
    seen.answers
        .push(("apps.connections.open".to_owned(), opened));
}

fn messages(ground: &Ground, seen: &mut Seen) {
    let buttons = json!([
        {"type": "section", "text": {"type": "mrkdwn", "text": "*plan*"}},
        {"type": "actions", "elements": [{
            "type": "button", "action_id": "airut_stop", "value": "1",
            "text": {"type": "plain_text", "text": "Stop"}, "style": "danger",
        }]},
    ]);
    let metadata = json!({"event_type": "airut_reply", "event_payload": {"part": "1"}});
    let (blocks, metadata) = (buttons.to_string(), metadata.to_string());
    let root = json!({"channel": GENERAL, "text": "plan", "blocks": blocks, "metadata": metadata});
    let root = call(ground, seen, "chat.postMessage", &root);
    let ts = root["ts"].as_str().unwrap();
    let reply = json!({"channel": GENERAL, "text": "a <b> & *c*", "thread_ts": ts});
    call(ground, seen, "chat.postMessage", &reply);
    let said = json!({"user": ALICE, "channel": GENERAL, "text": "so?", "thread_ts": ts});
    ground.hand.act("post", &said);
    let press = json!({"user": ALICE, "channel": GENERAL, "ts": ts, "action_id": "airut_stop"});
    ground.hand.act("press", &press);
    let at = json!({"channel": GENERAL, "timestamp": ts, "name": "eyes"});
    let place = json!({"channel": GENERAL, "ts": ts, "include_all_metadata": true, "limit": 1});
    for (method, args) in [
        ("reactions.add", &at),
        ("reactions.get", &at),
        (
            "conversations.history",
            &json!({"channel": GENERAL, "limit": 1}),
        ),
        (
            "conversations.history",
            &json!({"channel": GENERAL, "include_all_metadata": true}),
        ),
        ("conversations.replies", &place),
        (
            "conversations.replies",
            &json!({"channel": GENERAL, "ts": ts}),
        ),
        (
            "chat.update",
            &json!({"channel": GENERAL, "ts": ts, "text": "plan 2"}),
        ),
        (
            "chat.getPermalink",
            &json!({"channel": GENERAL, "message_ts": ts}),
        ),
        ("reactions.remove", &at),
        (
            "chat.postEphemeral",
            &json!({"channel": GENERAL, "user": ALICE, "text": "psst"}),
        ),
    ] {
        call(ground, seen, method, args);
    }
    let gone = call(
        ground,
        seen,
        "chat.postMessage",
        &json!({"channel": GENERAL, "text": "x"}),
    );
    let gone = json!({"channel": GENERAL, "ts": gone["ts"]});
    call(ground, seen, "chat.delete", &gone);
}

/// Opens a thread of the app's own surface, and returns where.
fn threads(ground: &Ground, seen: &mut Seen) -> Value {
    let opened = json!({"user": ALICE, "context": GENERAL});
    let direct = ground.hand.act("assistant", &opened);
    let (channel, thread) = (&direct["channel"], &direct["thread_ts"]);
    let prompts = json!([{"title": "a", "message": "b"}]).to_string();
    for (method, name, value) in [
        ("assistant.threads.setStatus", "status", "is reading"),
        ("assistant.threads.setTitle", "title", "Reading"),
        ("assistant.threads.setSuggestedPrompts", "prompts", &prompts),
    ] {
        let mut args = json!({"channel_id": channel, "thread_ts": thread});
        args[name] = value.into();
        call(ground, seen, method, &args);
    }
    let replies = json!({"channel": channel, "ts": thread});
    call(ground, seen, "conversations.replies", &replies);
    call(
        ground,
        seen,
        "conversations.info",
        &json!({"channel": channel}),
    );
    direct
}

fn files(ground: &Ground, seen: &mut Seen, direct: &Value) {
    let announced = json!({"filename": "a.txt", "length": 1});
    let announced = call(ground, seen, "files.getUploadURLExternal", &announced);
    let url = announced["upload_url"].as_str().unwrap();
    let path = url.split_once("//").unwrap().1.split_once('/').unwrap().1;
    let head = "Content-Type: application/octet-stream\r\nContent-Length: 1\r\n";
    let sent = ground.hand.exchange("POST", &format!("/{path}"), head, "x");
    assert!(sent.unwrap().0.contains(" 200 "));
    let files = json!([{"id": announced["file_id"], "title": "A"}]).to_string();
    let place = json!({
        "files": files, "channel_id": direct["channel"], "thread_ts": direct["thread_ts"],
    });
    call(ground, seen, "files.completeUploadExternal", &place);
    let file = json!({"file": announced["file_id"]});
    call(ground, seen, "files.info", &file);
    call(ground, seen, "files.delete", &file);
}

/// What people do, of which Slack tells the app.
fn happenings(ground: &Ground, direct: &Value) {
    let act = |what: &str, with: Value| ground.hand.act(what, &with);
    let mention = json!({"user": ALICE, "channel": GENERAL, "text": "<@U0HERALD01> do it"});
    let asked = act("post", mention);
    let thread = &asked["ts"];
    let place = |more: Value| {
        let mut place = json!({"user": ALICE, "channel": GENERAL});
        let more = more.as_object().unwrap().clone();
        place.as_object_mut().unwrap().extend(more);
        place
    };
    let files = json!([{"name": "a.txt", "text": "x"}]);
    act(
        "post",
        place(json!({"text": "see", "thread_ts": thread, "files": files})),
    );
    act(
        "post",
        place(json!({"text": "all", "thread_ts": thread, "broadcast": true})),
    );
    act("post", json!({"user": ALICE, "text": "hello"}));
    act(
        "edit",
        place(json!({"ts": thread, "text": "<@U0HERALD01> do this"})),
    );
    act("unfurl", place(json!({"ts": thread})));
    act("robot", json!({"channel": GENERAL, "text": "beep"}));
    act(
        "join",
        json!({"user": "U0GUEST001", "channel": "C0PRIVATE1"}),
    );
    act("react", place(json!({"ts": thread, "name": "eyes"})));
    let context = json!({
        "user": ALICE, "channel": direct["channel"], "thread_ts": direct["thread_ts"],
        "context": GENERAL,
    });
    act("context", context);
    act(
        "command",
        place(json!({"command": "/airut", "text": "status"})),
    );
    let lone = act("post", place(json!({"text": "oops"})));
    act("delete", place(json!({"ts": lone["ts"]})));
    act("delete", place(json!({"ts": thread})));
}
