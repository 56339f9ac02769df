//! `airut mail explain`, with and without a configuration and a log.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Home, complained, said};

const REPO: &str = "{repo_url: x, email: {account: {username: bot@example.test, from: \
                    bot@example.test, password: p}, imap: {server: i.test}, smtp: {server: \
                    s.test}, auth: {authorized_senders: [alice@example.test], \
                    trusted_authserv_id: mail.example.test}}}";

fn mail(name: &str) -> String {
    let mails = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/eml");
    mails.join(name).display().to_string()
}

fn configure(home: &Home, repos: &[&str]) {
    let directory = home.path().join(".config/airut");
    fs::create_dir_all(&directory).unwrap();
    // Each repository has a mailbox of its own.
    let repo = |id: &&str| {
        format!(
            "  {id}: {}\n",
            REPO.replace("i.test", &format!("{id}.test"))
        )
    };
    let repos: String = repos.iter().map(repo).collect();
    let text = format!("config_version: 5\nrepos:\n{repos}");
    fs::write(directory.join("airut.yaml"), text).unwrap();
}

fn explained(home: &Home, arguments: &[&str]) -> Value {
    let shown = home.run(&[&["mail", "explain", "--json"], arguments].concat());
    assert!(shown.status.success(), "{shown:?}");
    serde_json::from_slice(&shown.stdout).unwrap()
}

#[test]
fn a_mail_is_explained_with_the_judgement_of_the_only_mailbox() {
    let home = Home::new();
    configure(&home, &["work"]);
    let gmail = mail("client/gmail.eml");
    assert_eq!(
        explained(&home, &[&gmail]),
        json!({
            "verdict": "accepted", "reason": null, "detail": null, "repo": "work",
            "identity": {
                "address": "alice@example.test", "method": "dmarc", "rule": "alice@example.test",
                "evidence": "Authentication-Results: mail.example.test; dmarc=pass \
                             header.from=example.test",
            },
            "claimed_sender": "Alice Harbor <alice@example.test>",
            "subject": "Re: [ID:0000000a] Fix",
            "conversation": {
                "id": "0000000a", "found_in": "in_reply_to", "state": "not_looked_up",
            },
            "model_hint": null, "command": null, "attachments": [], "message_id": "<1@example.test>",
            "body": "Yes, please merge it.  \n  \nThanks!\n\n[quoted text removed]",
        })
    );
    let words = said(&home.run(&["mail", "explain", &gmail]));
    for line in [
        "Verdict       accepted: it becomes a task",
        "Sender        alice@example.test, proven by dmarc",
        "Conversation  0000000a, from In-Reply-To; whether it is there was not looked up: there is \
         no log yet",
        "\nText\nYes, please merge it.",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }
}

#[test]
fn a_rejected_mail_is_explained_with_its_reason_and_its_text() {
    let home = Home::new();
    configure(&home, &["work"]);
    let stranger = explained(&home, &[&mail("rfc/stranger.eml")]);
    assert_eq!(
        (&stranger["verdict"], &stranger["reason"]),
        (&json!("rejected"), &json!("not_authorized"))
    );
    assert_eq!(stranger["identity"], Value::Null);
    assert!(!stranger["body"].as_str().unwrap().is_empty());
    let words = said(&home.run(&["mail", "explain", &mail("rfc/stranger.eml")]));
    assert!(
        words.starts_with("Verdict       rejected (not authorized), its sender gets no answer: "),
        "{words}"
    );
}

#[test]
fn without_a_mailbox_to_judge_it_the_mail_alone_is_explained() {
    let home = Home::new();
    let alone = explained(&home, &[&mail("client/gmail.eml")]);
    assert_eq!(alone["verdict"], "not_judged");
    assert_eq!(
        alone["detail"],
        "no repository with a mailbox is configured"
    );
    assert_eq!(alone["conversation"]["id"], "0000000a");
    configure(&home, &["first", "second"]);
    let detail = &explained(&home, &[&mail("client/gmail.eml")])["detail"];
    let expected = "several repositories have a mailbox (first, second); name one with --repo";
    assert_eq!(detail, expected);
    let named = explained(&home, &["--repo", "second", &mail("client/gmail.eml")]);
    assert_eq!(
        (&named["verdict"], &named["repo"]),
        (&json!("accepted"), &json!("second"))
    );
}

#[test]
fn what_cannot_be_explained_is_refused_with_words() {
    let home = Home::new();
    configure(&home, &["work"]);
    fs::write(home.path().join("empty.eml"), "\n").unwrap();
    let gmail = mail("client/gmail.eml");
    for (arguments, word) in [
        (vec!["nowhere.eml"], "nowhere.eml: No such file"),
        (vec!["empty.eml"], "empty.eml is empty"),
        (vec!["--repo", "other", &gmail], "one of these has: work"),
    ] {
        let refused = home.run(&[&["mail", "explain"], arguments.as_slice()].concat());
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(complained(&refused).contains(word), "{refused:?}");
    }
    assert_eq!(home.run(&["mail", "explain"]).status.code(), Some(2));
}

#[test]
fn a_mail_comes_from_standard_input_and_may_be_longer_than_is_taken_in() {
    let home = Home::new();
    configure(&home, &["work"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_airut"))
        .args(["mail", "explain", "--json", "-"])
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut raw = fs::read(mail("client/gmail.eml")).unwrap();
    raw.resize(70 << 20, b'x');
    child.stdin.take().unwrap().write_all(&raw).unwrap();
    let shown: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(shown["verdict"], "declined");
    assert!(
        shown["body"].as_str().unwrap().contains("it has 70 MiB"),
        "{shown}"
    );
}
