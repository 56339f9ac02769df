//! The manifest that an operator makes the Slack app with, held against what the sources call and
//! against the stand-in, which gives an app exactly what the manifest asks for (spec row SLK-02).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use airut::handlers::channels::slack::needs::{EVENTS, METHODS, METHODS_OF_THE_APP, needs};
use serde_json::{Value, json};

use crate::rules::{ALICE, GENERAL, Ground};

const MANIFEST: &str = include_str!("../../config/slack-app-manifest.json");

/// First words of the names of Slack's methods, by which they are told from other texts.
const FAMILIES: [&str; 17] = [
    "apps",
    "assistant",
    "auth",
    "bookmarks",
    "bots",
    "chat",
    "conversations",
    "dnd",
    "emoji",
    "files",
    "pins",
    "reactions",
    "search",
    "team",
    "usergroups",
    "users",
    "views",
];

fn manifest() -> Value {
    serde_json::from_str(MANIFEST).unwrap()
}

fn names(manifest: &Value, place: &str) -> Vec<String> {
    serde_json::from_value(manifest.pointer(place).unwrap().clone()).unwrap()
}

/// Returns the methods that a source names in texts of its own.
fn methods_in(source: &str) -> BTreeSet<String> {
    let texts = source.split('"').skip(1).step_by(2);
    let is_method = |text: &&str| {
        let family = text.split('.').next().unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphabetic() || c == '.';
        FAMILIES.contains(&family)
            && text.contains('.')
            && !text.ends_with(".com")
            && text.chars().all(is_plain)
    };
    texts.filter(is_method).map(str::to_owned).collect()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.flat_map(|path| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    });
    paths.collect()
}

#[test]
fn slk_02_the_manifest_asks_for_what_is_used_and_nothing_else() {
    let manifest = manifest();
    let scopes: Vec<&str> = needs().iter().map(|need| need.scope).collect();
    assert_eq!(names(&manifest, "/oauth_config/scopes/bot"), scopes);
    let events: Vec<&str> = EVENTS.iter().map(|(event, _)| *event).collect();
    let subscribed = names(&manifest, "/settings/event_subscriptions/bot_events");
    assert_eq!(subscribed, events);
    let settings = &manifest["settings"];
    assert_eq!(settings["socket_mode_enabled"], true);
    assert_eq!(settings["interactivity"]["is_enabled"], true, "the buttons");
    assert_eq!(settings["token_rotation_enabled"], false);
    let home = &manifest["features"]["app_home"];
    assert_eq!(home["messages_tab_enabled"], true);
    assert_eq!(home["messages_tab_read_only_enabled"], false);
    assert!(manifest.pointer("/oauth_config/scopes/user").is_none());
}

#[test]
fn the_manifest_keeps_slacks_limits() {
    let manifest = manifest();
    let chars = |place: &str| {
        let text = manifest.pointer(place).unwrap().as_str().unwrap();
        text.chars().count()
    };
    assert!(chars("/display_information/name") <= 35);
    assert!(chars("/display_information/description") <= 140);
    assert!(chars("/features/agent_view/agent_description") <= 300);
    assert!(chars("/features/bot_user/display_name") <= 80);
    let prompts = &manifest["features"]["agent_view"]["suggested_prompts"];
    assert!(prompts.as_array().unwrap().len() <= 4);
}

#[test]
fn slk_02_each_method_that_is_called_stands_in_the_table_of_scopes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/handlers/channels/slack");
    let mut called = BTreeSet::new();
    for path in sources(&root) {
        if !path.ends_with("needs.rs") {
            called.extend(methods_in(&std::fs::read_to_string(path).unwrap()));
        }
    }
    assert!(called.contains("chat.postMessage"), "{called:?}");
    for method in called {
        let is_known = METHODS.iter().any(|(name, _)| *name == method)
            || METHODS_OF_THE_APP.iter().any(|(name, _)| *name == method);
        assert!(
            is_known,
            "{method} is called: say in needs.rs which scopes it wants, and put them into the manifest"
        );
    }
}

