//! The texts of every kind of reply, as the product words them: what `scripts/reply-images.sh` shows.

use std::path::PathBuf;

use airut::events::conversation::TokenUsage;
use airut::events::id::ConversationId;
use airut::events::run::RunOutcome;
use airut::handlers::channels::email::{render, too_long};
use airut::handlers::intake::at_once::Full;
use airut::handlers::tasks::answer::{
    Obstacle, Said, Stop, StoppedWhen, answer_obstacle, answer_outcome, footer,
};
use airut::handlers::tasks::begin::acknowledgement_text;
use airut::handlers::tasks::notes::{OF_OTHERS, begins_anew, could_not_attach};
use airut::service::rendering::Draft;

const ANSWER: &str = include_str!("replies/example.md");

const PARTIAL: &str = "The cause is in `src/parser.rs`: the last line is dropped when it has no line \
                       break. I am running the tests of the fix now.";

fn failed(outcome: RunOutcome, reply: &str, seconds: u64) -> String {
    let said = Said {
        reply: reply.to_owned(),
        last_lines: vec![],
        duration_ms: seconds * 1000,
    };
    answer_outcome(outcome, "rule", &said).text
}

/// The end of what a mail shows of an answer that is too long for it.
fn end_of_too_long() -> String {
    let line = |number: usize| format!("{number}. `src/part_{number}.rs`: two names made clear.\n");
    let lines: String = (1..).map(line).take(2_000).collect();
    let draft = Draft {
        markdown: format!("I went through all files.\n\n{lines}"),
        files: vec![],
    };
    let shown = draft.text();
    let lines: Vec<&str> = shown.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

fn hindered(obstacle: &Obstacle) -> String {
    answer_obstacle(obstacle).text
}

fn stopped(when: StoppedWhen) -> String {
    hindered(&Obstacle::Stopped(Stop {
        by: "alice@example.com".to_owned(),
        when,
    }))
}

fn queue_full() -> String {
    let full = Full {
        limit: "sender",
        waiting: 1000,
    };
    full.text()
}

fn replies() -> Vec<(&'static str, String)> {
    let usage = TokenUsage {
        web_searches: 2,
        ..TokenUsage::default()
    };
    let footer = footer(42_349, usage, true).unwrap();
    let answer = format!("{}\n\n{footer}", ANSWER.trim_end());
    let short = format!("The parser keeps the last line now.\n\n{footer}");
    let left_out = could_not_attach(&["core dump.bin".to_owned()]);
    let url = "https://airut.example.com/conversation/1f2e3d4c";
    let dockerfile =
        "STEP 3/5: RUN apt-get install -y nodejs18\nE: Unable to locate package nodejs18";
    vec![
        ("acknowledgement", acknowledgement_text(Some(url))),
        ("answer", answer),
        (
            "files-left-out",
            format!("The parser keeps the last line now.\n\n{left_out}\n\n{footer}"),
        ),
        (
            "with-files",
            format!("The chart and the figures behind it are attached.\n\n{footer}"),
        ),
        ("too-long", end_of_too_long()),
        (
            "possible-duplicate",
            format!("{}\n\n{short}", render::DUPLICATE_NOTE),
        ),
        (
            "erased",
            format!("{}\n\n{short}", begins_anew(ConversationId(0x1f2e_3d4c))),
        ),
        ("of-others", format!("{OF_OTHERS}\n\n{short}")),
        ("mail-too-long", too_long::words(64 << 20)),
        ("stopped", stopped(StoppedWhen::Running)),
        ("stopped-unbegun", stopped(StoppedWhen::Unbegun)),
        ("queue-full", queue_full()),
        (
            "image-failed",
            hindered(&Obstacle::Image(dockerfile.to_owned())),
        ),
        ("time-limit", failed(RunOutcome::Timeout, PARTIAL, 1800)),
        (
            "api-refused",
            failed(RunOutcome::ApiRefused, "Credit balance is too low", 1),
        ),
        ("out-of-memory", failed(RunOutcome::OutOfMemory, "", 300)),
        (
            "frozen",
            failed(
                RunOutcome::Frozen,
                "found in the header authorization of GET https://elsewhere.example/\n\
                 container airut-run-1f2e (paused)\nreleased by: airut stop 1f2e3d4c5b6a7988",
                40,
            ),
        ),
        ("cut-off", hindered(&Obstacle::CutOffTooOften(4))),
        ("empty", hindered(&Obstacle::EmptyMessage)),
        (
            "agent-failed",
            failed(
                RunOutcome::AgentFailed,
                "Segmentation fault (core dumped)",
                9,
            ),
        ),
    ]
}

#[test]
fn every_kind_of_reply_is_worded_as_it_was_looked_at() {
    for (name, text) in replies() {
        let path: PathBuf = super::root().join(format!("tests/golden/replies/{name}.md"));
        super::check(&path, format!("{}\n", text.trim_end()).as_bytes());
    }
}
