//! Many mails at once, and the same mail more than once, on real servers.

use std::sync::Arc;
use std::time::Instant;

use airut::config::types::MailTls;
use airut::events::Event;
use airut::events::event::MessageEvent;
use airut::events::log::Log;
use airut::events::log::sled::SledStore;

use crate::common::mail::{ALICE, BOT, message};
use crate::common::{PATIENCE, until};
use crate::email::post::{Listening, Post};

/// Mails that wait in the mailbox at the start.
const WAITING: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_waiting_mails_come_in_each_once_and_are_deleted() {
    let Some(post) = Post::start() else { return };
    post.put(WAITING);
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    let store = SledStore::open(&post.directory().join("log")).unwrap();
    let log = Log::open(Arc::new(store)).unwrap();
    let start = Instant::now();
    let mut listening = Listening::start_with(&post, email, log);
    let mut titles = Vec::new();
    for _ in 0..WAITING {
        let title = listening.until(|event| match event {
            Event::Message(MessageEvent::Received(received)) => Some(received.title),
            _ => None,
        });
        titles.push(title.await);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{WAITING} mails are durable after {seconds:.1} s, {:.0}/s",
        WAITING as f64 / seconds
    );
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), WAITING, "each came once");
    until("the mailbox to be empty", PATIENCE, || {
        post.servers.inbox(BOT).is_empty().then_some(())
    });
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_copies_of_a_mail_are_one_message_and_another_content_is_another() {
    let Some(post) = Post::start() else { return };
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    let mut listening = Listening::start(&post, email);
    let mail = message(ALICE, "1@example.test", "Once", "Please.");
    post.servers.send(ALICE, &mail);
    let (first, _) = listening.message().await;
    listening.acknowledged().await;
    // Postfix gives the second copy another `Received`, another queue and another time.
    post.servers.send(ALICE, &mail);
    let ignored = listening
        .until(|event| match event {
            Event::Message(MessageEvent::DuplicateIgnored(ignored)) => Some(ignored.inbound),
            _ => None,
        })
        .await;
    assert_eq!(ignored, first.inbound);
    let other = message(ALICE, "1@example.test", "Twice", "Please.");
    post.servers.send(ALICE, &other);
    assert_eq!(listening.message().await.0.title, "Twice");
    listening.acknowledged().await;
    assert!(post.servers.inbox(BOT).is_empty());
    listening.stop().await;
}
