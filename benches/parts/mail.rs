//! Mail that comes in: a mailbox full of short mails on a real Dovecot, taken in durably by the channel
//! of the service, and beside it the same mailbox fetched and deleted by the same commands with
//! nothing recorded.

use std::sync::Arc;
use std::time::Duration;

use airut::clock::Stopwatch;
use airut::config::types::{Email, MailTls};
use airut::events::Event;
use airut::events::event::MessageEvent;
use airut::events::log::Log;
use airut::events::log::sled::SledStore;
use airut::handlers::channels::email::imap::Mailbox;
use airut::handlers::channels::email::sign_in::SignIn;
use airut::handlers::channels::email::tls::Trust;

use super::{directory, print};
use crate::post::{Listening, Post};

/// Mails in the mailbox.
const MAILS: usize = 3_000;

/// Mails that one command of the comparison names, as the channel does.
const TOGETHER: usize = 64;

/// Measures both.
pub(crate) fn intake() {
    let Some(post) = Post::start() else {
        println!("mail.intake - the part named above is missing (make setup)");
        return;
    };
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    post.put(MAILS);
    let plain = runtime.block_on(fetch_and_delete(&email));
    print_mails("mail.plain", plain);
    post.put(MAILS);
    let durable = runtime.block_on(take_in(&post, email));
    print_mails("mail.intake", durable);
}

fn print_mails(name: &str, taken: Duration) {
    print(name, MAILS as f64 / taken.as_secs_f64(), "mails/s");
}

async fn fetch_and_delete(email: &Email) -> Duration {
    let trust = Trust::load(email.tls_ca_file.as_deref()).unwrap();
    let means = SignIn::of(email, &trust);
    let watch = Stopwatch::start();
    let mut mailbox = Mailbox::open(email, &trust, &means).await.unwrap();
    let uids: Vec<u32> = mailbox.uids().await.unwrap().into_iter().collect();
    assert_eq!(uids.len(), MAILS);
    for some in uids.chunks(TOGETHER) {
        let fetched = mailbox.fetch_together(some).await.unwrap();
        assert_eq!(fetched.len(), some.len());
        mailbox.delete(some).await.unwrap();
    }
    watch.elapsed()
}

/// Returns the time until the last mail is durable and gone from the mailbox.
async fn take_in(post: &Post, email: Email) -> Duration {
    let directory = directory();
    let store = SledStore::open(directory.path()).unwrap();
    let log = Log::open(Arc::new(store)).unwrap();
    let watch = Stopwatch::start();
    let mut listening = Listening::start_with(post, email, log);
    for _ in 0..MAILS {
        let told = |event| match event {
            Event::Message(MessageEvent::SourceAcknowledged(_)) => Some(()),
            _ => None,
        };
        listening.until(told).await;
    }
    let taken = watch.elapsed();
    listening.stop().await;
    taken
}
