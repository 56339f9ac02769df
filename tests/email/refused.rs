//! Servers that take an answer later, never, or nobody knows whether: real ones, and a relay before
//! them where a real one cannot be brought to do it at a given word.

use std::fs;
use std::process::Command;

use airut::config::types::{Email, MailTls};
use airut::events::id::AtMs;
use airut::handlers::channels::email::EmailChannel;
use airut::handlers::channels::email::render;
use airut::handlers::channels::email::smtp::SERVER_ADDS_BYTES_MAX;
use airut::handlers::channels::{Attachment, Channel as _, OutboundMessage, SendOutcome, Trace};
use mail_parser::{MessageParser, MimeHeaders};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::common::mail::ALICE;
use crate::common::mailbox::Mail;
use crate::common::run;
use crate::email::post::{Post, channel};
use crate::email::relay::{Act, Relay, Rule, Side, cut_once};
use crate::email::sending::answer;

const ID: &str = "<airut.0000000a.17.ab@example.test>";

/// Changes settings of Postfix while it runs.
pub(crate) fn set(post: &Post, settings: &[(&str, &str)]) {
    let directory = post.directory().join("mail/postfix");
    for (name, value) in settings {
        let mut postconf = Command::new("postconf");
        postconf.arg("-c").arg(&directory).arg("-e");
        run(postconf.arg(format!("{name}={value}")));
    }
    let mut reload = Command::new("postfix");
    run(reload.arg("-c").arg(&directory).arg("reload"));
}

/// The account, whose answers go out through a relay.
fn through(post: &Post, relay: &Relay) -> Email {
    let mut email = post.account(MailTls::Implicit, MailTls::Implicit);
    email.smtp.port = relay.port;
    email
}

async fn relay(post: &Post, rule: Rule) -> Relay {
    let tls = post.directory().join("mail/tls");
    Relay::within_tls(post.servers.port("SMTPS_PORT"), &tls, rule).await
}

