//! Mail that gives trouble, on real servers: it holds up no other, and none is lost.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use airut::config::types::{Email, MailTls};
use airut::events::Event;
use airut::events::event::ChannelEvent;
use airut::events::id::Position;
use airut::events::message::MessageSource;
use airut::handlers::channels::{Channel as _, Triage};

use crate::common::mail::{ALICE, BOT, message};
use crate::common::{PATIENCE, until};
use crate::email::post::{Listening, Post};

/// Asked often, so that a test need not wait.
fn polled(post: &Post) -> Email {
    let mut email = post.account(MailTls::Implicit, MailTls::StartTls);
    email.imap.use_idle = false;
    email
}

fn connected(event: &Event) -> bool {
    matches!(event, Event::Channel(ChannelEvent::Connected(_)))
}

/// The files of the bot's mailbox.
fn maildir(post: &Post) -> PathBuf {
    post.directory().join("mail/mail").join(BOT).join("Maildir")
}

/// Puts a mail into the mailbox that is flagged as deleted and not yet removed.
fn put_flagged(post: &Post, name: &str, raw: &[u8]) {
    let inbox = maildir(post);
    let facts = fs::metadata(&inbox).unwrap();
    let new = inbox.join("tmp").join(name);
    fs::write(&new, raw).unwrap();
    chown(&new, Some(facts.uid()), Some(facts.gid())).unwrap();
    fs::rename(new, inbox.join("cur").join(format!("{name}:2,T"))).unwrap();
}

/// Takes from the server, or gives back, the right to read the bot's mails that are there.
fn let_read(post: &Post, mode: u32) {
    let inbox = maildir(post);
    let mut count = 0;
    for directory in ["new", "cur"] {
        let set = |path: &Path| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        for entry in fs::read_dir(inbox.join(directory)).unwrap() {
            set(&entry.unwrap().path());
            count += 1;
        }
    }
    assert_eq!(count, 1, "one mail is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_fetched_holds_up_no_other_and_is_tried_again() {
    let Some(post) = Post::start() else { return };
    post.servers
        .send(ALICE, &message(ALICE, "1@example.test", "First", "x"));
    assert_eq!(post.servers.inbox(BOT).len(), 1);
    let_read(&post, 0o000);
    let mut listening = Listening::start(&post, polled(&post));
    post.servers
        .send(ALICE, &message(ALICE, "2@example.test", "Second", "x"));
    assert_eq!(listening.message().await.0.title, "Second");
    let passed_over = listening
        .until(|event| match event {
            Event::Channel(ChannelEvent::MailPassedOver(passed_over)) => Some(passed_over),
            _ => None,
        })
        .await;
    assert_eq!(passed_over.failures, 3);
    assert!(matches!(
        passed_over.source,
        MessageSource::Mailbox { uid: 1, .. }
    ));
    post.servers
        .send(ALICE, &message(ALICE, "3@example.test", "Third", "x"));
    assert_eq!(listening.message().await.0.title, "Third");
    listening.acknowledged().await;
    listening.stop().await;

    let_read(&post, 0o600);
    let mut listening = Listening::start(&post, polled(&post));
    assert_eq!(listening.message().await.0.title, "First");
    listening.acknowledged().await;
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_flagged_before_a_crash_is_deleted_and_what_others_flagged_stays() {
    let Some(post) = Post::start() else { return };
    let mut listening = Listening::start(&post, polled(&post));
    post.servers
        .send(ALICE, &message(ALICE, "1@example.test", "Ours", "x"));
    let (_, ours) = listening.message().await;
    listening.acknowledged().await;
    let log = listening.pause().await;
    // As a crash between flagging and removing leaves it; and beside it somebody else's.
    let theirs = message(ALICE, "2@example.test", "Theirs", "x");
    put_flagged(&post, "1700000000.M1.test", &ours);
    put_flagged(&post, "1700000000.M2.test", &theirs);

    let mut listening = Listening::start_with(&post, polled(&post), log);
    listening
        .until(|event| connected(&event).then_some(()))
        .await;
    until("ours to be gone", PATIENCE, || {
        let left = post.servers.inbox(BOT);
        (left.len() == 1).then(|| assert_eq!(left[0].subject(), "Theirs"))
    });
    post.servers
        .send(ALICE, &message(ALICE, "3@example.test", "New", "x"));
    assert_eq!(listening.message().await.0.title, "New");
    listening.acknowledged().await;
    assert_eq!(post.servers.inbox(BOT).len(), 1, "theirs is not lost");
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_too_long_is_kept_by_its_header_and_its_sender_told() {
    let Some(post) = Post::start() else { return };
    let mut listening = Listening::start(&post, polled(&post));
    let mut mail = message(ALICE, "big@example.test", "Big", "");
    mail.extend(format!("{}\r\n", "x".repeat(998)).repeat(53 << 10).bytes());
    post.servers.send(ALICE, &mail);
    let (received, raw) = listening.message().await;
    assert!(raw.len() < 300 << 10, "{} bytes", raw.len());
    assert_eq!(received.title, "Big");
    let Triage::Declined(triaged) = listening.channel.triage(&raw, None) else {
        panic!("it is declined");
    };
    assert_eq!(triaged.identity, ALICE);
    assert!(
        triaged.body.contains("the limit is 50 MiB"),
        "{}",
        triaged.body
    );
    listening.stop().await;
    assert_eq!(post.servers.inbox(BOT).len(), 1, "it stays where it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_service_ends_the_mailbox_waits_without_complaint() {
    let Some(post) = Post::start() else { return };
    let mut listening = Listening::start(&post, polled(&post));
    listening
        .until(|event| connected(&event).then_some(()))
        .await;
    listening.intake.close();
    post.servers
        .send(ALICE, &message(ALICE, "1@example.test", "Late", "x"));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        assert_eq!(post.servers.inbox(BOT).len(), 1);
    }
    let log = listening.pause().await;
    let events = log.read(Position(0), 100).unwrap();
    let names: Vec<&str> = events.iter().map(|event| event.event.name()).collect();
    assert_eq!(names, ["ChannelConnected", "ChannelStopped"]);
}
