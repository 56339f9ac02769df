//! Mail that comes in from real servers.

use std::time::{Duration, Instant};

use airut::config::types::MailTls;
use airut::events::Event;
use airut::events::event::ChannelEvent;
use airut::events::message::RejectionReason;
use airut::handlers::channels::{Channel as _, Triage};

use crate::common::mail::{ALICE, MALLORY, message};
use crate::email::post::{Listening, Post};

fn connected(event: Event) -> Option<String> {
    match event {
        Event::Channel(ChannelEvent::Connected(connected)) => Some(connected.mode),
        _ => None,
    }
}

fn degraded(event: Event) -> Option<String> {
    match event {
        Event::Channel(ChannelEvent::Degraded(degraded)) => Some(degraded.error),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_comes_in_over_either_kind_of_tls_and_is_deleted() {
    let Some(post) = Post::start() else { return };
    for (tls, idle, mode) in [
        (MailTls::Implicit, true, "idle"),
        (MailTls::StartTls, false, "poll 0.2 s"),
    ] {
        let mut email = post.account(tls, MailTls::StartTls);
        email.imap.use_idle = idle;
        let mut listening = Listening::start(&post, email);
        assert_eq!(listening.until(connected).await, mode);
        let id = format!("{idle}@example.test");
        post.servers
            .send(ALICE, &message(ALICE, &id, "Fix it", "Please."));
        let (received, raw) = listening.message().await;
        assert_eq!(received.title, "Fix it");
        listening.acknowledged().await;
        assert!(post.servers.inbox("bot@example.test").is_empty());
        let Triage::Accepted(triaged) = listening.channel.triage(&raw, None) else {
            panic!("{}", String::from_utf8_lossy(&raw));
        };
        assert_eq!(
            (triaged.identity.as_str(), triaged.body.as_str()),
            (ALICE, "Please.")
        );
        listening.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_wakes_the_listener_at_once() {
    let Some(post) = Post::start() else { return };
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    let mut listening = Listening::start(&post, email);
    listening.until(connected).await;
    for number in 0..3 {
        let id = format!("{number}@example.test");
        let start = Instant::now();
        post.servers
            .send(ALICE, &message(ALICE, &id, "Now", "Now."));
        listening.message().await;
        let waited = start.elapsed();
        println!("from the sender's SMTP to the log: {waited:?}");
        assert!(waited < Duration::from_secs(10), "{waited:?}");
    }
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_deleted_only_after_it_is_durable() {
    let Some(post) = Post::start() else { return };
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    let mut listening = Listening::start(&post, email);
    listening.until(connected).await;
    // Nothing can be kept any more, as on a disk that is gone; then it is mended.
    let away = post.directory().join("away");
    std::fs::rename(&listening.blobs, &away).unwrap();
    std::fs::write(&listening.blobs, b"").unwrap();
    post.servers
        .send(ALICE, &message(ALICE, "1@example.test", "Keep", "Me."));
    let error = listening.until(degraded).await;
    assert!(error.contains("cannot be kept"), "{error}");
    assert_eq!(post.servers.inbox("bot@example.test").len(), 1);
    std::fs::remove_file(&listening.blobs).unwrap();
    std::fs::rename(&away, &listening.blobs).unwrap();
    listening.message().await;
    listening.acknowledged().await;
    assert!(post.servers.inbox("bot@example.test").is_empty());
    listening.stop().await;
}

/// Gap 26: whoever answered was believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_nobody_vouches_for_is_not_read_from() {
    let Some(post) = Post::start() else { return };
    for tls in [MailTls::Implicit, MailTls::StartTls] {
        let mut email = post.account(tls, MailTls::StartTls);
        email.tls_ca_file = None;
        let mut listening = Listening::start(&post, email);
        let error = listening.until(degraded).await;
        assert!(error.contains("certificate"), "{error}");
        listening.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_without_the_password() {
    let Some(post) = Post::start() else { return };
    let mut email = post.account(MailTls::Implicit, MailTls::StartTls);
    email.password = Some("open-sesame".to_owned().into());
    let mut listening = Listening::start(&post, email);
    let error = listening.until(degraded).await;
    assert!(error.contains("refuses the sign-in"), "{error}");
    assert!(!error.contains("open-sesame"), "{error}");
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_of_thirty_megabytes_comes_in_whole() {
    let Some(post) = Post::start() else { return };
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    let mut listening = Listening::start(&post, email);
    listening.until(connected).await;
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let file = line.repeat((30 << 20) / line.len());
    let mail = format!(
        "From: {ALICE}\r\nSubject: Big\r\nMessage-ID: <big@example.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
         Look.\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: \
         base64\r\nContent-Disposition: attachment; filename=big.bin\r\n\r\n{file}--b--\r\n"
    );
    post.servers.send(ALICE, mail.as_bytes());
    let (_, raw) = listening.message().await;
    let Triage::Accepted(triaged) = listening.channel.triage(&raw, None) else {
        panic!("it is accepted");
    };
    assert_eq!(
        triaged.attachments[0].bytes.len(),
        file.lines().count() * 57
    );
    listening.acknowledged().await;
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_mail_is_taken_in_and_judged() {
    let Some(post) = Post::start() else { return };
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    let mut listening = Listening::start(&post, email);
    listening.until(connected).await;
    let forged = "Authentication-Results: mail.example.test; dmarc=pass\r\n";
    let cases: [(&str, Vec<u8>, Option<RejectionReason>); 7] = [
        (
            "MX_DMARC_FAIL_PORT",
            format!("{forged}From: {ALICE}\r\nSubject: forged\r\n\r\nx\r\n").into(),
            Some(RejectionReason::NotAuthenticated),
        ),
        (
            "MX_DMARC_PASS_PORT",
            format!("From: {ALICE}\r\nFrom: {MALLORY}\r\n\r\ntwo\r\n").into(),
            Some(RejectionReason::NotAuthenticated),
        ),
        (
            "MX_DMARC_PASS_PORT",
            b"Subject: nobody\r\n\r\nx\r\n".to_vec(),
            Some(RejectionReason::NotAuthenticated),
        ),
        (
            "MX_DMARC_PASS_PORT",
            message(MALLORY, "m@x", "Hello", "x"),
            Some(RejectionReason::NotAuthorized),
        ),
        (
            "MX_DMARC_PASS_PORT",
            format!("From: {ALICE}\r\nAuto-Submitted: auto-replied\r\n\r\naway\r\n").into(),
            Some(RejectionReason::Filtered),
        ),
        (
            "MX_DMARC_PASS_PORT",
            format!("From: {ALICE}\r\nContent-Type: text/plain; charset=x-none\r\n\r\nodd\r\n")
                .into(),
            None,
        ),
        (
            "MX_DMARC_PASS_PORT",
            [
                &b"Subject: Gr\xfc\xdfe\r\nFrom: "[..],
                ALICE.as_bytes(),
                b"\r\n\r\nhi\r\n",
            ]
            .concat(),
            None,
        ),
    ];
    for (port, mail, expected) in cases {
        post.servers.send_through(port, ALICE, &mail);
        let (_, raw) = listening.message().await;
        let reason = match listening.channel.triage(&raw, None) {
            Triage::Accepted(_) | Triage::Declined(_) => None,
            Triage::Rejected { reason, .. } => Some(reason),
        };
        assert_eq!(reason, expected, "{}", String::from_utf8_lossy(&raw));
        listening.acknowledged().await;
    }
    listening.stop().await;
}
