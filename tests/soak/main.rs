//! The soak: many letters through a real channel while the daemon, the servers and the connections die
//! at random. Each is answered once, none is lost, none is doubled. The agent answers at once; all else
//! is real, but for Slack, which the stand-in stands for. `make soak` runs ten thousand letters, `make test` as many as fit beside the other tests.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "what is missing and what was counted is said aloud"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are outside the service and its ports"
)]

#[path = "../common/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "of the test world the mail servers and the repository are needed here"
)]
mod common;
#[path = "../sim/dice.rs"]
#[expect(dead_code, reason = "the simulation draws rates, too")]
mod dice;
#[path = "../slack/hand.rs"]
#[expect(dead_code, reason = "the stand-in's own tests ask it for more")]
mod hand;
#[path = "../slack/standin/mod.rs"]
mod standin;

mod dovecot;
mod engine;
mod ground;
mod ledger;
mod letter;
mod long;
mod mail;
mod process;
mod record;
mod relay;
mod slack;

use std::path::Path;

use engine::{Channel, Plan, Soaked, soak};
use ground::Ground;
use ledger::Verdict;
use mail::MailChannel;
use process::Daemon;
use record::Record;
use slack::SlackChannel;

/// Letters of a run that nobody asked for more of.
const LETTERS: u32 = 300;
/// The same in Slack.
const MESSAGES: u32 = 200;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap())
}

fn has_mail_servers() -> bool {
    let is_there = |program: &&str| {
        ["/usr/sbin", "/usr/bin"]
            .iter()
            .any(|place| Path::new(place).join(program).exists())
    };
    match ["postfix", "dovecot"]
        .iter()
        .find(|program| !is_there(program))
    {
        Some(missing) => {
            let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
            assert!(!required, "a real part is missing: {missing}");
            eprintln!("SKIPPED: {missing} is missing (make setup)");
            false
        }
        None => true,
    }
}

#[test]
fn every_mail_is_answered_once_while_the_daemon_and_its_servers_die() {
    if !has_mail_servers() {
        return;
    }
    let ground = Ground::new();
    let mut mails = MailChannel::start(&ground.dir, ground.base_port);
    ground.configure(mails.config_lines());
    soak_through(&ground, &mut mails, LETTERS);
}

#[test]
fn every_message_in_slack_is_answered_once_while_the_daemon_and_its_connections_die() {
    let ground = Ground::new();
    let mut messages = SlackChannel::start();
    ground.configure(messages.config_lines());
    soak_through(&ground, &mut messages, MESSAGES);
}

/// Sends as many letters as were asked for, and judges what came back.
#[track_caller]
fn soak_through<C: Channel>(ground: &Ground, channel: &mut C, usual: u32) {
    let letters = number("AIRUT_SOAK_MAILS").map_or(usual, |letters| letters as u32);
    let seed = number("AIRUT_SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("soak.seed {seed}");
    let mut daemon = Daemon::new(&ground.dir);
    let mut soaked = soak(Plan { letters, seed }, channel, &mut daemon);
    daemon.stop();
    while !channel.is_quiet() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for arrival in channel.arrived() {
        soaked.ledger.arrive(&arrival);
    }
    let record = Record::read(&ground.dir);
    let verdict = soaked.ledger.judge(&record.unknown);
    print_figures(&soaked, &record, &verdict, daemon.peak_kib());
    assert_eq!(
        verdict.lost.len() as u32,
        letters - soaked.ledger.answered()
    );
    let flawless = Verdict {
        labelled: verdict.labelled,
        labelled_alone: verdict.labelled_alone,
        ..Verdict::default()
    };
    assert_eq!(verdict, flawless, "seed {seed}");
    assert_eq!(record.count("MessageReceived"), u64::from(letters));
    assert_eq!(record.open(), 0, "every answer's delivery has an end");
    let (peak_kib, most_kib) = (daemon.peak_kib(), memory_max_kib(letters));
    assert!(peak_kib <= most_kib, "{peak_kib} KiB beyond {most_kib} KiB");
}

/// Returns the most memory that the daemon may have held at once: what it has without a log (of which the
/// pages of a program that was built for tests are 40 MiB), the index's cache of 32 MiB with what sled
/// needs beside it, and what is remembered of each letter, once more as text while it is kept.
fn memory_max_kib(letters: u32) -> u64 {
    (64 + 48) * 1024 + 4 * u64::from(letters)
}

fn print_figures(soaked: &Soaked, record: &Record, verdict: &Verdict, peak_kib: u64) {
    let Soaked {
        ledger,
        troubles,
        elapsed,
    } = soaked;
    let figures = [
        ("sent", u64::from(ledger.sent())),
        ("sent_twice", u64::from(ledger.copies())),
        ("answered", u64::from(ledger.answered())),
        ("lost", verdict.lost.len() as u64),
        ("answered_twice", verdict.answered_twice.len() as u64),
        ("doubled", verdict.doubled.len() as u64),
        ("labelled_duplicates", verdict.labelled as u64),
        (
            "labelled_without_a_first",
            u64::from(verdict.labelled_alone),
        ),
        (
            "copies_by_the_servers",
            u64::from(ledger.copies_by_servers()),
        ),
        ("answers", ledger.answers() as u64),
        ("acknowledgements", ledger.acknowledgements() as u64),
        ("conversations", record.count("ConversationCreated")),
        (
            "duplicates_ignored",
            record.count("MessageDuplicateIgnored"),
        ),
        ("tasks_cut_off", record.count("TaskInterrupted")),
        ("outcomes_unknown", record.count("DeliveryOutcomeUnknown")),
        ("deliveries_tried_again", record.count("DeliveryFailed")),
        ("channel_lost", record.count("ChannelDegraded")),
        ("channel_caught_up", record.count("ChannelCaughtUp")),
        ("starts", record.count("ServiceStarted")),
        ("events", record.total()),
    ];
    for (name, value) in figures {
        println!("soak.{name} {value} count");
    }
    for (name, times) in troubles {
        println!("soak.trouble {times} count ({name})");
    }
    println!("soak.duration {:.0} s", elapsed.as_secs_f64());
    println!("soak.daemon_peak {} MiB", peak_kib / 1024);
}