#[track_caller]
fn refused(outcome: SendOutcome) -> (bool, String) {
    match outcome {
        SendOutcome::Refused { permanent, error } => (permanent, error),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_accepted(outcome: &SendOutcome) {
    let is_accepted = matches!(outcome, SendOutcome::Accepted { .. });
    assert!(is_accepted, "{outcome:?}");
}

/// A server of policies that lets nobody in at the first try (greylisting); returns its port.
async fn greylist() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut is_first = true;
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                if line == "\n" {
                    let action = if is_first {
                        "defer_if_permit come back later"
                    } else {
                        "dunno"
                    };
                    is_first = false;
                    let answer = format!("action={action}\n\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                line.clear();
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_nothing_at_the_first_try_is_tried_again() {
    let Some(post) = Post::start() else { return };
    let asks = format!("check_policy_service inet:127.0.0.1:{}", greylist().await);
    set(&post, &[("smtpd_recipient_restrictions", &asks)]);
    let channel = channel(post.account(MailTls::Implicit, MailTls::StartTls));
    let (permanent, error) = refused(channel.send(answer(ALICE, ID)).await);
    assert!(!permanent && error.contains("come back later"), "{error}");
    assert_accepted(&channel.send(answer(ALICE, ID)).await);
    assert_eq!(post.servers.inbox(ALICE).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_to_the_text_is_a_clear_yes_or_no() {
    let Some(post) = Post::start() else { return };
    let ends = |said: &[u8]| said.ends_with(b"\r\n.\r\n");
    for (words, expected) in [("452 4.3.1 full", false), ("554 5.7.1 no such words", true)] {
        let rule: Rule = Box::new(move |_, side, said| {
            if side == Side::Client && ends(said) {
                Act::Answer(format!("{words}\r\n").into_bytes())
            } else if said.starts_with(b"QUIT") {
                Act::CutAfter(0)
            } else {
                Act::Pass
            }
        });
        let relay = relay(&post, rule).await;
        let channel = channel(through(&post, &relay));
        let (permanent, error) = refused(channel.send(answer(ALICE, ID)).await);
        assert_eq!(permanent, expected, "{error}");
    }
    // The same from Postfix itself, which refuses a mail for what stands in it.
    let checks = post.directory().join("mail/postfix/no_checkpoint");
    fs::write(&checks, "/^Airut-Checkpoint:/ REJECT no such header here\n").unwrap();
    set(
        &post,
        &[("header_checks", &format!("regexp:{}", checks.display()))],
    );
    let channel = channel(post.account(MailTls::Implicit, MailTls::StartTls));
    let (permanent, error) = refused(channel.send(answer(ALICE, ID)).await);
    assert!(
        permanent && error.contains("no such header here"),
        "{error}"
    );
    assert!(post.servers.inbox(ALICE).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_receipt_is_lost_is_found_where_the_server_keeps_what_is_sent() {
    let Some(post) = Post::start() else { return };
    // As the large providers do: what an account sends is put into its folder of sent mails.
    let copies = post.directory().join("mail/postfix/copies");
    fs::write(&copies, "bot@example.test bot+Sent@example.test\n").unwrap();
    let dovecot = post.directory().join("mail/dovecot/dovecot.conf");
    let to_folder = "protocol lmtp {\n  lmtp_save_to_detail_mailbox = yes\n}\n";
    fs::write(&dovecot, fs::read_to_string(&dovecot).unwrap() + to_folder).unwrap();
    run(Command::new("doveadm")
        .arg("-c")
        .arg(&dovecot)
        .arg("reload"));
    set(
        &post,
        &[("sender_bcc_maps", &format!("texthash:{}", copies.display()))],
    );

    let relay = relay(&post, cut_once(Side::Server, "queued as", 0)).await;
    let trace = trace_of_unknown(&channel(through(&post, &relay))).await;
    let Trace::Found { receipt } = trace else {
        panic!("{trace:?}")
    };
    assert_eq!(receipt, format!("{ID} is in Sent"));
    assert_eq!(post.servers.inbox(ALICE).len(), 1);
}

/// Sends an answer whose fate stays unknown, and searches for it.
async fn trace_of_unknown(channel: &EmailChannel) -> Trace {
    let outcome = channel.send(answer(ALICE, ID)).await;
    assert!(
        matches!(outcome, SendOutcome::Unknown { .. }),
        "{outcome:?}"
    );
    channel.search(answer(ALICE, ID)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_cut_within_its_text_is_found_nowhere() {
    let Some(post) = Post::start() else { return };
    let relay = relay(&post, cut_once(Side::Client, "Auto-Submitted", 30)).await;
    let trace = trace_of_unknown(&channel(through(&post, &relay))).await;
    let Trace::Absent { searched } = trace else {
        panic!("{trace:?}")
    };
    assert_eq!(searched, "INBOX, Sent");
    assert!(post.servers.inbox(ALICE).is_empty());
}

fn file(number: usize, bytes: usize) -> Attachment {
    Attachment {
        name: format!("file-{number:02}.bin"),
        media_type: "application/octet-stream".to_owned(),
        bytes: vec![b'x'; bytes],
    }
}

fn names(mail: &Mail) -> Vec<String> {
    let read = MessageParser::default().parse(&mail.raw).unwrap();
    let names = read.attachments().filter_map(MimeHeaders::attachment_name);
    names.map(ToOwned::to_owned).collect()
}

fn with_files(files: Vec<Attachment>) -> OutboundMessage {
    OutboundMessage {
        files,
        ..answer(ALICE, ID)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dozen_files_arrive_with_an_answer_in_their_order() {
    let Some(post) = Post::start() else { return };
    let files: Vec<Attachment> = (1..=24)
        .map(|number| file(number, 10_000 + number))
        .collect();
    let expected: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let channel = channel(post.account(MailTls::Implicit, MailTls::StartTls));
    assert_accepted(&channel.send(with_files(files.clone())).await);
    let inbox = post.servers.inbox(ALICE);
    assert_eq!(names(&inbox[0]), expected);
    let read = MessageParser::default().parse(&inbox[0].raw).unwrap();
    for (file, part) in files.iter().zip(read.attachments()) {
        assert_eq!(file.bytes, part.contents());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_as_long_as_the_server_takes_is_sent_whole_and_a_longer_one_without_a_file() {
    let Some(post) = Post::start() else { return };
    let message = with_files(vec![file(1, 1000), file(2, 2 << 20)]);
    let from = post.account(MailTls::Implicit, MailTls::StartTls).from;
    let mail = render::mail(&message, &from, AtMs(1_800_000_000_000)).unwrap();
    let bytes = mail.formatted().len();
    let least = bytes + SERVER_ADDS_BYTES_MAX;
    for (max, expected) in [(least + 1, 2), (least, 2), (least - 1, 1)] {
        set(&post, &[("message_size_limit", &max.to_string())]);
        let channel = channel(post.account(MailTls::Implicit, MailTls::StartTls));
        assert_accepted(&channel.send(message.clone()).await);
        let inbox = post.servers.inbox(ALICE);
        let mail = inbox.last().unwrap();
        assert_eq!(names(mail).len(), expected, "{bytes} bytes, at most {max}");
        let tells = mail
            .text()
            .contains("Could not attach `file-02.bin` (2.1 MB)");
        assert_eq!(tells, expected == 1);
    }
}
