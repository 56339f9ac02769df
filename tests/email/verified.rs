//! Mails that Airut verifies itself: signed with real keys, which a name server on loopback knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use airut::config::types::{Email, EmailAuth, MailTls, Verify};
use airut::events::id::RepoId;
use airut::events::message::RejectionReason;
use airut::handlers::channels::email::EmailChannel;
use airut::handlers::channels::email::verify::SIGNATURES_MAX;
use airut::handlers::channels::{Channel as _, Triage};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType, rdata::TXT};
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;
use tokio::net::UdpSocket;

use crate::common::mail::message;
use crate::email::post::{Listening, Post, account};

pub(crate) const BOB: &str = "bob@partner.test";

fn public(seed: [u8; 32]) -> [u8; 32] {
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    key.verifying_key().to_bytes()
}

/// The key of a domain: its first letter, again and again.
fn seed(domain: &str) -> [u8; 32] {
    [domain.as_bytes()[0]; 32]
}

/// What the name server knows: text records by name. A name that begins with `_dmarc.broken` has no
/// answer.
fn zone() -> BTreeMap<String, String> {
    let mut zone = BTreeMap::new();
    for domain in ["partner.test", "evil.test", "open.test", "broken.test"] {
        let key = STANDARD.encode(public(seed(domain)));
        zone.insert(
            format!("s1._domainkey.{domain}."),
            format!("v=DKIM1; k=ed25519; p={key}"),
        );
    }
    for domain in ["partner.test", "evil.test"] {
        let policy = "v=DMARC1; p=reject".to_owned();
        zone.insert(format!("_dmarc.{domain}."), policy);
    }
    let senders = "v=spf1 ip4:192.0.2.7 -all".to_owned();
    zone.insert("partner.test.".to_owned(), senders);
    zone
}

