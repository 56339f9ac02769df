//! Answers whose mail server is down: they wait across a restart of the daemon, and then go out once,
//! with the files as they were when the answer was given (gap 9: an answer was tried twice, and then lost).

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use mail_parser::{MessageParser, MimeHeaders as _};

use crate::common::daemon::delivered_replies;
use crate::common::mail::{ALICE, message};
use crate::common::mailbox::Mail;
use crate::common::{Daemon, Event, PATIENCE, Plan, World, run, until};
use crate::email::answered::{answers, is_labelled, postfix};

const FILES: &str = "[[bash:for n in $(seq -w 24); do printf \"file $n\" > /outbox/$n.txt; done; ls \
                     /outbox | wc -l]][[say:Two dozen.]]";

/// Returns the failed tries of the oldest answer, not of its acknowledgement.
fn failures(seen: &[Event]) -> usize {
    let answer = seen
        .iter()
        .find(|event| event.kind() == "DeliveryRequested" && event.text("kind") == "reply");
    let is_failure = |event: &&Event| {
        event.kind() == "DeliveryFailed"
            && answer.is_some_and(|answer| answer.text("delivery") == event.text("delivery"))
    };
    seen.iter().filter(is_failure).count()
}

/// Returns the files of a mail with what they hold.
fn files(mail: &Mail) -> Vec<(String, String)> {
    let read = MessageParser::default().parse(&mail.raw).unwrap();
    let files = read.attachments().map(|part| {
        let name = part.attachment_name().unwrap().to_owned();
        (name, String::from_utf8_lossy(part.contents()).into_owned())
    });
    files.collect()
}

#[test]
fn an_answer_waits_for_its_server_across_a_restart_with_the_files_as_they_were() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut daemon = world.daemon();
    let mail = message(ALICE, "1@example.test", "Files", FILES);
    world.mail().send(ALICE, &mail);
    daemon.await_event("the mail", |event| event.kind() == "ConversationCreated");
    postfix(&world, "stop");
    daemon.await_seen("an answer that failed", |seen| {
        (failures(seen) > 0).then_some(())
    });

    // The answer is in the log, so nothing of it is left in the outbox; what comes there now is not of it.
    let found = run(Command::new("find")
        .arg(&world.dir)
        .args(["-type", "d", "-name", "outbox"]));
    let outbox = PathBuf::from(found.trim());
    let left = || fs::read_dir(&outbox).unwrap().count();
    until("an empty outbox", PATIENCE, || (left() == 0).then_some(()));
    fs::write(outbox.join("01.txt"), "changed").unwrap();
    assert!(daemon.stop().success());

    // The next daemon tries at once, in vain; the first mail that goes out again takes it along.
    let before = failures(&world.events());
    let mut daemon = Daemon::spawn(&world.launch, &[]);
    daemon.await_log("another failure", 0, |seen| {
        (failures(seen) > before).then_some(())
    });
    postfix(&world, "start");
    let mail = message(ALICE, "2@example.test", "More", "[[say:Back again.]]");
    world.mail().send(ALICE, &mail);
    daemon.await_seen("both answers", |seen| {
        delivered_replies(seen).nth(1).map(drop)
    });
    assert!(daemon.stop().success());
    let answers = answers(&world, "1@example.test");
    assert_eq!(answers.len(), 1);
    assert!(!is_labelled(&answers[0]));
    let expected = (1..=24).map(|n| (format!("{n:02}.txt"), format!("file {n:02}")));
    assert_eq!(files(&answers[0]), expected.collect::<Vec<_>>());
}
