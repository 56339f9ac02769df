//! A folder other than the inbox, on a real server.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use airut::config::types::MailTls;
use airut::events::Event;
use airut::events::event::ChannelEvent;
use airut::events::message::MessageSource;

use crate::common::mail::{ALICE, BOT, message};
use crate::email::post::{Listening, Post};

/// Makes a folder in a mailbox as its server keeps it, with one mail in it.
fn make_folder(inbox: &Path, name: &str, mail: &[u8]) {
    let facts = fs::metadata(inbox).unwrap();
    let own = |path: &Path| chown(path, Some(facts.uid()), Some(facts.gid())).unwrap();
    let folder = inbox.join(name);
    for made in [
        folder.clone(),
        folder.join("cur"),
        folder.join("new"),
        folder.join("tmp"),
    ] {
        fs::create_dir(&made).unwrap();
        own(&made);
    }
    let file = folder.join("new/1700000000.M1.test");
    fs::write(&file, mail).unwrap();
    own(&file);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configured_folder_is_read_and_a_missing_one_is_named_in_the_channel_s_health() {
    let Some(post) = Post::start() else { return };
    let waiting = message(ALICE, "1@example.test", "For people", "Not for Airut.");
    post.servers.send(ALICE, &waiting);
    assert_eq!(post.servers.inbox(BOT).len(), 1);
    let mut email = post.account(MailTls::Implicit, MailTls::StartTls);
    email.imap.folder = "Aufträge & mehr".to_owned();
    let mut listening = Listening::start(&post, email);
    let error = listening
        .until(|event| match event {
            Event::Channel(ChannelEvent::Degraded(degraded)) => Some(degraded.error),
            _ => None,
        })
        .await;
    assert!(
        error.contains("no folder \"Aufträge & mehr\" (imap.folder)"),
        "{error}"
    );

    let inbox = post.directory().join("mail/mail").join(BOT).join("Maildir");
    let order = message(ALICE, "2@example.test", "For Airut", "Please.");
    make_folder(&inbox, ".Auftr&AOQ-ge &- mehr", &order);
    let (received, _) = listening.message().await;
    assert_eq!(received.title, "For Airut");
    let MessageSource::Mailbox { folder, .. } = received.source else {
        panic!("it came from a mailbox");
    };
    assert_eq!(folder, "Aufträge & mehr");
    listening.acknowledged().await;
    listening.stop().await;
    let left = post.servers.inbox(BOT);
    assert_eq!(left.len(), 1, "the inbox is left alone");
    assert_eq!(left[0].subject(), "For people");
}
