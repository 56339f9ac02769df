//! `airut log upgrade`: what this version of Airut would change in a log that another one wrote, and
//! what can be made ready for it while that other one still serves.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::output::{Mark, Output};
use crate::cli::paths;
use crate::service::evolution::{self, KindFound, ProjectionFound, Survey};
use crate::service::surface::{DISK_FORMAT, Position};

/// Arguments of `airut log upgrade`.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Arguments {
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found and done.
struct Report {
    survey: Survey,
    /// About how long folding what is to be folded takes; nothing for a log that is refused.
    estimate: Option<Duration>,
    prepared: Vec<(&'static str, Position)>,
}

/// Surveys, prepares unless it is a dry run, prints, and fails for a log of a newer version.
pub(super) fn run(arguments: Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let state = paths::directories().state;
    let survey = evolution::survey(&state)?;
    let accepted = survey.newer.is_empty();
    let mut report = Report {
        survey,
        estimate: None,
        prepared: Vec::new(),
    };
    if accepted {
        let folded = report.survey.projections.iter();
        let events = folded.map(|projection| projection.events).sum();
        report.estimate = Some(estimate(evolution::measure(&state)?, events));
    }
    if accepted && !arguments.dry_run {
        report.prepared = evolution::prepare(&state, &report.survey)?;
    }
    if arguments.json {
        output.line(&serde_json::to_string_pretty(&as_json(&report))?);
    } else {
        print(&report, arguments.dry_run, output);
    }
    Ok(if accepted {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::EXIT_FAILED)
    })
}

fn estimate((measured, taken): (u64, Duration), events: u64) -> Duration {
    taken.mul_f64(events as f64 / measured.max(1) as f64)
}

fn print(report: &Report, dry_run: bool, output: Output) {
    let Survey {
        events,
        torn_bytes,
        upcast,
        newer,
        projections,
    } = &report.survey;
    output.line(&format!(
        "log     {events} events, disk format {DISK_FORMAT} as this version writes it"
    ));
    if *torn_bytes > 0 {
        output.line(&format!(
            "end     {torn_bytes} unfinished bytes, not promised to anybody"
        ));
    }
    for kind in newer {
        output.finding(Mark::Bad, &told_newer(kind));
    }
    for kind in upcast {
        output.finding(Mark::Note, &told_upcast(kind));
    }
    for projection in projections {
        let mark = if projection.is_rebuilt() {
            Mark::Note
        } else {
            Mark::Good
        };
        output.finding(mark, &told_projection(projection, report.estimate));
    }
    for (name, position) in &report.prepared {
        let what = format!("{name}: this version's snapshot is ready up to position {position}");
        output.finding(Mark::Good, &what);
    }
    output.line(conclusion(report, dry_run));
}

fn conclusion(report: &Report, dry_run: bool) -> &'static str {
    let folds = report.survey.projections.iter();
    let folds = folds.into_iter().any(|projection| projection.events > 0);
    match (report.survey.newer.is_empty(), dry_run) {
        (false, _) => {
            "A newer Airut wrote to this log, and this one does not start on it. Nothing was \
             changed: update Airut, or restore a backup from before."
        }
        (true, true) if folds => {
            "Nothing was changed. Without --dry-run the snapshots are made ready; a daemon may run."
        }
        (true, true) => "Nothing was changed, and nothing needs to be.",
        (true, false) => {
            "Ready: stop the old daemon, then start the new one. No event was or will be rewritten."
        }
    }
}

fn told_newer(kind: &KindFound) -> String {
    let KindFound {
        version,
        records,
        first,
        ..
    } = kind;
    let named = named(kind);
    format!(
        "{named} version {version}: {records} events, the first at position {first}; this version \
         of Airut does not know it"
    )
}

fn told_upcast(kind: &KindFound) -> String {
    let (version, records) = (kind.version, kind.records);
    let named = named(kind);
    let current = kind.current.unwrap_or_default();
    format!("{named}: {records} events of version {version} are read as version {current}")
}

fn named(kind: &KindFound) -> String {
    let number = kind.kind;
    kind.name.map_or_else(
        || format!("kind {number}"),
        |name| format!("{name} (kind {number})"),
    )
}

fn told_projection(projection: &ProjectionFound, estimate: Option<Duration>) -> String {
    let ProjectionFound {
        name,
        from,
        to,
        kept,
        events,
    } = projection;
    let about = estimate.map_or_else(String::new, |taken| {
        format!(", about {:.1} s", taken.as_secs_f64())
    });
    if !projection.is_rebuilt() {
        return format!(
            "{name}: code version {to}, kept up to position {kept}; {events} events follow"
        );
    }
    let versions = from.last().map_or_else(
        || format!("code version {to}, without a snapshot"),
        |from| format!("code version {from} → {to}"),
    );
    format!("{name}: {versions}: it is rebuilt over {events} events{about}")
}

fn as_json(report: &Report) -> serde_json::Value {
    let prepared = report.prepared.iter();
    let prepared = prepared.map(|(name, position)| json!({ "name": name, "position": position }));
    json!({
        "ok": report.survey.newer.is_empty(),
        "disk_format": DISK_FORMAT,
        "survey": report.survey,
        "estimate_ms": report.estimate.map(|taken| taken.as_millis() as u64),
        "prepared": prepared.collect::<Vec<_>>(),
    })
}
