//! Long mails on a real server: they come in parts, and are what they were.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};

use airut::config::types::MailTls;
use airut::handlers::channels::Triage;
use airut::handlers::channels::email::identity::dedupe_key;
use airut::handlers::channels::email::imap::{MAIL_BYTES_MAX, PART_BYTES_MAX};
use airut::handlers::channels::email::{too_long, triage};

use crate::common::mail::{ALICE, BOT, message};
use crate::email::post::{Listening, Post};

/// Puts a mail of exactly so many bytes into the mailbox, as its server does, and returns it.
fn put(post: &Post, number: usize, bytes: usize) -> Vec<u8> {
    let id = format!("long-{number}@example.test");
    let verdict =
        "Authentication-Results: mail.example.test; dmarc=pass header.from=example.test\r\n";
    let mut raw = [
        verdict.as_bytes(),
        &message(ALICE, &id, &format!("Long {number}"), ""),
    ]
    .concat();
    while raw.len() < bytes {
        let line = (bytes - raw.len()).min(78);
        let text = vec![b'a' + (raw.len() % 23) as u8; line.saturating_sub(2)];
        // The last line may have no room for its end.
        raw.extend(if line > 2 {
            [text.as_slice(), b"\r\n"].concat()
        } else {
            vec![b'.'; line]
        });
    }
    assert_eq!(raw.len(), bytes);
    let inbox = post.directory().join("mail/mail").join(BOT).join("Maildir");
    let facts = fs::metadata(&inbox).unwrap();
    let name = format!("17000{number:05}.M{number}.test");
    let new = inbox.join("tmp").join(&name);
    fs::write(&new, &raw).unwrap();
    chown(&new, Some(facts.uid()), Some(facts.gid())).unwrap();
    fs::rename(new, inbox.join("new").join(name)).unwrap();
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_mail_comes_in_parts_and_is_the_mail_that_was_sent() {
    let Some(post) = Post::start() else { return };
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    let account = format!("{}@{}", email.username, email.imap.server);
    post.servers
        .send(ALICE, &message(ALICE, "0@example.test", "First", "x"));
    assert_eq!(post.servers.inbox(BOT).len(), 1);
    let mut listening = Listening::start(&post, email.clone());
    assert_eq!(listening.message().await.0.title, "First");
    listening.acknowledged().await;
    let part = PART_BYTES_MAX as usize;
    for (number, bytes) in [part - 1, part, part + 1, 2 * part, 5 * part + 77]
        .into_iter()
        .enumerate()
    {
        let sent = put(&post, number, bytes);
        let (received, raw) = listening.message().await;
        assert_eq!(received.title, format!("Long {number}"));
        assert_eq!(received.raw.bytes, bytes as u64);
        assert!(raw == sent, "another content of {bytes} bytes came");
        assert_eq!(received.dedupe_key, dedupe_key(&account, &sent, true));
        listening.acknowledged().await;
    }
    assert!(post.servers.inbox(BOT).is_empty());
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_at_the_limit_is_read_and_one_beyond_it_is_declined() {
    let Some(post) = Post::start() else { return };
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    post.servers
        .send(ALICE, &message(ALICE, "0@example.test", "First", "x"));
    assert_eq!(post.servers.inbox(BOT).len(), 1);
    let mut listening = Listening::start(&post, email.clone());
    listening.message().await;
    listening.acknowledged().await;
    let most = MAIL_BYTES_MAX as usize;
    let sent = put(&post, 1, most);
    let (received, raw) = listening.message().await;
    assert!(raw == sent, "{} bytes came", received.raw.bytes);
    assert!(matches!(triage(&raw, &email, None), Triage::Accepted(_)));
    put(&post, 2, most + 1);
    let (_, raw) = listening.message().await;
    assert_eq!(too_long::split(&raw).0, Some(MAIL_BYTES_MAX + 1));
    assert!(matches!(triage(&raw, &email, None), Triage::Declined(_)));
    listening.stop().await;
}
