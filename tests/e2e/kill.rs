//! The daemon dies at each boundary of the way of a mail and is started again: the sender gets
//! exactly one answer, or one more that is labelled, and nothing is left behind.

use crate::common::log::assert_gapless;
use crate::common::mail::{ALICE, BOT, message};
use crate::common::mailbox::Mail;
use crate::common::{Daemon, Event, PATIENCE, Plan, World};

/// Where the process dies: a variable of the daemon's test facility and its value.
type Place = (&'static str, &'static str);

const AFTER: &str = "AIRUT_CRASH_AFTER";
const AT: &str = "AIRUT_CRASH_AT";

/// The places, in the order a mail passes them. A number is the occurrence: containers come twice
/// (proxy, agent), deliveries too (acknowledgement, reply).
const PLACES: [Place; 25] = [
    (AFTER, "MessageReceived"),
    (AT, "mail-deleted"),
    (AFTER, "MessageSourceAcknowledged"),
    (AFTER, "MessageRouted"),
    (AFTER, "TaskStarted"),
    (AFTER, "MirrorFetched"),
    (AFTER, "WorkspaceCloned"),
    (AFTER, "PromptComposed"),
    (AFTER, "RunPlanned"),
    (AFTER, "NetworkCreated"),
    (AFTER, "ContainerCreated:1"),
    (AFTER, "ContainerCreated:2"),
    (AFTER, "ProxyReady"),
    (AFTER, "ContainerStarted:2"),
    (AFTER, "PromptWritten"),
    (AFTER, "RequestAllowed"),
    (AFTER, "AgentEventObserved"),
    (AT, "agent-exited"),
    (AFTER, "ContainerExited"),
    (AFTER, "NetworkRemoved"),
    (AFTER, "RunOutcomeClassified"),
    (AFTER, "DeliveryAttempted:2"),
    (AT, "smtp-accepted:2"),
    (AFTER, "DeliverySucceeded:1"),
    (AFTER, "DeliverySucceeded:2"),
];

#[test]
fn a_killed_daemon_answers_exactly_once_wherever_it_died() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut table = Vec::new();
    // `AIRUT_KILL_AT` repeats one place: `PromptWritten`, say, twenty times.
    let wanted = std::env::var("AIRUT_KILL_AT").ok();
    let is_wanted = |place: &&Place| wanted.as_deref().is_none_or(|wanted| wanted == place.1);
    let rounds = if wanted.is_some() { 20 } else { 1 };
    let places = std::iter::repeat_n(PLACES.iter().filter(is_wanted), rounds).flatten();
    for (number, place) in places.enumerate() {
        let verdict = die_and_recover(&world, number, *place);
        println!("{verdict}");
        table.push(verdict);
    }
    println!("\nkilled at                              answers labelled left  log\n");
    println!("{}", table.join("\n"));
}

/// Lets the daemon die once on the way of a fresh mail, starts it again and checks everything.
fn die_and_recover(world: &World, number: usize, (variable, value): Place) -> String {
    let id = format!("kill{number}@example.test");
    let words = format!("Survived number {number}.");
    let first = world.launch.last_position();
    let mail = message(
        ALICE,
        &id,
        "Survive",
        &format!("[[bash:echo alive]] [[say:{words}]]"),
    );

    let mut daemon = Daemon::spawn(&world.launch, &[(variable, value)]);
    world.mail().send(ALICE, &mail);
    let end = daemon.await_end(PATIENCE);
    assert!(!end.success(), "{value}: the daemon did not die");
    drop(daemon);

    let mut daemon = Daemon::spawn(&world.launch, &[]);
    daemon.await_log("a settled delivery", first, settled);
    assert!(
        daemon.stop().success(),
        "{value}: the second daemon stops cleanly"
    );

    let events = world.events();
    assert_gapless(&events);
    let left = world.sandboxes(&events);
    assert_eq!(left, Vec::<String>::new(), "{value}");
    assert!(
        world.mail().inbox(BOT).is_empty(),
        "{value}: the mail is still in the mailbox"
    );

    let answers = answers(world, &id, &words);
    let labelled = answers.iter().filter(|mail| is_labelled(mail)).count();
    // Where nobody can know whether the answer went out, the only one may carry the label.
    let unlabelled = answers.len() - labelled;
    assert!(
        !answers.is_empty() && unlabelled <= 1 && labelled <= 1,
        "{value}: {unlabelled} answers and {labelled} labelled ones among {:#?}; the task ended {:?}",
        texts(world, &id),
        events.iter().rfind(|event| event.kind() == "TaskCompleted"),
    );
    let log = events.len();
    format!(
        "{value:<38} {:>7} {labelled:>8} {:>4} {log:>4}",
        answers.len(),
        left.len()
    )
}

/// Says whether everything that was asked for after a position has come to its end. An
/// acknowledgement of which nobody knows whether it went out is not sent again, so it may be
/// abandoned; that the answer is not is asserted by its arrival.
fn settled(events: &[Event]) -> Option<()> {
    let of = |kind: &'static str| events.iter().filter(move |event| event.kind() == kind);
    let has_ended = |delivery: &str| {
        let mut ends = of("DeliverySucceeded").chain(of("DeliveryAbandoned"));
        ends.any(|event| event.text("delivery") == delivery)
    };
    let mut requested = of("DeliveryRequested");
    let all = requested.all(|event| has_ended(event.text("delivery")));
    (of("TaskCompleted").count() == 1 && all).then_some(())
}

fn answers(world: &World, id: &str, words: &str) -> Vec<Mail> {
    let inbox = world.mail().inbox(ALICE).into_iter();
    inbox
        .filter(|mail| mail.answers(id) && mail.text().contains(words))
        .collect()
}

/// Everything that was sent back, for whoever looks into a failure.
fn texts(world: &World, id: &str) -> Vec<String> {
    let inbox = world.mail().inbox(ALICE).into_iter();
    let answering = inbox.filter(|mail| mail.answers(id));
    answering.map(|mail| mail.text()).collect()
}

fn is_labelled(mail: &Mail) -> bool {
    mail.header("X-Airut-Duplicate").is_some() || mail.text().to_lowercase().contains("duplicate")
}