/// Starts the name server; port 0 is any that is free.
pub(crate) async fn name_server(port: u16) -> SocketAddr {
    let socket = UdpSocket::bind(("127.0.0.1", port)).await.unwrap();
    let (address, zone) = (socket.local_addr().unwrap(), zone());
    tokio::spawn(async move {
        let mut packet = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut packet).await.unwrap();
            let answer = answer(&zone, &packet[..length]);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

fn answer(zone: &BTreeMap<String, String>, packet: &[u8]) -> Vec<u8> {
    let mut message = Message::from_vec(packet).unwrap();
    message.metadata.message_type = MessageType::Response;
    message.additionals.clear();
    let query = message.queries[0].clone();
    let name = query.name().to_string().to_ascii_lowercase();
    message.metadata.response_code = match zone.get(&name) {
        Some(text) if query.query_type() == RecordType::TXT => {
            let data = RData::TXT(TXT::new(vec![text.clone()]));
            let record = Record::from_rdata(query.name().clone(), 60, data);
            message.answers.push(record);
            ResponseCode::NoError
        }
        Some(_) => ResponseCode::NoError,
        None if name.contains("broken") => ResponseCode::ServFail,
        None => ResponseCode::NXDomain,
    };
    message.to_vec().unwrap()
}

fn account_of(resolver: SocketAddr, base: Email) -> Email {
    let auth = EmailAuth {
        verify: Verify::Ourselves { resolver },
        authorized_senders: vec!["*@partner.test".to_owned(), "*@open.test".to_owned()],
        ..base.auth.clone()
    };
    Email { auth, ..base }
}

pub(crate) fn signed_by(domain: &str, mail: &[u8]) -> Vec<u8> {
    let seed = seed(domain);
    let key = Ed25519Key::from_seed_and_public_key(&seed, &public(seed)).unwrap();
    let signature = DkimSigner::from_key(key)
        .domain(domain)
        .selector("s1")
        .headers(["From", "To", "Subject", "Message-ID"])
        .sign(mail)
        .unwrap();
    [signature.to_header().as_bytes(), mail].concat()
}

/// Signs the body only up to where it ends now, as `l=` of RFC 6376 allows.
fn signed_in_part(mail: &[u8]) -> String {
    let seed = seed("partner.test");
    let key = Ed25519Key::from_seed_and_public_key(&seed, &public(seed)).unwrap();
    let signer = DkimSigner::from_key(key)
        .domain("partner.test")
        .selector("s1")
        .headers(["From", "Subject"])
        .body_length(true);
    let signature = signer.sign(mail).unwrap().to_header();
    assert!(signature.contains("l="), "{signature}");
    signature + std::str::from_utf8(mail).unwrap()
}

fn mail(from: &str) -> Vec<u8> {
    message(from, "1@partner.test", "Fix", "Please do it.")
}

async fn judged(channel: &EmailChannel, raw: &[u8]) -> Result<(String, String), String> {
    let evidence = channel.find_out(raw).await.unwrap();
    match channel.triage(raw, evidence.as_ref()) {
        Triage::Accepted(triaged) => Ok((triaged.identity, triaged.evidence)),
        Triage::Rejected {
            reason: RejectionReason::NotAuthenticated,
            detail,
        } => Err(detail),
        other => panic!("{other:?}"),
    }
}

async fn channel() -> EmailChannel {
    let email = account_of(name_server(0).await, account());
    EmailChannel::new(RepoId("work".to_owned()), email).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_counts_when_its_domain_has_signed_it_and_not_when_anybody_else_has() {
    let channel = channel().await;
    let good = signed_by("partner.test", &mail(BOB));
    let (identity, evidence) = judged(&channel, &good).await.unwrap();
    assert_eq!(identity, BOB);
    assert!(evidence.contains("dkim=pass, spf=unknown"), "{evidence}");
    let text = |raw: &[u8]| String::from_utf8(raw.to_vec()).unwrap();
    let forged = "Authentication-Results: mail.example.test; dmarc=pass\r\n";
    for (raw, why) in [
        (text(&mail(BOB)), "dmarc=fail"),
        (forged.to_owned() + &text(&mail(BOB)), "dmarc=fail"),
        (text(&good).replace("do it", "destroy it"), "dmarc=fail"),
        (
            text(&good).replace("Subject: Fix", "Subject: Rob"),
            "dmarc=fail",
        ),
        (text(&good) + "And more.\r\n", "dmarc=fail"),
        (signed_in_part(&mail(BOB)) + "And more.\r\n", "dmarc=fail"),
        (text(&good).replace("bob@", "eve@"), "dmarc=fail"),
        (text(&signed_by("evil.test", &mail(BOB))), "dmarc=fail"),
        (
            text(&signed_by("open.test", &mail("bob@open.test"))),
            "dmarc=fail",
        ),
        (
            format!("From: {BOB}\r\n{}", text(&good)),
            "more than one From",
        ),
    ] {
        let detail = judged(&channel, raw.as_bytes()).await.unwrap_err();
        assert!(detail.contains(why), "{detail}\n{raw}");
    }
    // Without evidence nothing is believed, not even the header that counts elsewhere.
    let raw = forged.to_owned() + &text(&good);
    let unverified = channel.triage(raw.as_bytes(), None);
    assert!(matches!(unverified, Triage::Rejected { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_without_a_signature_counts_when_its_domain_sends_from_that_address() {
    let channel = channel().await;
    let came = |path: &str, ip: &str, by: &str| {
        let head = format!(
            "Return-Path: <{path}>\r\nReceived: from mail.partner.test (unknown [{ip}])\r\n\tby {by} \
             (Postfix) with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        );
        [head.as_bytes(), &mail(BOB)].concat()
    };
    let good = came(BOB, "192.0.2.7", "mail.example.test");
    let (_, evidence) = judged(&channel, &good).await.unwrap();
    assert!(evidence.contains("spf=pass"), "{evidence}");
    for raw in [
        came(BOB, "198.51.100.1", "mail.example.test"),
        came(BOB, "192.0.2.7", "mail.evil.test"),
        came("bob@evil.test", "192.0.2.7", "mail.example.test"),
        [&came(BOB, "198.51.100.1", "mail.example.test")[..], &good].concat(),
    ] {
        judged(&channel, &raw).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_does_not_answer_decides_nothing() {
    let channel = channel().await;
    let raw = signed_by("broken.test", &mail("bob@broken.test"));
    let error = channel.find_out(&raw).await.unwrap_err();
    assert!(error.contains("did not answer"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_looked_at_up_to_their_limit() {
    let channel = channel().await;
    let good = signed_by("partner.test", &mail(BOB));
    for (count, is_proven) in [
        (SIGNATURES_MAX - 1, true),
        (SIGNATURES_MAX, true),
        (SIGNATURES_MAX + 1, false),
    ] {
        let junk = "DKIM-Signature: v=1\r\n".repeat(count - 1);
        let raw = [junk.as_bytes(), &good].concat();
        assert_eq!(judged(&channel, &raw).await.is_ok(), is_proven, "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_mail_that_came_through_real_servers_is_verified() {
    let Some(post) = Post::start() else { return };
    let base = post.account(MailTls::Implicit, MailTls::StartTls);
    let email = account_of(name_server(0).await, base);
    let mut listening = Listening::start(&post, email);
    let signed = signed_by("partner.test", &mail(BOB));
    let unsigned = message(BOB, "2@partner.test", "Fix", "Please.");
    for (mail, is_proven) in [(signed, true), (unsigned, false)] {
        post.servers.send_through("MX_PORT", BOB, &mail);
        let (_, raw) = listening.message().await;
        let judged = judged(&listening.channel, &raw).await;
        assert_eq!(judged.is_ok(), is_proven, "{judged:?}");
    }
    listening.stop().await;
}
