//! The whole daemon behind mail servers that fail: each mail is answered once, in
//! one thread. It knows the command line, the log's public form and what a person sees.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::common::daemon::delivered_replies;
use crate::common::mail::{ALICE, BOT, answer_to, message};
use crate::common::mailbox::{Mail, Mailbox};
use crate::common::{Event, Plan, World, run};
use crate::email::relay::{Act, Relay, Rule, Side, find};

/// Sends the daemon's mail through a relay.
fn send_through(world: &World, relay: &Relay) {
    let config = &world.launch.config;
    let text = fs::read_to_string(config).unwrap();
    let submission = world.mail().port("SUBMISSION_PORT");
    let direct = format!("port: {submission}, tls: starttls");
    assert!(text.contains(&direct), "{text}");
    let relayed = format!("port: {}, tls: implicit", relay.port);
    fs::write(config, text.replace(&direct, &relayed)).unwrap();
}

/// Starts or stops Postfix, and leaves Dovecot alone.
pub(crate) fn postfix(world: &World, what: &str) {
    let settings = world.dir.join("mail/postfix");
    run(Command::new("postfix").arg("-c").arg(settings).arg(what));
}

/// Lets Postfix put what the bot sends into its folder of sent mails, as large providers do.
fn keep_what_is_sent(world: &World) {
    let copies = world.dir.join("mail/postfix/copies");
    fs::write(&copies, format!("{BOT} bot+Sent@example.test\n")).unwrap();
    let dovecot = world.dir.join("mail/dovecot/dovecot.conf");
    let to_folder = "protocol lmtp {\n  lmtp_save_to_detail_mailbox = yes\n}\n";
    fs::write(&dovecot, fs::read_to_string(&dovecot).unwrap() + to_folder).unwrap();
    run(Command::new("doveadm")
        .arg("-c")
        .arg(&dovecot)
        .arg("reload"));
    let mut postconf = Command::new("postconf");
    postconf
        .arg("-c")
        .arg(world.dir.join("mail/postfix"))
        .arg("-e");
    run(postconf.arg(format!("sender_bcc_maps=texthash:{}", copies.display())));
    postfix(world, "reload");
}

/// Cuts, refuses or loses the first try of each answer, by what its text says.
fn faults() -> Rule {
    let mut done = BTreeSet::new();
    let mut under_way = None;
    Box::new(move |connection, side, said| {
        for (words, act) in [
            ("The full one.", Act::Answer(b"452 4.3.1 full\r\n".to_vec())),
            ("The lost receipt.", Act::Pass),
            ("The half text.", Act::CutAfter(200)),
        ] {
            if side == Side::Client && find(said, words).is_some() && done.insert(words) {
                under_way = Some((connection, words));
                if said.ends_with(b"\r\n.\r\n") || words == "The half text." {
                    return act;
                }
            }
        }
        let Some((_, words)) = under_way.filter(|(fated, _)| *fated == connection) else {
            return Act::Pass;
        };
        match (side, words) {
            (Side::Client, "The full one.") if said.ends_with(b".\r\n") => {
                Act::Answer(b"452 4.3.1 full\r\n".to_vec())
            }
            (Side::Client, "The full one.") if said.starts_with(b"QUIT") => Act::CutAfter(0),
            (Side::Server, "The lost receipt.") if find(said, "queued as").is_some() => {
                Act::CutAfter(0)
            }
            _ => Act::Pass,
        }
    })
}

/// The answers to a mail in Alice's inbox, without acknowledgements.
pub(crate) fn answers(world: &World, id: &str) -> Vec<Mail> {
    let inbox = world.mail().inbox(ALICE).into_iter();
    let is_answer = |mail: &Mail| mail.answers(id) && !mail.text().contains("started working");
    inbox.filter(is_answer).collect()
}

/// Says whether an answer says that it may be there twice.
pub(crate) fn is_labelled(mail: &Mail) -> bool {
    mail.header("X-Airut-Duplicate").is_some()
}

