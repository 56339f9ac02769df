//! `airut check` of a Slack app, against the stand-in: what an operator reads when a token, a scope, a
//! channel or a rule is wrong, and that it is silent where nothing is.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output};

use airut::config::types::{Slack, SlackRule};
use airut::handlers::channels::slack::check::{Finding, Weight, examine};
use airut::handlers::channels::slack::web::standing::ANSWER_BYTES_MAX;
use serde_json::{Value, json};

use crate::rules::{ALICE, APP_TOKEN, BOT_TOKEN, GENERAL, Ground};

fn settings(ground: &Ground) -> Slack {
    Slack {
        bot_token: BOT_TOKEN.to_owned().into(),
        app_token: APP_TOKEN.to_owned().into(),
        authorized: vec![SlackRule::WorkspaceMembers(true)],
        allowed_channels: vec![],
        api_url: ground.hand.api_url(),
    }
}

fn examined(settings: &Slack) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(examine(settings))
}

fn of_weight(settings: &Slack, weight: Weight) -> Vec<String> {
    let findings = examined(settings).into_iter();
    let findings = findings.filter(|finding| finding.weight == weight);
    findings.map(|finding| finding.words).collect()
}

fn bad(settings: &Slack) -> Vec<String> {
    of_weight(settings, Weight::Bad)
}

fn granted(ground: &Ground, without: &[&str], with: &[&str]) {
    let manifest: Value =
        serde_json::from_str(include_str!("../../config/slack-app-manifest.json")).unwrap();
    let scopes = manifest.pointer("/oauth_config/scopes/bot").unwrap();
    let scopes: Vec<String> = serde_json::from_value(scopes.clone()).unwrap();
    let scopes = scopes.iter().map(String::as_str);
    let scopes = scopes.filter(|scope| !without.contains(scope));
    let names: Vec<&str> = scopes.chain(with.iter().copied()).collect();
    ground.hand.act("scopes", &json!({ "names": names }));
}

#[test]
fn a_whole_set_up_is_told_as_good() {
    let ground = Ground::quick();
    let settings = Slack {
        authorized: vec![
            SlackRule::UserGroup("crew".to_owned()),
            SlackRule::UserId(ALICE.to_owned()),
        ],
        allowed_channels: vec![GENERAL.to_owned(), "C0PRIVATE1".to_owned()],
        ..settings(&ground)
    };
    assert_eq!(bad(&settings), Vec::<String>::new());
    let good = of_weight(&settings, Weight::Good);
    let expected = [
        "Slack: app_token opens sockets",
        "Slack: bot_token is that of airut in the workspace Herald (https://herald.slack.com/)",
        "Slack: the app is in #general (C0GENERAL1)",
        "Slack: the app is in #private (C0PRIVATE1)",
        "Slack: the group @crew has 2 members",
    ];
    assert_eq!(good, expected);
    let [note] = of_weight(&settings, Weight::Note).try_into().unwrap();
    assert!(note.contains("message.channels"), "{note}");
    let posted = ground.hand.look("calls?method=chat.postMessage");
    assert_eq!(posted["calls"], json!([]), "a check posts nothing");
}

#[test]
fn a_missing_scope_is_named_with_what_needs_it_and_how_it_is_added() {
    let ground = Ground::quick();
    granted(&ground, &["groups:history", "users:read"], &["admin"]);
    let settings = settings(&ground);
    let expected = [
        "Slack: the scope groups:history is missing, which is needed for conversations.history, \
         conversations.replies and the event message.groups",
        "Slack: the scope users:read is missing, which is needed for bots.info and users.info",
    ];
    assert_eq!(bad(&settings), expected);
    let notes = of_weight(&settings, Weight::Note).join("\n");
    assert!(notes.contains("Add an OAuth Scope"), "{notes}");
    assert!(notes.contains("reinstall the app"), "{notes}");
    assert!(notes.contains("take away admin"), "{notes}");
}

