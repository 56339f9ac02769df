//! Connections to the mailbox that break at any word, on a real server: no mail is lost, none is
//! taken in twice (gaps 1 and 2: deleted before it was durable, or marked as seen and never searched
//! again), and the channel says that it was away and is back (gap 45).

use std::collections::BTreeSet;

use airut::config::types::{Email, MailTls};
use airut::events::Event;
use airut::events::event::{ChannelEvent, MessageEvent};
use airut::events::id::{ChannelKind, Position, RepoId};
use airut::events::log::Log;
use airut::projections::Projection as _;
use airut::projections::channel_health::{ChannelHealth, Health};

use crate::common::mail::{ALICE, BOT, message};
use crate::common::{PATIENCE, until};
use crate::email::post::{Listening, Post};
use crate::email::relay::{Act, Relay, Rule, Side, cut_once, find};

/// Where the connection breaks: who speaks, what of it is looked for, and how much of it still
/// gets through; beside it how many mails wait.
const PLACES: [(Side, &str, usize, usize); 13] = [
    (Side::Client, "SELECT", 0, 2),
    (Side::Client, "UID SEARCH UNDELETED", 0, 2),
    (Side::Server, "* SEARCH", 5, 2),
    // One mail, fetched by itself.
    (Side::Client, "BODY.PEEK", 0, 1),
    (Side::Server, "BODY[] {", 40, 1),
    (Side::Client, "UID STORE", 0, 1),
    (Side::Client, "UID STORE", 80, 1),
    (Side::Client, "UID EXPUNGE", 0, 1),
    (Side::Server, "EXPUNGE", 3, 1),
    // Several, fetched together.
    (Side::Client, "BODY.PEEK", 0, 5),
    (Side::Server, "BODY[] {", 600, 5),
    (Side::Client, "UID STORE", 80, 5),
    (Side::Client, "UID EXPUNGE", 80, 5),
];

/// The account, read through a relay.
pub(crate) fn through(post: &Post, relay: &Relay) -> Email {
    let mut email = post.account(MailTls::Implicit, MailTls::StartTls);
    email.imap.port = relay.port;
    email
}

/// A relay before the server's port for mail over TLS.
pub(crate) async fn relay(post: &Post, rule: Rule) -> Relay {
    let tls = post.directory().join("mail/tls");
    Relay::within_tls(post.servers.port("IMAPS_PORT"), &tls, rule).await
}

/// How the channel is, by what the log holds so far.
pub(crate) fn health(log: &Log) -> Vec<String> {
    let mut health = ChannelHealth::default();
    let mut states = Vec::new();
    for recorded in log.read(Position(0), 10_000).unwrap() {
        health.apply(&recorded);
        let state = match health.get(&RepoId("work".to_owned()), ChannelKind::Email) {
            Some(Health::Connected { .. }) => "connected",
            Some(Health::Degraded { .. }) => "degraded",
            Some(Health::Stopped) => "stopped",
            None => continue,
        };
        if states.last().is_none_or(|last| last != state) {
            states.push(state.to_owned());
        }
    }
    states
}

fn titles(log: &Log) -> Vec<String> {
    let events = log.read(Position(0), 10_000).unwrap();
    let received = events.into_iter().filter_map(|event| match event.event {
        Event::Message(MessageEvent::Received(received)) => Some(received.title),
        _ => None,
    });
    received.collect()
}

fn degraded(event: &Event) -> bool {
    matches!(event, Event::Channel(ChannelEvent::Degraded(_)))
}

fn connected(event: &Event) -> bool {
    matches!(event, Event::Channel(ChannelEvent::Connected(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_at_any_word_loses_no_mail_and_doubles_none() {
    let Some(post) = Post::start() else { return };
    for (number, (side, words, bytes, count)) in PLACES.into_iter().enumerate() {
        let sent: BTreeSet<String> = (0..count).map(|mail| format!("{number}-{mail}")).collect();
        for title in &sent {
            let mail = message(ALICE, &format!("{title}@example.test"), title, "Please.");
            post.servers.send(ALICE, &mail);
        }
        assert_eq!(post.servers.inbox(BOT).len(), count);
        let relay = relay(&post, cut_once(side, words, bytes)).await;
        let mut listening = Listening::start(&post, through(&post, &relay));
        let place = format!("{words} of {side:?} after {bytes} bytes");
        for health in [degraded, connected] {
            listening.until(|event| health(&event).then_some(())).await;
        }
        until(&format!("an empty mailbox after {place}"), PATIENCE, || {
            post.servers.inbox(BOT).is_empty().then_some(())
        });
        let log = listening.pause().await;
        let received = titles(&log);
        assert_eq!(received.len(), count, "{place}: {received:?}");
        assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), sent);
        let states = health(&log);
        let [.., before, degraded, again, end] = states.as_slice() else {
            let is_short = states == ["degraded", "connected", "stopped"];
            assert!(is_short, "{place}: {states:?}");
            continue;
        };
        let states = [before, degraded, again, end];
        assert_eq!(states, ["connected", "degraded", "connected", "stopped"]);
        log.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_every_wait_for_news_is_listened_to_all_the_same() {
    let Some(post) = Post::start() else { return };
    // The first three connections break as soon as they wait.
    let rule: Rule = Box::new(|connection, side, said| {
        let waits = side == Side::Server && find(said, "+ idling").is_some();
        if waits && connection <= 3 {
            Act::CutAfter(0)
        } else {
            Act::Pass
        }
    });
    let relay = relay(&post, rule).await;
    let mut listening = Listening::start(&post, through(&post, &relay));
    for _ in 0..3 {
        listening
            .until(|event| degraded(&event).then_some(()))
            .await;
    }
    let mail = message(ALICE, "1@example.test", "Still there", "Please.");
    post.servers.send(ALICE, &mail);
    assert_eq!(listening.message().await.0.title, "Still there");
    listening.acknowledged().await;
    let log = listening.pause().await;
    assert_eq!(health(&log).last().unwrap(), "stopped");
    let again = health(&log).iter().rev().nth(1).cloned();
    assert_eq!(again.as_deref(), Some("connected"));
    log.close().await;
}
