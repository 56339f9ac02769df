//! A mailbox that changes under Airut, on a real server: it is made anew, other programs work in it,
//! the server can do less, and many mails wait.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use airut::config::types::{Email, MailTls};
use airut::events::Event;
use airut::events::event::{ChannelEvent, MessageEvent};
use airut::events::message::MessageSource;
use airut::handlers::channels::email::imap::Mailbox;
use airut::handlers::channels::email::sign_in::SignIn;
use airut::handlers::channels::email::tls::Trust;

use crate::common::mail::{ALICE, BOT, PASSWORD, message};
use crate::common::{PATIENCE, mailbox, run, until};
use crate::email::cut::{health, relay, through};
use crate::email::post::{Listening, Post};
use crate::email::relay::{Act, Rule, Side, find};

fn account(post: &Post) -> Email {
    post.account(MailTls::Implicit, MailTls::StartTls)
}

fn connected(event: Event) -> Option<String> {
    match event {
        Event::Channel(ChannelEvent::Connected(connected)) => Some(connected.mode),
        _ => None,
    }
}

fn is_duplicate(event: &Event) -> bool {
    matches!(event, Event::Message(MessageEvent::DuplicateIgnored(_)))
}

fn maildir(post: &Post) -> PathBuf {
    post.directory().join("mail/mail").join(BOT).join("Maildir")
}

/// Runs Dovecot's own tool for whoever looks after the server.
fn doveadm(post: &Post, arguments: &[&str]) {
    let settings = post.directory().join("mail/dovecot/dovecot.conf");
    run(Command::new("doveadm")
        .arg("-c")
        .arg(settings)
        .args(arguments));
}

/// Puts a mail into the mailbox as its server does, with flags as they stand in a file's name.
fn put(post: &Post, name: &str, flags: &str, raw: &[u8]) {
    let inbox = maildir(post);
    let facts = fs::metadata(&inbox).unwrap();
    let new = inbox.join("tmp").join(name);
    fs::write(&new, raw).unwrap();
    chown(&new, Some(facts.uid()), Some(facts.gid())).unwrap();
    let place = if flags.is_empty() {
        inbox.join("new").join(name)
    } else {
        inbox.join("cur").join(format!("{name}:2,{flags}"))
    };
    fs::rename(new, place).unwrap();
}