#[test]
fn a_token_that_slack_refuses_is_named_with_its_place() {
    let ground = Ground::quick();
    let mistyped = Slack {
        bot_token: "xoxb-of-another".to_owned().into(),
        ..settings(&ground)
    };
    let [words] = bad(&mistyped).try_into().unwrap();
    assert!(
        words.contains("bot_token is none that Slack knows"),
        "{words}"
    );
    assert!(words.contains("Bot User OAuth Token"), "{words}");
    assert!(!words.contains("xoxb-of-another"), "{words}");
    let mistyped = Slack {
        app_token: "xapp-of-another".to_owned().into(),
        ..settings(&ground)
    };
    let [words] = bad(&mistyped).try_into().unwrap();
    assert!(words.contains("App-Level Tokens"), "{words}");
    let swapped = Slack {
        app_token: BOT_TOKEN.to_owned().into(),
        bot_token: APP_TOKEN.to_owned().into(),
        ..settings(&ground)
    };
    let words = bad(&swapped).join("\n");
    assert!(words.contains("app_token is of the wrong kind"), "{words}");
    assert!(words.contains("and not of a bot"), "{words}");
    for (method, error, word) in [
        ("auth.test", "token_revoked", "install the app again"),
        (
            "apps.connections.open",
            "missing_scope",
            "connections:write",
        ),
    ] {
        let fault = json!({"method": method, "kind": "error", "error": error});
        ground.hand.act("faults", &fault);
        let words = bad(&settings(&ground)).join("\n");
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn a_channel_that_the_app_cannot_hear_is_told() {
    let ground = Ground::quick();
    let channels = ["C0WITHOUT1", "C0ARCHIVE1", "C0HIDDEN01"];
    let settings = Slack {
        allowed_channels: channels.map(str::to_owned).into(),
        ..settings(&ground)
    };
    let expected = [
        "Slack: the app is not in the allowed channel #without (C0WITHOUT1): write `/invite @airut` \
         there",
        "Slack: the allowed channel #archive (C0ARCHIVE1) is archived",
        "Slack: there is no channel C0HIDDEN01, or it is private and the app is not in it: correct \
         allowed_channels, or write `/invite @airut` there",
    ];
    assert_eq!(bad(&settings), expected);
}

#[test]
fn a_rule_that_permits_nobody_is_told() {
    let ground = Ground::quick();
    let users = [
        "U0GONE0001",
        "U0ROBOT001",
        "U0STRANGE1",
        "U0NOBODY01",
        ALICE,
    ];
    let users = users.map(|id| SlackRule::UserId(id.to_owned()));
    let group = SlackRule::UserGroup("deckhands".to_owned());
    let settings = Slack {
        authorized: [
            vec![group, SlackRule::WorkspaceMembers(false)],
            users.into(),
        ]
        .concat(),
        ..settings(&ground)
    };
    let expected = [
        "Slack: there is no user group @deckhands, or it is disabled, so its rule permits nobody; the \
         workspace has @crew",
        "Slack: the rule for U0GONE0001 permits nobody: U0GONE0001 is deactivated",
        "Slack: the rule for U0ROBOT001 permits nobody: U0ROBOT001 is a bot",
        "Slack: the rule for U0STRANGE1 permits nobody: U0STRANGE1 is of another workspace",
        "Slack: there is no user U0NOBODY01 in this workspace: copy the member ID from their profile",
    ];
    assert_eq!(bad(&settings), expected);
    let notes = of_weight(&settings, Weight::Note).join("\n");
    assert!(notes.contains("workspace_members: false"), "{notes}");
}

#[test]
fn a_slack_that_cannot_be_reached_is_told() {
    let ground = Ground::quick();
    let nowhere = Slack {
        api_url: "http://127.0.0.1:9/api".to_owned(),
        ..settings(&ground)
    };
    let words = bad(&nowhere).join("\n");
    assert!(words.contains("Slack cannot be reached"), "{words}");
}

/// Answers one call with so many bytes, and returns what is said of the bot token.
fn answered_with(bytes: usize) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 4_096];
        assert!(stream.read(&mut asked).unwrap() > 0);
        let answer = r#"{"ok":true,"team":"Herald"}"#;
        let body = answer.to_owned() + &" ".repeat(bytes - answer.len());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
        // Whoever reads no further hangs up.
        drop(stream.write_all((head + &body).as_bytes()));
    });
    let settings = Slack {
        bot_token: BOT_TOKEN.to_owned().into(),
        app_token: APP_TOKEN.to_owned().into(),
        authorized: vec![],
        allowed_channels: vec![],
        api_url: format!("http://{address}/api"),
    };
    let words: Vec<String> = examined(&settings)
        .into_iter()
        .map(|one| one.words)
        .collect();
    server.join().unwrap();
    words.join("\n")
}

#[test]
fn an_answer_is_read_up_to_its_limit_and_a_longer_one_not() {
    for bytes in [ANSWER_BYTES_MAX - 1, ANSWER_BYTES_MAX] {
        let words = answered_with(bytes);
        assert!(words.contains("in the workspace Herald"), "{words}");
    }
    let words = answered_with(ANSWER_BYTES_MAX + 1);
    assert!(words.contains("not answered to the end"), "{words}");
}

/// Runs `airut check` with a configuration for this stand-in.
fn airut_check(home: &Path, slack: &str) -> Output {
    let config = home.join("airut.yaml");
    let text = format!(
        "config_version: 5\nrepos:\n  work:\n    repo_url: https://git.example/x\n    slack:\n{slack}"
    );
    std::fs::write(&config, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_airut"))
        .args(["check", "--config"])
        .arg(config)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .output()
        .unwrap()
}

#[test]
fn slk_02_airut_check_prints_it_and_fails_where_something_is_missing() {
    let ground = Ground::quick();
    let home = tempfile::tempdir().unwrap();
    let slack = |bot: &str, app: &str| {
        let api = ground.hand.api_url();
        let indented = |line: String| format!("      {line}\n");
        [
            format!("bot_token: {bot}"),
            format!("app_token: {app}"),
            "authorized: [{workspace_members: true}]".to_owned(),
            format!("api_url: {api}"),
        ]
        .map(indented)
        .concat()
    };
    let well = airut_check(home.path(), &slack(BOT_TOKEN, APP_TOKEN));
    let words = String::from_utf8_lossy(&well.stdout).into_owned();
    assert!(
        words.contains("work, reachable by Slack and airut send"),
        "{words}"
    );
    assert!(
        words.contains("ok    repository work: Slack: app_token opens sockets"),
        "{words}"
    );
    assert!(!words.contains("bad   repository work"), "{words}");
    granted(&ground, &["files:write"], &[]);
    let missing = airut_check(home.path(), &slack(BOT_TOKEN, APP_TOKEN));
    let words = String::from_utf8_lossy(&missing.stdout).into_owned();
    assert!(
        words.contains("the scope files:write is missing"),
        "{words}"
    );
    assert!(!words.contains(BOT_TOKEN), "{words}");
    assert_eq!(missing.status.code(), Some(1));
    let swapped = airut_check(home.path(), &slack(APP_TOKEN, BOT_TOKEN));
    let words = String::from_utf8_lossy(&swapped.stdout).into_owned();
    assert!(words.contains("which belongs into app_token"), "{words}");
    assert!(!words.contains(APP_TOKEN), "{words}");
    assert_eq!(swapped.status.code(), Some(1));
}
