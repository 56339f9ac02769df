//! `airut render` as a person or a program meets it.

use std::fs;

use super::{Home, complained, said};

const REPLY: &str = "# Done\n\nSee `main.rs` and <b>this</b>.\n\n| a | b |\n|--:|---|\n| 1 | 2 |\n";

fn render(home: &Home, more: &[&str]) -> String {
    fs::write(home.path().join("reply.md"), REPLY).unwrap();
    let mut arguments = vec!["render", "--channel", "email", "reply.md"];
    arguments.extend(more);
    let output = home.run(&arguments);
    assert!(output.status.success(), "{}", complained(&output));
    said(&output)
}

#[test]
fn a_reply_is_shown_as_the_mail_that_would_be_sent_and_is_the_same_every_time() {
    let home = Home::new();
    fs::write(home.path().join("figures.csv"), "1,2\n").unwrap();
    let mail = render(&home, &["--file", "figures.csv"]);
    assert_eq!(mail, render(&home, &["--file", "figures.csv"]));
    for line in [
        "From: Airut <airut@example.com>",
        "Subject: Re: [ID:1f2e3d4c] An example",
        "Message-ID: <airut.1f2e3d4c.1767225600.12345678@example.com>",
        "In-Reply-To: <request@example.com>",
        "Auto-Submitted: auto-replied",
        "Content-Type: text/csv",
        "filename=\"figures.csv\"",
    ] {
        assert!(mail.contains(line), "{line}: {mail}");
    }
}

#[test]
fn a_part_of_a_reply_is_shown_alone() {
    let home = Home::new();
    let html = render(&home, &["--html"]);
    assert!(html.starts_with("<!DOCTYPE html>"), "{html}");
    assert!(
        html.contains("&lt;b&gt;this") && html.contains("<td align=\"right\""),
        "{html}"
    );
    assert_eq!(render(&home, &["--text"]), REPLY);
}

#[test]
fn a_reply_is_from_the_mailbox_of_the_repository_that_is_named() {
    let home = Home::new();
    let config = home.config(
        "config_version: 5\nrepos:\n  work:\n    repo_url: https://git.example.com/w.git\n    email:\n      \
         account: {username: bot, password: secret, from: \"Bot <bot@team.example>\"}\n      \
         imap: {server: imap.team.example}\n      smtp: {server: smtp.team.example}\n      \
         auth: {authorized_senders: [alice@team.example], trusted_authserv_id: mx}\n",
    );
    let mail = render(&home, &["--config", &config, "--repo", "work"]);
    assert!(mail.contains("From: Bot <bot@team.example>"), "{mail}");
    assert!(mail.contains("@team.example>\n"), "{mail}");
    let unknown = home.run(&[
        "render",
        "--channel",
        "email",
        "reply.md",
        "--config",
        &config,
        "--repo",
        "play",
    ]);
    assert!(
        complained(&unknown).contains("\"play\" is not configured"),
        "{unknown:?}"
    );
}

#[test]
fn a_reply_to_slack_is_shown_as_the_calls_that_would_be_made() {
    let home = Home::new();
    let render = |more: &[&str]| {
        fs::write(home.path().join("reply.md"), REPLY).unwrap();
        let mut arguments = vec!["render", "--channel", "slack", "reply.md"];
        arguments.extend(more);
        home.run(&arguments)
    };
    let calls = said(&render(&["--file", "reply.md"]));
    let calls: serde_json::Value = serde_json::from_str(&calls).unwrap();
    let text = calls[0]["body"]["text"].as_str().unwrap();
    assert_eq!(calls[0]["method"], "chat.postMessage");
    assert_eq!(calls[1]["body"]["filename"], "reply.md");
    assert_eq!(calls[2]["method"], "files.completeUploadExternal");
    assert!(
        text.starts_with("*Done*\n\nSee `main.rs` and &lt;b&gt;this"),
        "{text}"
    );
    assert_eq!(said(&render(&["--text"])), format!("{text}\n"));
    let refused = render(&["--html"]);
    assert!(
        !refused.status.success() && complained(&refused).contains("--text"),
        "{refused:?}"
    );
}

#[test]
fn a_reply_to_slack_is_divided_as_it_would_be_sent() {
    let home = Home::new();
    for (chars, messages, files) in [
        (40_000, 1, 0),
        (40_001, 2, 0),
        (190_000, 5, 0),
        (220_000, 1, 1),
    ] {
        let line = format!("{}\n", "a".repeat(99));
        let text: String = line.chars().cycle().take(chars - 1).chain(['a']).collect();
        fs::write(home.path().join("reply.md"), text).unwrap();
        let calls = said(&home.run(&["render", "--channel", "slack", "reply.md"]));
        let calls: Vec<serde_json::Value> = serde_json::from_str(&calls).unwrap();
        let count = |method: &str| calls.iter().filter(|call| call["method"] == method).count();
        let found = (
            count("chat.postMessage"),
            count("files.getUploadURLExternal"),
        );
        assert_eq!(found, (messages, files), "{chars}");
        if files > 0 {
            assert_eq!(calls[1]["body"]["filename"], "response.md");
        }
    }
}

#[test]
fn slk_21_more_than_five_messages_are_shown_as_a_file_as_slack_would_get_them() {
    let home = Home::new();
    let calls = |chars: usize| {
        let text = "word ".repeat(chars / 5);
        fs::write(home.path().join("reply.md"), text).unwrap();
        let shown = said(&home.run(&["render", "--channel", "slack", "reply.md"]));
        let calls: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
        calls
    };
    let five = calls(5 * 39_000);
    assert_eq!(five.len(), 5);
    assert!(five.iter().all(|call| call["method"] == "chat.postMessage"));
    let six = calls(5 * 41_000);
    let methods: Vec<_> = six
        .iter()
        .map(|call| call["method"].as_str().unwrap())
        .collect();
    let expected = [
        "chat.postMessage",
        "files.getUploadURLExternal",
        "files.completeUploadExternal",
    ];
    assert_eq!(methods, expected);
    assert_eq!(six[1]["body"]["filename"], "response.md");
    assert_eq!(six[2]["body"]["files"][0]["title"], "Response");
    let text = six[0]["body"]["text"].as_str().unwrap();
    assert!(text.contains("all of it is in the file"), "{text}");
}