/// The events of an answer's delivery, by the id of the mail that it answers.
fn kinds_of_delivery(events: &[Event], number: usize) -> Vec<String> {
    let requested = events
        .iter()
        .filter(|event| event.kind() == "DeliveryRequested" && event.text("kind") == "reply");
    let requested: Vec<&Event> = requested.collect();
    let delivery = requested[number].text("delivery");
    let of = events
        .iter()
        .filter(|event| event.text("delivery") == delivery);
    of.map(|event| event.kind().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mail_is_answered_once_whatever_becomes_of_the_first_try() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    keep_what_is_sent(&world);
    let tls = world.dir.join("mail/tls");
    let port = world.mail().port("SMTPS_PORT");
    let relay = Relay::within_tls(port, &tls, faults()).await;
    send_through(&world, &relay);
    let mut daemon = world.daemon();
    let cases = ["The full one.", "The lost receipt.", "The half text."];
    for (number, words) in (1..).zip(cases) {
        let id = format!("{number}@example.test");
        let prompt = format!("[[say:{words}]]");
        world
            .mail()
            .send(ALICE, &message(ALICE, &id, "A question", &prompt));
        daemon.await_replies(number);
        let answers = answers(&world, &id);
        assert_eq!(answers.len(), 1, "{words}");
        assert!(answers[0].text().contains(words), "{}", answers[0].text());
        // Only where nobody can know, the answer says so.
        assert_eq!(
            is_labelled(&answers[0]),
            words == "The half text.",
            "{words}"
        );
    }
    let kinds: Vec<Vec<String>> = (0..3)
        .map(|number| kinds_of_delivery(daemon.seen(), number))
        .collect();
    assert!(kinds[0].contains(&"DeliveryFailed".to_owned()), "{kinds:?}");
    let lost = [
        "DeliveryRequested",
        "DeliveryAttempted",
        "DeliveryOutcomeUnknown",
        "DeliverySucceeded",
    ];
    let without_checkpoints: Vec<&String> = kinds[1]
        .iter()
        .filter(|kind| *kind != "CheckpointSent")
        .collect();
    assert_eq!(without_checkpoints, lost);
    assert!(
        kinds[2].contains(&"DeliveryNotFound".to_owned()),
        "{kinds:?}"
    );
    let reconciled = delivered_replies(daemon.seen()).nth(1).unwrap();
    assert_eq!(reconciled.field("reconciled"), true);
    assert!(daemon.stop().success());
}

#[test]
fn a_task_at_its_time_limit_is_answered_with_what_there_is() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let config = fs::read_to_string(&world.launch.config).unwrap();
    let short = config.replace(
        "resource_limits: {timeout: 60}",
        "resource_limits: {timeout: 10}",
    );
    assert_ne!(config, short);
    fs::write(&world.launch.config, short).unwrap();
    let mut daemon = world.daemon();
    let prompt = "[[say:The cause is a missing **newline**.]][[bash:sleep 60]]";
    let mail = message(ALICE, "1@example.test", "Slow", prompt);
    world.mail().send(ALICE, &mail);
    daemon.await_replies(1);
    let answers = answers(&world, "1@example.test");
    assert_eq!(answers.len(), 1);
    let text = answers[0].text();
    assert!(text.contains("which is its time limit"), "{text}");
    assert!(text.contains("stopped after 1"), "{text}");
    assert!(
        text.contains("The cause is a missing **newline**."),
        "{text}"
    );
    assert!(daemon.stop().success());
}

#[test]
fn a_thread_of_two_questions_is_one_thread_to_the_mail_server() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut daemon = world.daemon();
    // What Alice writes is in her mailbox too, as mail programs keep it.
    let write = |mail: &[u8]| {
        world
            .mail()
            .send_to(ALICE, "MX_DMARC_PASS_PORT", ALICE, mail);
        world.mail().send(ALICE, mail);
    };
    write(&message(
        ALICE,
        "1@example.test",
        "Talk",
        "[[say:The first.]]",
    ));
    daemon.await_replies(1);
    let first = answers(&world, "1@example.test").remove(0);
    write(&answer_to(
        &first,
        ALICE,
        "2@example.test",
        "[[say:The second.]]",
    ));
    daemon.await_replies(2);
    write(&message(
        ALICE,
        "3@example.test",
        "Another talk",
        "[[say:Another one.]]",
    ));
    daemon.await_replies(3);
    let inbox = world.mail().inbox(ALICE);
    let mut conversations: BTreeSet<Vec<usize>> = BTreeSet::new();
    for subject in tags(&inbox) {
        let of = (1..).zip(&inbox).filter(|(_, mail)| {
            let is_of = mail.subject().contains(&subject);
            is_of
                || first_of(&inbox, &subject).is_some_and(|id| {
                    mail.header("Message-ID")
                        .is_some_and(|own| own.contains(&id))
                })
        });
        conversations.insert(of.map(|(number, _)| number).collect());
    }
    let threads = threads(&mut world.mail().mailbox(ALICE));
    let read: BTreeSet<Vec<usize>> = threads.into_iter().collect();
    assert_eq!(read, conversations);
    let mut sizes: Vec<usize> = read.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    // Question, acknowledgement and answer; beside it these three and a second question and answer.
    assert_eq!(sizes, [3, 5]);
}

/// The tags of the conversations that an inbox holds answers of.
fn tags(inbox: &[Mail]) -> BTreeSet<String> {
    let tag = |mail: &Mail| {
        let subject = mail.subject();
        let at = subject.find("[ID:")?;
        subject.get(at..at + 13).map(ToOwned::to_owned)
    };
    inbox.iter().filter_map(tag).collect()
}

/// The id of the mail that a conversation began with.
fn first_of(inbox: &[Mail], tag: &str) -> Option<String> {
    let of = inbox.iter().find(|mail| mail.subject().contains(tag))?;
    let references = of
        .header("References")
        .or_else(|| of.header("In-Reply-To"))?;
    references.split_whitespace().next().map(ToOwned::to_owned)
}

/// The threads of the inbox as the server reads them (RFC 5256), each with the places of its
/// mails.
fn threads(mailbox: &mut Mailbox) -> Vec<Vec<usize>> {
    mailbox.command("SELECT INBOX");
    mailbox.command("THREAD REFERENCES UTF-8 ALL");
    let answer = mailbox
        .said
        .iter()
        .find_map(|line| line.strip_prefix("* THREAD "));
    let (mut threads, mut depth) = (Vec::new(), 0);
    let mut words = String::new();
    for character in answer.unwrap_or_default().chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        words.push(if character.is_ascii_digit() {
            character
        } else {
            ' '
        });
        if depth == 0 {
            let numbers = words.split_whitespace().map(|word| word.parse().unwrap());
            let mut thread: Vec<usize> = numbers.collect();
            thread.sort_unstable();
            threads.push(thread);
            words.clear();
        }
    }
    threads
}
