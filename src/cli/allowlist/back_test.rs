//! `airut allowlist test FILE --against-log`: what a proposed file would have changed, before anybody
//! merges it.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::log_source::LogSource;
use crate::cli::output::{Mark, Output};
use crate::service::look::when::When;
use crate::service::policy::Policy;
use crate::service::policy::back_test::{BackTest, Changed, Request, Scope};
use crate::service::surface::{Position, RepoId, codec};

/// Requests that were allowed would be blocked.
const EXIT_NEWLY_BLOCKED: u8 = 3;

/// Requests of each kind that are shown to people; further ones are counted.
const SHOWN_MAX: usize = 20;

/// Arguments of `airut allowlist test`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The proposed allowlist file
    #[arg(value_name = "FILE")]
    file: String,
    /// Against the decisions in this machine's log
    #[arg(long, required = true)]
    against_log: bool,
    /// Only decisions since then: a position (1200) or a time (2026-11-24T14:03:00Z)
    #[arg(long, value_name = "MOMENT")]
    since: Option<When>,
    /// Only decisions on this repository's tasks
    #[arg(long, value_name = "REPO")]
    repo: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Replays and reports.
pub(super) fn run(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let policy = Policy::read(&arguments.file)?;
    let scope = Scope {
        since: arguments.since,
        repo: arguments.repo.clone().map(RepoId),
    };
    let mut test = BackTest::new(&policy, scope);
    crate::cli::block_on(replay(&mut test))??;
    if arguments.json {
        output.line(&as_json(&test).to_string());
    } else {
        tell(&test, output);
    }
    Ok(if test.newly_blocked.decisions > 0 {
        ExitCode::from(EXIT_NEWLY_BLOCKED)
    } else {
        ExitCode::SUCCESS
    })
}

async fn replay(test: &mut BackTest<'_>) -> anyhow::Result<()> {
    let mut source = LogSource::open().await?;
    let fed = feed(&mut source, test).await;
    source.close().await;
    fed
}

async fn feed(source: &mut LogSource, test: &mut BackTest<'_>) -> anyhow::Result<()> {
    let mut after = Position(0);
    loop {
        let records = source.read(after).await?;
        let Some(last) = records.last() else {
            return Ok(());
        };
        after = last.position;
        for record in &records {
            test.apply(&codec::decode(record)?);
        }
    }
}

fn tell(test: &BackTest<'_>, output: Output) {
    output.heading(&format!("{} decisions made again", test.replayed));
    tell_changed("newly blocked", Mark::Bad, &test.newly_blocked, output);
    tell_changed("newly allowed", Mark::Note, &test.newly_allowed, output);
    tell_changed("cannot be told", Mark::Note, &test.unclear, output);
    for rule in test.unused() {
        output.finding(Mark::Note, &format!("never used: {rule}"));
    }
}

fn tell_changed(words: &str, mark: Mark, changed: &Changed, output: Output) {
    if changed.decisions == 0 {
        return output.finding(Mark::Good, &format!("{words}: none"));
    }
    output.finding(mark, &format!("{words}: {}", changed.decisions));
    for (request, times) in changed.requests.iter().take(SHOWN_MAX) {
        let (method, host, path) = (&request.method, &request.host, &request.path);
        output.foreign(&format!("          {method} {host}{path} ({times})"));
    }
    let further = changed.requests.len().saturating_sub(SHOWN_MAX);
    if further > 0 {
        output.line(&format!(
            "          and {further} further ones (--json names them)"
        ));
    }
}

fn as_json(test: &BackTest<'_>) -> Value {
    let changed = |changed: &Changed| {
        let request =
            |(request, times): (&Request, &u64)| json!({ "request": request, "times": times });
        let requests: Vec<Value> = changed.requests.iter().map(request).collect();
        json!({ "decisions": changed.decisions, "requests": requests })
    };
    json!({
        "replayed": test.replayed,
        "newly_allowed": changed(&test.newly_allowed),
        "newly_blocked": changed(&test.newly_blocked),
        "unclear": changed(&test.unclear),
        "unused_rules": test.unused(),
    })
}
