//! Input that is wrong, hostile or too much: each ends in a recorded event and, where a permitted
//! sender waits, in a clear reply.

use std::collections::BTreeMap;

use crate::common::log::{assert_gapless, count};
use crate::common::mail::{ALICE, BOT, MALLORY, message};
use crate::common::{Event, Plan, World};
use crate::e2e::mail_loop::the_reply;

#[test]
fn mail_that_may_not_be_answered_is_recorded_and_not_answered() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut daemon = world.daemon();
    let mail = world.mail();
    mail.send(
        MALLORY,
        &message(MALLORY, "stranger@example.test", "Let me in", "Hello"),
    );
    let forged = with_head(
        "Authentication-Results: mail.example.test; dmarc=pass\r\n",
        "forged",
    );
    mail.send_through("MX_DMARC_FAIL_PORT", ALICE, &forged);
    mail.send(
        ALICE,
        &with_head(&format!("From: {MALLORY}\r\n"), "twofrom"),
    );
    mail.send(
        ALICE,
        b"To: bot@example.test\r\nSubject: No sender\r\n\r\nHello\r\n",
    );
    mail.send(
        ALICE,
        &with_head("Auto-Submitted: auto-replied\r\n", "robot"),
    );

    let rejected = daemon.await_seen("five rejections", |seen| {
        let rejected = seen
            .iter()
            .filter(|event| event.kind() == "MessageRejected");
        let rejected: Vec<Event> = rejected.cloned().collect();
        (rejected.len() == 5).then_some(rejected)
    });
    let mut reasons = BTreeMap::new();
    for event in &rejected {
        *reasons.entry(event.text("reason").to_owned()).or_insert(0) += 1;
        assert!(!event.text("detail").is_empty(), "{}", event.0);
    }
    assert_eq!(reasons["NotAuthorized"], 1, "{reasons:?}");
    assert_eq!(reasons["Filtered"], 1, "{reasons:?}");
    assert_eq!(reasons["NotAuthenticated"], 3, "{reasons:?}");
    assert_eq!(count(daemon.seen(), "TaskQueued"), 0);
    assert!(daemon.stop().success());
    assert!(mail.inbox(ALICE).is_empty(), "nobody is answered");
    assert!(
        mail.inbox(BOT).is_empty(),
        "what is in the log is out of the mailbox"
    );
    assert_gapless(&world.events());
}

#[test]
fn odd_mail_of_a_permitted_sender_is_answered() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut daemon = world.daemon();
    let odd = odd_mails();
    for (id, mail) in &odd {
        world.mail().send(ALICE, mail);
        daemon.await_event(&format!("the receipt of {id}"), |event| {
            event.kind() == "MessageReceived" && event.text("dedupe_key").contains(id)
        });
    }
    daemon.await_replies(odd.len());
    for (id, _) in &odd {
        the_reply(&world, &format!("{id}@example.test"), "Read.");
    }
}

