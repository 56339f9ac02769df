//! Mail that goes out to real servers, and the search for it afterwards.

use airut::config::types::MailTls;
use airut::events::checkpoint::LogKey;
use airut::events::delivery::{DeliveryKind, DeliveryTarget};
use airut::events::id::{AtMs, ConversationId, DeliveryId, RepoId, Sha256, TaskId};
use airut::handlers::channels::{
    Attachment, Channel as _, OutboundMessage, SendOutcome, Trace, Triage,
};
use airut::handlers::replies::address::{Envelope, new_mail};
use mail_parser::{MessageParser, MimeHeaders};

use crate::common::mail::{ALICE, BOT, answer_to};
use crate::common::{PATIENCE, until};
use crate::email::post::{Post, channel};

/// A checkpoint as it is in an answer: too long for one line of a header.
fn checkpoint() -> String {
    let key = LogKey::first([1; 32]);
    key.checkpoint(123_456, Sha256([0x5a; 32])).to_line()
}

pub(crate) fn answer(to: &str, message_id: &str) -> OutboundMessage {
    OutboundMessage {
        delivery: DeliveryId(1),
        kind: DeliveryKind::Reply,
        repo: RepoId("work".to_owned()),
        conversation: ConversationId(10),
        task: TaskId(1),
        target: DeliveryTarget::Email {
            to: to.to_owned(),
            subject: "Re: [ID:0000000a] Grüße".to_owned(),
            message_id: message_id.to_owned(),
            in_reply_to: "<one@example.test>".to_owned(),
            references: vec!["<zero@x>".to_owned(), "<one@example.test>".to_owned()],
        },
        body: "It is **done**.\n.\n.. ünd more".to_owned(),
        files: vec![Attachment {
            name: "Größe.csv".to_owned(),
            media_type: "text/csv".to_owned(),
            bytes: b"1,2\n".to_vec(),
        }],
        labelled_duplicate: false,
        checkpoint: Some(checkpoint()),
        attempt: 1,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_arrives_in_its_thread_over_either_kind_of_tls() {
    let Some(post) = Post::start() else { return };
    for (tls, id) in [
        (MailTls::StartTls, "<airut.0000000a.17.aa@example.test>"),
        (MailTls::Implicit, "<airut.0000000a.17.bb@example.test>"),
    ] {
        let channel = channel(post.account(MailTls::Implicit, tls));
        let outcome = channel.send(answer(ALICE, id)).await;
        let SendOutcome::Accepted { receipt } = outcome else {
            panic!("{outcome:?}");
        };
        assert!(receipt.starts_with("250 "), "{receipt}");
        let mail = until("the mail to arrive", PATIENCE, || {
            let mut mails = post.servers.inbox(ALICE).into_iter();
            mails.find(|mail| mail.header("Message-ID").as_deref() == Some(id))
        });
        for (name, value) in [
            ("In-Reply-To", "<one@example.test>"),
            ("References", "<zero@x> <one@example.test>"),
            ("Auto-Submitted", "auto-replied"),
            ("Airut-Checkpoint", &checkpoint()),
        ] {
            assert_eq!(mail.header(name).as_deref(), Some(value), "{name}");
        }
        let lines = String::from_utf8_lossy(&mail.raw);
        let longest = lines.lines().map(str::len).max().unwrap();
        assert!(longest <= 998, "{longest}");
        assert_eq!(mail.subject(), "Re: [ID:0000000a] Grüße");
        let text = mail.text().replace("\r\n", "\n");
        assert_eq!(text.trim_end(), "It is **done**.\n.\n.. ünd more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_answers_none_arrives_and_its_answer_finds_the_conversation() {
    let Some(post) = Post::start() else { return };
    let channel = channel(post.account(MailTls::Implicit, MailTls::StartTls));
    let target = new_mail(
        ALICE,
        Envelope {
            delivery: DeliveryId(1),
            conversation: ConversationId(10),
            subject: "Wöchentlicher Bericht",
            from: BOT,
            at: AtMs(17_000),
        },
    );
    let message = OutboundMessage {
        target,
        ..answer(ALICE, "")
    };
    let outcome = channel.send(message.clone()).await;
    assert!(
        matches!(outcome, SendOutcome::Accepted { .. }),
        "{outcome:?}"
    );
    let inbox = post.servers.inbox(ALICE);
    let [mail] = inbox.as_slice() else {
        panic!("{} mails", inbox.len());
    };
    assert_eq!(mail.subject(), "[ID:0000000a] Wöchentlicher Bericht");
    assert_eq!(mail.header("In-Reply-To"), None);
    assert_eq!(mail.header("References"), None);
    let auto = mail.header("Auto-Submitted");
    assert_eq!(auto.as_deref(), Some("auto-generated"));
    let reply = answer_to(mail, ALICE, "2@example.test", "Thanks.");
    post.servers.send(ALICE, &reply);
    let answered = post.servers.inbox(BOT);
    let Triage::Accepted(triaged) = channel.triage(&answered[0].raw, None) else {
        panic!("the answer is refused");
    };
    let found = triaged.conversation_hint.map(|(id, _)| id);
    assert_eq!(found, Some(ConversationId(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_found_and_what_was_not_is_absent() {
    let Some(post) = Post::start() else { return };
    let channel = channel(post.account(MailTls::Implicit, MailTls::StartTls));
    let message = answer(BOT, "<airut.0000000a.17.cc@example.test>");
    let trace = channel.search(message.clone()).await;
    assert!(matches!(trace, Trace::Absent { .. }), "{trace:?}");
    let outcome = channel.send(message.clone()).await;
    assert!(
        matches!(outcome, SendOutcome::Accepted { .. }),
        "{outcome:?}"
    );
    until("the mail to arrive", PATIENCE, || {
        (!post.servers.inbox(BOT).is_empty()).then_some(())
    });
    let trace = channel.search(message).await;
    assert!(matches!(trace, Trace::Found { .. }), "{trace:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_known_not_to_be_sent() {
    let Some(post) = Post::start() else { return };
    let good = post.account(MailTls::Implicit, MailTls::StartTls);
    let mut unverified = good.clone();
    unverified.tls_ca_file = None;
    let mut locked_out = good.clone();
    locked_out.password = Some("open-sesame".to_owned().into());
    let mut nobody_there = good.clone();
    nobody_there.smtp.port = post.servers.port("LMTP_PORT") - 1;
    for (email, to, for_good) in [
        (unverified, ALICE, false),
        (locked_out, ALICE, false),
        (nobody_there, ALICE, false),
        (good, "nobody@example.test", true),
    ] {
        let message = answer(to, "<airut.0000000a.17.dd@example.test>");
        let outcome = channel(email).send(message).await;
        let SendOutcome::Refused { permanent, error } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(permanent, for_good, "{error}");
        assert!(!error.contains("open-sesame"), "{error}");
    }
    assert!(post.servers.inbox(ALICE).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_would_not_take_is_left_out_and_named() {
    let Some(post) = Post::start() else { return };
    let channel = channel(post.account(MailTls::Implicit, MailTls::StartTls));
    let mut message = answer(ALICE, "<airut.0000000a.17.ee@example.test>");
    message.files.push(Attachment {
        name: "core.bin".to_owned(),
        media_type: "application/octet-stream".to_owned(),
        bytes: vec![0; 48 << 20],
    });
    let outcome = channel.send(message).await;
    assert!(
        matches!(outcome, SendOutcome::Accepted { .. }),
        "{outcome:?}"
    );
    let inbox = post.servers.inbox(ALICE);
    let [mail] = inbox.as_slice() else {
        panic!("{} mails", inbox.len());
    };
    let read = MessageParser::default().parse(&mail.raw).unwrap();
    let names: Vec<_> = read
        .attachments()
        .filter_map(MimeHeaders::attachment_name)
        .collect();
    assert_eq!(names, ["Größe.csv"]);
    let text = read.body_text(0).unwrap();
    assert!(
        text.contains("Could not attach `core.bin` (50.3 MB)"),
        "{text}"
    );
}
