//! Somebody in the middle who takes encryption away from real servers: nothing is said in the clear
//! but the wish for encryption, and nothing is believed (gap 26: encryption was optional and no
//! certificate was verified).

use airut::config::types::MailTls;
use airut::events::Event;
use airut::events::event::ChannelEvent;
use airut::handlers::channels::{Channel as _, SendOutcome};

use crate::common::mail::{ALICE, BOT, PASSWORD};
use crate::email::post::{Listening, Post, channel};
use crate::email::relay::{Act, Relay, Rule, Side, find};
use crate::email::sending::answer;

/// What somebody in the middle does: a name, and the rule.
type Attack = (&'static str, fn(u32, Side, &[u8]) -> Act);

/// Each answers the wish for encryption by itself, in the client's own words.
const AGAINST_IMAP: [Attack; 3] = [
    ("the wish is refused", |_, side, said| {
        instead_of_starttls(side, said, "NO encryption is not available")
    }),
    ("the command is unknown", |_, side, said| {
        instead_of_starttls(side, said, "BAD unknown command")
    }),
    ("the wish is granted and not kept", |_, side, said| {
        instead_of_starttls(side, said, "OK begin")
    }),
];

const AGAINST_SMTP: [Attack; 3] = [
    ("the offer is taken out", |_, side, said| {
        let words = String::from_utf8_lossy(said);
        if side == Side::Server && words.contains("STARTTLS") {
            Act::Instead(words.replace("STARTTLS", "XXXXXXXX").into_bytes())
        } else {
            Act::Pass
        }
    }),
    ("the wish is refused", |_, side, said| {
        instead_of_word(side, said, "454 encryption is not available\r\n")
    }),
    ("the wish is granted and not kept", |_, side, said| {
        instead_of_word(side, said, "220 go on\r\n")
    }),
];

fn instead_of_starttls(side: Side, said: &[u8], words: &str) -> Act {
    let line = String::from_utf8_lossy(said);
    let tag = line.split_whitespace().next().unwrap_or_default();
    instead_of_word(side, said, &format!("{tag} {words}\r\n"))
}

fn instead_of_word(side: Side, said: &[u8], answer: &str) -> Act {
    if side == Side::Client && find(said, "STARTTLS").is_some() {
        Act::Answer(answer.as_bytes().to_vec())
    } else {
        Act::Pass
    }
}

fn degraded(event: Event) -> Option<String> {
    match event {
        Event::Channel(ChannelEvent::Degraded(degraded)) => Some(degraded.error),
        _ => None,
    }
}

/// Stops the test when anything was said in the clear that tells of the account or of a mail.
#[track_caller]
fn assert_silent(relay: &Relay, attack: &str) {
    let heard = relay.heard();
    for word in [BOT, PASSWORD, "LOGIN", "AUTH", "MAIL FROM", "done"] {
        assert!(!heard.contains(word), "{attack}: {word} in {heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_whose_encryption_somebody_takes_away_is_not_signed_in_to() {
    let Some(post) = Post::start() else { return };
    for (attack, rule) in AGAINST_IMAP {
        let rule: Rule = Box::new(rule);
        let relay = Relay::plain(post.servers.port("IMAP_PORT"), rule).await;
        let mut email = post.account(MailTls::StartTls, MailTls::StartTls);
        (email.imap.port, email.imap.connect_retries) = (relay.port, 1);
        let mut listening = Listening::start(&post, email);
        let error = listening.until(degraded).await;
        assert!(error.contains("cannot be reached"), "{attack}: {error}");
        assert!(relay.heard().contains("STARTTLS"), "{attack}");
        assert_silent(&relay, attack);
        listening.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_encryption_somebody_takes_away_is_not_sent() {
    let Some(post) = Post::start() else { return };
    for (attack, rule) in AGAINST_SMTP {
        let rule: Rule = Box::new(rule);
        let relay = Relay::plain(post.servers.port("SUBMISSION_PORT"), rule).await;
        let mut email = post.account(MailTls::Implicit, MailTls::StartTls);
        email.smtp.port = relay.port;
        let message = answer(ALICE, "<airut.0000000a.17.ff@example.test>");
        let outcome = channel(email).send(message).await;
        let SendOutcome::Refused { permanent, error } = outcome else {
            panic!("{attack}: {outcome:?}");
        };
        assert!(!permanent, "{attack}: {error}");
        assert!(relay.heard().contains("EHLO"), "{attack}");
        assert_silent(&relay, attack);
    }
    assert!(post.servers.inbox(ALICE).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn words_put_in_before_the_encryption_begins_are_not_believed() {
    let Some(post) = Post::start() else { return };
    let rule: Rule = Box::new(|_, side, said| {
        let grants = side == Side::Server && find(said, "OK Begin TLS").is_some();
        let injected = [said, b"* BYE go away\r\nA0002 NO wrong password\r\n"].concat();
        if grants {
            Act::Instead(injected)
        } else {
            Act::Pass
        }
    });
    let relay = Relay::plain(post.servers.port("IMAP_PORT"), rule).await;
    let mut email = post.account(MailTls::StartTls, MailTls::StartTls);
    email.imap.port = relay.port;
    let mut listening = Listening::start(&post, email);
    let state = listening
        .until(|event| match event {
            Event::Channel(ChannelEvent::Connected(_)) => Some("connected".to_owned()),
            event => degraded(event),
        })
        .await;
    for injected in ["go away", "wrong password"] {
        assert!(!state.contains(injected), "{state}");
    }
    assert_silent(&relay, "words are put in");
    listening.stop().await;
}