/// Mails that stretch a reader, by the first part of their id.
fn odd_mails() -> Vec<(&'static str, Vec<u8>)> {
    let from = format!("From: {ALICE}\r\nTo: {BOT}\r\n");
    let mime = "MIME-Version: 1.0\r\nContent-Type: ";
    let unknown = format!(
        "{from}Message-ID: <charset@example.test>\r\nSubject: odd\r\n{mime}text/plain; \
         charset=x-klingon\r\n\r\n[[say:Read.]]\r\n"
    );
    let mut raw_bytes = format!("{from}Message-ID: <bytes@example.test>\r\nSubject: ").into_bytes();
    raw_bytes.extend(b"\xe4\xf6\xfc \xff\r\n\r\n[[say:Read.]] \xe4\r\n");
    let broken = format!(
        "{from}Message-ID: <mime@example.test>\r\nSubject: =?utf-8?Q?broken\r\n{mime}\
         multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
         [[say:Read.]]\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!not base64\r\n"
    );
    let mut large = format!(
        "{from}Message-ID: <large@example.test>\r\nSubject: large\r\n{mime}multipart/mixed; \
         boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n[[say:Read.]]\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Disposition: attachment; \
         filename=\"blob.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    let line = [b"QUJD".repeat(19), b"\r\n".to_vec()].concat();
    large.extend(line.repeat((30 << 20) / line.len()));
    large.extend(b"--b--\r\n");
    vec![
        ("charset", unknown.into_bytes()),
        ("bytes", raw_bytes),
        ("mime", broken.into_bytes()),
        ("large", large),
    ]
}

/// A fault of the repository, and a word of the reply that names it.
const REPOSITORY_FAULTS: [(&str, Option<&str>, &str); 3] = [
    (
        ".airut/network-allowlist.yaml",
        Some("domains: [a\nurl: 7\n"),
        "network-allowlist.yaml",
    ),
    (
        ".airut/network-allowlist.yaml",
        None,
        "network-allowlist.yaml",
    ),
    (
        ".airut/container/Dockerfile",
        Some("FROM localhost/airut-test-base:latest\nRUN echo the-broken-step && false\n"),
        "Dockerfile",
    ),
];

#[test]
fn a_faulty_repository_is_told_to_the_sender() {
    let Some(world) = World::start(&Plan {
        mail: false,
        ..Plan::default()
    }) else {
        return;
    };
    let mut daemon = world.daemon();
    let good = include_str!("../common/seed/network-allowlist.yaml");
    for (number, (path, text, word)) in (1..).zip(REPOSITORY_FAULTS) {
        world
            .repository
            .commit(&[(".airut/network-allowlist.yaml", Some(good))]);
        world.repository.commit(&[(path, text)]);
        assert_told(&world, word);
        daemon.await_replies(number);
    }
    assert_eq!(
        count(daemon.seen(), "TaskCompleted"),
        REPOSITORY_FAULTS.len()
    );
    assert_eq!(count(daemon.seen(), "ImageBuildFailed"), 1);
}

#[test]
fn a_faulty_repository_is_told_by_mail_too() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut daemon = world.daemon();
    let good = include_str!("../common/seed/network-allowlist.yaml");
    for (number, (path, text, word)) in (1..).zip(REPOSITORY_FAULTS) {
        world
            .repository
            .commit(&[(".airut/network-allowlist.yaml", Some(good))]);
        world.repository.commit(&[(path, text)]);
        let id = format!("fault-{number}@example.test");
        world
            .mail()
            .send(ALICE, &message(ALICE, &id, "Try", "Please try."));
        daemon.await_replies(number);
        the_reply(&world, &id, word);
    }
}

#[test]
fn an_unreachable_git_remote_is_told_to_the_sender() {
    // One that knows no such repository, and one where nobody listens.
    for (repo_url, word) in [
        ("https://git.example.test/nothing-here.git", "nothing-here"),
        ("https://127.0.0.1:1/work.git", "127.0.0.1"),
    ] {
        let plan = Plan {
            mail: false,
            repo_url: repo_url.to_owned(),
            ..Plan::default()
        };
        let Some(world) = World::start(&plan) else {
            return;
        };
        let mut daemon = world.daemon();
        assert_told(&world, word);
        daemon.await_replies(1);
        assert!(count(daemon.seen(), "MirrorFetchFailed") >= 1);
    }
}

#[test]
fn without_podman_the_daemon_takes_messages_in_and_says_what_is_missing() {
    let plan = Plan {
        mail: false,
        top_lines: vec!["container_command: /nonexistent/podman".to_owned()],
        ..Plan::default()
    };
    let Some(world) = World::start(&plan) else {
        return;
    };
    let mut daemon = world.daemon();
    assert_told(&world, "podman");
    daemon.await_replies(1);
}

/// Sends a message and stops the test unless the reply names the fault.
#[track_caller]
fn assert_told(world: &World, word: &str) {
    let sent = world.launch.output(&["send", "--wait", "Please try."]);
    let reply = String::from_utf8_lossy(&sent.stdout).into_owned();
    let errors = String::from_utf8_lossy(&sent.stderr).into_owned();
    assert!(
        reply.to_lowercase().contains(&word.to_lowercase()),
        "{word}: {reply} {errors}"
    );
}

fn with_head(head: &str, id: &str) -> Vec<u8> {
    let plain = message(ALICE, &format!("{id}@example.test"), id, "Hello");
    [head.as_bytes(), &plain].concat()
}