fn numbers(source: &MessageSource) -> (u32, u32) {
    match source {
        MessageSource::Mailbox {
            uid_validity, uid, ..
        } => (*uid_validity, *uid),
        _ => panic!("{source:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_is_made_anew_while_it_is_read_gives_each_mail_once() {
    let Some(post) = Post::start() else { return };
    let mut listening = Listening::start(&post, account(&post));
    listening.until(connected).await;
    let first = message(ALICE, "1@example.test", "First", "x");
    post.servers.send(ALICE, &first);
    let (received, raw) = listening.message().await;
    listening.acknowledged().await;
    let before = numbers(&received.source);

    // The numbers of the folder mean other mails from now on. The server ends the connection once it
    // finds that out, and the mail that was taken in before is there again.
    doveadm(
        &post,
        &[
            "mailbox",
            "update",
            "-u",
            BOT,
            "--uid-validity",
            "777",
            "INBOX",
        ],
    );
    put(&post, "1700000001.M1.test", "", &raw);
    listening
        .until(|event| is_duplicate(&event).then_some(()))
        .await;
    let second = message(ALICE, "2@example.test", "Second", "x");
    post.servers.send(ALICE, &second);
    let (received, _) = listening.message().await;
    assert_eq!(received.title, "Second");
    assert_eq!(numbers(&received.source).0, 777);
    listening.acknowledged().await;

    // Deleted with all its files, and made anew by the server with the next mail.
    let inbox = maildir(&post);
    // In one step, for the server writes into it meanwhile.
    fs::rename(&inbox, inbox.with_extension("gone")).unwrap();
    post.servers.send(ALICE, &first);
    listening
        .until(|event| is_duplicate(&event).then_some(()))
        .await;
    let third = message(ALICE, "3@example.test", "Third", "x");
    post.servers.send(ALICE, &third);
    let (received, _) = listening.message().await;
    assert_eq!(received.title, "Third");
    let (validity, _) = numbers(&received.source);
    assert!(validity != 777 && validity >= before.0, "{validity}");
    listening.acknowledged().await;
    assert!(post.servers.inbox(BOT).is_empty());
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_was_made_anew_between_two_starts_gives_each_mail_once() {
    let Some(post) = Post::start() else { return };
    let mut listening = Listening::start(&post, account(&post));
    let first = message(ALICE, "1@example.test", "First", "x");
    post.servers.send(ALICE, &first);
    let (received, _) = listening.message().await;
    listening.acknowledged().await;
    let log = listening.pause().await;
    let inbox = maildir(&post);
    // In one step, for the server writes into it meanwhile.
    fs::rename(&inbox, inbox.with_extension("gone")).unwrap();
    // The same number as before means another mail now, and the same mail has another number.
    let second = message(ALICE, "2@example.test", "Second", "x");
    post.servers.send(ALICE, &second);
    assert_eq!(post.servers.inbox(BOT).len(), 1);
    post.servers.send(ALICE, &first);
    assert_eq!(post.servers.inbox(BOT).len(), 2);
    let mut listening = Listening::start_with(&post, account(&post), log);
    let (again, _) = listening.message().await;
    assert_eq!(again.title, "Second");
    let (before, after) = (numbers(&received.source), numbers(&again.source));
    assert_eq!(before.1, after.1);
    assert_ne!(before.0, after.0);
    until("an empty mailbox", PATIENCE, || {
        post.servers.inbox(BOT).is_empty().then_some(())
    });
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_pushes_nothing_and_can_only_expunge_all_is_asked_instead() {
    let Some(post) = Post::start() else { return };
    let settings = post.directory().join("mail/dovecot/dovecot.conf");
    let less = "protocol imap {\n  imap_capability = IMAP4rev1\n}\n";
    fs::write(&settings, fs::read_to_string(&settings).unwrap() + less).unwrap();
    doveadm(&post, &["reload"]);
    // While it takes its settings in, it hangs up on whoever connects.
    until("Dovecot to go by its new settings", PATIENCE, || {
        let (port, authority) = (post.servers.port("IMAPS_PORT"), post.servers.ca_file());
        let mut asking = mailbox::Mailbox::try_open(port, &authority, BOT, PASSWORD).ok()?;
        asking.try_command("CAPABILITY").ok()?;
        let has_idle = asking.said.iter().any(|line| line.contains(" IDLE"));
        (!has_idle).then_some(())
    });
    let relay = relay(&post, Box::new(|_, _, _| Act::Pass)).await;
    let mut listening = Listening::start(&post, through(&post, &relay));
    assert_eq!(listening.until(connected).await, "poll 0.2 s");
    for title in ["First", "Second"] {
        let mail = message(ALICE, &format!("{title}@example.test"), title, "x");
        post.servers.send(ALICE, &mail);
        assert_eq!(listening.message().await.0.title, title);
        listening.acknowledged().await;
    }
    assert!(post.servers.inbox(BOT).is_empty());
    assert_eq!(relay.lines_with("IDLE"), [""; 0]);
    assert_eq!(relay.lines_with("UID EXPUNGE"), [""; 0]);
    assert!(!relay.lines_with("EXPUNGE").is_empty());
    let log = listening.pause().await;
    assert_eq!(health(&log), ["connected", "stopped"]);
    log.close().await;
}

/// Gap 2: what was once marked as seen was never searched again.
#[tokio::test(flavor = "multi_thread")]
async fn flags_of_other_programs_do_not_keep_a_mail_from_being_work() {
    let Some(post) = Post::start() else { return };
    post.put(1);
    for (flags, title) in [("S", "Seen"), ("FS", "Flagged"), ("DRS", "Answered draft")] {
        let raw = message(ALICE, &format!("{flags}@example.test"), title, "x");
        put(&post, &format!("1700000002.M{flags}.test"), flags, &raw);
    }
    let theirs = message(ALICE, "t@example.test", "Deleted by somebody", "x");
    put(&post, "1700000003.M1.test", "ST", &theirs);
    let mut listening = Listening::start(&post, account(&post));
    let mut titles = Vec::new();
    for _ in 0..4 {
        titles.push(listening.message().await.0.title);
    }
    titles.sort();
    assert_eq!(titles, ["Answered draft", "Flagged", "Seen", "first"]);
    until("theirs alone to be left", PATIENCE, || {
        let left = post.servers.inbox(BOT);
        (left.len() == 1).then(|| assert_eq!(left[0].subject(), "Deleted by somebody"))
    });
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_somebody_removes_while_it_is_fetched_is_no_trouble() {
    let Some(post) = Post::start() else { return };
    for count in [1, 3] {
        for number in 0..count {
            let mail = message(ALICE, &format!("{count}-{number}@x"), "Going", "x");
            post.servers.send(ALICE, &mail);
        }
        assert_eq!(post.servers.inbox(BOT).len(), count);
        let inbox = maildir(&post);
        // Its files go when Airut asks for the first text.
        let mut are_gone = false;
        let rule: Rule = Box::new(move |_, side, said| {
            let asks = side == Side::Client && find(said, "BODY.PEEK").is_some();
            if asks && !are_gone {
                are_gone = true;
                for directory in ["new", "cur"] {
                    for entry in fs::read_dir(inbox.join(directory)).unwrap() {
                        drop(fs::remove_file(entry.unwrap().path()));
                    }
                }
            }
            Act::Pass
        });
        let relay = relay(&post, rule).await;
        let mut listening = Listening::start(&post, through(&post, &relay));
        listening.until(connected).await;
        until("the texts to be asked for", PATIENCE, || {
            (!relay.lines_with("BODY.PEEK").is_empty()).then_some(())
        });
        let staying = message(ALICE, &format!("{count}-staying@x"), "Staying", "x");
        post.servers.send(ALICE, &staying);
        assert_eq!(listening.message().await.0.title, "Staying");
        listening.acknowledged().await;
        listening.stop().await;
    }
}

/// The members of each set of mails whose texts were asked for with one command.
fn rounds(lines: &[String]) -> Vec<usize> {
    let texts = lines.iter().filter(|line| line.contains("BODY.PEEK"));
    let sets = texts.filter_map(|line| line.split("FETCH ").nth(1)?.split(' ').next());
    sets.map(|set| set.split(',').count()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_sixty_four_short_mails_are_taken_in_together() {
    for (count, expected) in [
        (63, vec![63]),
        (64, vec![64]),
        (65, vec![64, 1]),
        (130, vec![64, 64, 2]),
    ] {
        let Some(post) = Post::start() else { return };
        post.put(count);
        let relay = relay(&post, Box::new(|_, _, _| Act::Pass)).await;
        let mut listening = Listening::start(&post, through(&post, &relay));
        for _ in 0..count {
            listening.acknowledged().await;
        }
        assert_eq!(rounds(&relay.lines_with("FETCH")), expected);
        listening.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_of_more_than_256_kib_is_taken_in_by_itself() {
    let Some(post) = Post::start() else { return };
    post.put(1);
    let sized = |id: &str, bytes: usize| {
        let head = message(ALICE, id, id, "");
        let line = "x".repeat(98) + "\r\n";
        let mut raw = [head, line.repeat(bytes / 100).into_bytes()].concat();
        raw.truncate(bytes - 2);
        // The last line, whatever was cut.
        let at = raw.len() - 2;
        raw[at..].copy_from_slice(b"xx");
        [raw, b"\r\n".to_vec()].concat()
    };
    let max = 256 << 10;
    for (name, bytes) in [("a-below", max - 1), ("b-at", max), ("c-above", max + 1)] {
        put(
            &post,
            &format!("1800000000.{name}"),
            "",
            &sized(name, bytes),
        );
    }
    let relay = relay(&post, Box::new(|_, _, _| Act::Pass)).await;
    let mut listening = Listening::start(&post, through(&post, &relay));
    let mut titles = Vec::new();
    for _ in 0..4 {
        titles.push(listening.message().await.0.title);
    }
    assert_eq!(titles, ["first", "a-below", "b-at", "c-above"]);
    listening.acknowledged().await;
    assert_eq!(rounds(&relay.lines_with("FETCH")), [3, 1]);
    listening.stop().await;
}

async fn open(email: &Email) -> Mailbox {
    let trust = Trust::load(email.tls_ca_file.as_deref()).unwrap();
    let means = SignIn::of(email, &trust);
    Mailbox::open(email, &trust, &means).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_news_is_begun_anew_on_the_same_connection() {
    let Some(post) = Post::start() else { return };
    post.put(1);
    let relay = relay(&post, Box::new(|_, _, _| Act::Pass)).await;
    let mut mailbox = open(&through(&post, &relay)).await;
    for _ in 0..3 {
        mailbox = mailbox.idle(Duration::from_millis(100)).await.unwrap();
    }
    assert_eq!(relay.lines_with("IDLE").len(), 3);
    assert_eq!(relay.lines_with("DONE").len(), 3);
    let waits = tokio::spawn(mailbox.idle(PATIENCE));
    until("the fourth wait", PATIENCE, || {
        (relay.lines_with("IDLE").len() == 4).then_some(())
    });
    let mail = message(ALICE, "2@example.test", "News", "x");
    post.servers.send(ALICE, &mail);
    let mut mailbox = waits.await.unwrap().unwrap();
    assert_eq!(mailbox.uids().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_server_that_falls_silent_while_it_is_waited_for_is_left() {
    let Some(post) = Post::start() else { return };
    let silent = std::sync::Arc::new(tokio::sync::Notify::new());
    let falls_silent = std::sync::Arc::clone(&silent);
    let mut is_silent = false;
    let rule: Rule = Box::new(move |_, side, said| {
        if is_silent {
            return Act::Instead(Vec::new());
        }
        if side == Side::Server && find(said, "+ idling").is_some() {
            is_silent = true;
            falls_silent.notify_one();
        }
        Act::Pass
    });
    let relay = relay(&post, rule).await;
    let mailbox = open(&through(&post, &relay)).await;
    let five_minutes = Duration::from_secs(300);
    let goes_on = async {
        silent.notified().await;
        // Nothing real moves any more: the time that is waited may pass at once.
        tokio::time::pause();
    };
    let start = tokio::time::Instant::now();
    let (ended, ()) = tokio::join!(mailbox.idle(five_minutes), goes_on);
    let error = ended.unwrap_err().to_string();
    assert_eq!(error, "DONE took too long");
    assert_eq!(start.elapsed().as_secs() / 60, 6);
}
