//! Accounts: signing in with tokens at real servers, and several mailboxes beside each other.

use std::path::Path;

use airut::config::types::{Email, MailTls};
use airut::handlers::channels::email::oauth::Tokens;
use airut::handlers::channels::email::tls::Trust;
use airut::handlers::channels::{Channel as _, SendOutcome, Trace};
use secrecy::ExposeSecret as _;

use crate::common::mail::{ALICE, BOT, message};
use crate::email::authority::{Authority, CLIENT_SECRET};
use crate::email::post::{Listening, Post, channel};
use crate::email::sending::answer;

/// Airut's account, with tokens in place of the password.
async fn account(post: &Post) -> (Email, Authority) {
    let authority = Authority::start(&post.directory().join("mail/tls")).await;
    let port = post.servers.port("INTROSPECTION_PORT");
    authority.introspect_at(port).await;
    let email = Email {
        password: None,
        microsoft_oauth2: Some(authority.settings()),
        ..post.account(MailTls::Implicit, MailTls::StartTls)
    };
    (email, authority)
}

fn numbered(number: u32) -> String {
    format!("<airut.0000000a.17.{number:02}@example.test>")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_with_tokens_is_read_and_answered_from_with_one_token() {
    let Some(post) = Post::start() else { return };
    let (email, authority) = account(&post).await;
    let mut listening = Listening::start(&post, email);
    post.servers
        .send(ALICE, &message(ALICE, "1@example.test", "Fix", "Please."));
    let (received, _) = listening.message().await;
    assert!(received.claimed_sender.contains(ALICE));
    let sent = listening.channel.send(answer(ALICE, &numbered(1))).await;
    assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
    assert_eq!(authority.knows.lock().unwrap().issued, 1);
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_server_refuses_is_replaced_at_once() {
    let Some(post) = Post::start() else { return };
    let (email, authority) = account(&post).await;
    let channel = channel(email);
    let issued = || authority.knows.lock().unwrap().issued;
    let revoke = || authority.knows.lock().unwrap().good.clear();
    let sent = channel.send(answer(ALICE, &numbered(1))).await;
    assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
    revoke();
    let sent = channel.send(answer(ALICE, &numbered(2))).await;
    assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
    assert_eq!(issued(), 2);
    revoke();
    let traced = channel.search(answer(ALICE, &numbered(3))).await;
    assert!(matches!(traced, Trace::Absent { .. }), "{traced:?}");
    assert_eq!(issued(), 3);
    // Without another token the failure says whose fault it is, and tells nothing.
    revoke();
    authority.knows.lock().unwrap().refuses = true;
    let sent = channel.send(answer(ALICE, &numbered(4))).await;
    let traced = channel.search(answer(ALICE, &numbered(4))).await;
    for said in [format!("{sent:?}"), format!("{traced:?}")] {
        assert!(said.contains("invalid_client"), "{said}");
        assert!(
            !said.contains(CLIENT_SECRET) && !said.contains("t0ken"),
            "{said}"
        );
    }
    let SendOutcome::Refused { permanent, .. } = sent else {
        panic!("{sent:?}")
    };
    assert!(!permanent, "it is tried again for two days");
}

/// An authority with a certificate of its own, and whom to trust for it.
async fn alone(directory: &Path) -> (Authority, Trust) {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let file = directory.join("server.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    std::fs::write(
        directory.join("server.key"),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
    let authority = Authority::start(directory).await;
    (authority, Trust::load(Some(&file)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_as_ended_five_minutes_before_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, trust) = alone(directory.path()).await;
    for (lasts_s, asked) in [(0, 2), (299, 2), (300, 2), (310, 1), (3600, 1)] {
        {
            let mut knows = authority.knows.lock().unwrap();
            (knows.lasts_s, knows.issued) = (lasts_s, 0);
        }
        let tokens = Tokens::new(authority.settings(), &trust);
        let first = tokens.token().await.unwrap();
        let second = tokens.token().await.unwrap();
        assert!(!first.is_old);
        assert_eq!(second.is_old, asked == 1, "{lasts_s}");
        assert_eq!(authority.knows.lock().unwrap().issued, asked, "{lasts_s}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_needs_a_token_at_the_same_time_gets_the_same_one_and_no_print_shows_it() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, trust) = alone(directory.path()).await;
    let tokens = Tokens::new(authority.settings(), &trust);
    let (one, two) = tokio::join!(tokens.token(), tokens.token());
    let (one, two) = (one.unwrap().token, two.unwrap().token);
    assert_eq!(one.expose_secret(), two.expose_secret());
    assert_eq!(authority.knows.lock().unwrap().issued, 1);
    let printed = format!("{tokens:?}");
    assert!(!printed.contains("t0ken") && !printed.contains(CLIENT_SECRET));
    // A token that is not the one that is kept was replaced already.
    tokens.refused(&"t0ken-0".to_owned().into()).await;
    assert!(tokens.token().await.unwrap().is_old);
    tokens.refused(&one).await;
    assert!(!tokens.token().await.unwrap().is_old);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_repositories_read_each_its_own_mailbox() {
    let Some(post) = Post::start() else { return };
    let (tokens, _authority) = account(&post).await;
    let other = "bob@partner.test";
    let password = Email {
        username: other.to_owned(),
        from: other.to_owned(),
        ..post.account(MailTls::Implicit, MailTls::StartTls)
    };
    let mut first = Listening::start(&post, tokens);
    let mut second = Listening::start(&post, password);
    for (to, id) in [(other, "2@example.test"), (BOT, "1@example.test")] {
        let mail = message(ALICE, id, "Fix", to);
        post.servers.send_to(to, "MX_DMARC_PASS_PORT", ALICE, &mail);
    }
    for (listening, whose) in [(&mut first, BOT), (&mut second, other)] {
        let (_, raw) = listening.message().await;
        let text = String::from_utf8(raw).unwrap();
        assert!(text.trim_end().ends_with(whose), "{text}");
    }
    first.stop().await;
    second.stop().await;
}