/// A workspace in which every method has something to work on.
struct Stage {
    ground: Ground,
    message: String,
    direct: (String, String),
    private: String,
    file: String,
}

impl Stage {
    fn new() -> Self {
        let ground = Ground::quick();
        let posted = ground.call(
            "chat.postMessage",
            &json!({"channel": GENERAL, "text": "x"}),
        );
        let announced = json!({"filename": "a.txt", "length": 1});
        let announced = ground.call("files.getUploadURLExternal", &announced);
        let url = announced["upload_url"].as_str().unwrap();
        let path = url.split_once("//").unwrap().1.split_once('/').unwrap().1;
        let head = "Content-Type: application/octet-stream\r\nContent-Length: 1\r\n";
        let sent = ground.hand.exchange("POST", &format!("/{path}"), head, "x");
        sent.unwrap();
        let opened = ground.hand.act("assistant", &json!({"user": ALICE}));
        let said = json!({"user": ALICE, "channel": "C0PRIVATE1", "text": "x"});
        let said = ground.hand.act("post", &said);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            message: text(&posted["ts"]),
            direct: (text(&opened["channel"]), text(&opened["thread_ts"])),
            private: text(&said["ts"]),
            file: text(&announced["file_id"]),
            ground,
        }
    }

    fn arguments(&self, method: &str, scope: &str) -> Value {
        let (direct, thread) = &self.direct;
        let (channel, ts) = match scope.split(':').next() {
            Some("groups") => ("C0PRIVATE1", &self.private),
            Some("im") => (direct.as_str(), thread),
            _ => (GENERAL, &self.message),
        };
        match method {
            "assistant.threads.setStatus" => {
                json!({"channel_id": direct, "thread_ts": thread, "status": "is reading"})
            }
            "assistant.threads.setTitle" => {
                json!({"channel_id": direct, "thread_ts": thread, "title": "x"})
            }
            "assistant.threads.setSuggestedPrompts" => {
                let prompts = json!([{"title": "x", "message": "y"}]).to_string();
                json!({"channel_id": direct, "thread_ts": thread, "prompts": prompts})
            }
            "files.getUploadURLExternal" => json!({"filename": "b.txt", "length": 1}),
            "files.completeUploadExternal" => {
                let files = json!([{"id": self.file}]).to_string();
                json!({"files": files, "channel_id": GENERAL})
            }
            "reactions.add" | "reactions.remove" => {
                json!({"channel": GENERAL, "timestamp": self.message, "name": "eyes"})
            }
            "usergroups.users.list" => json!({"usergroup": "S0CREW0001"}),
            "users.info" => json!({"user": ALICE}),
            _ => json!({"channel": channel, "ts": ts, "text": "y"}),
        }
    }

    fn answer(&self, method: &str, scope: &str) -> Value {
        self.ground.call(method, &self.arguments(method, scope))
    }
}

#[test]
fn slk_02_an_app_with_the_manifests_scopes_can_do_everything_and_needs_each_of_them() {
    let stage = Stage::new();
    let granted = names(&manifest(), "/oauth_config/scopes/bot");
    for (method, scopes) in METHODS {
        for scope in *scopes {
            let others: Vec<&String> = granted.iter().filter(|one| one != scope).collect();
            stage.ground.hand.act("scopes", &json!({"names": others}));
            let refused = stage.answer(method, scope);
            assert_eq!(
                refused["error"], "missing_scope",
                "{method} without {scope}"
            );
            assert_eq!(refused["needed"], *scope, "{method}");
            stage.ground.hand.act("scopes", &json!({"names": granted}));
            let done = stage.answer(method, scope);
            assert_eq!(done["ok"], true, "{method} with {scope}: {done}");
        }
        if scopes.is_empty() {
            assert_eq!(stage.answer(method, "")["ok"], true, "{method}");
        }
    }
}
