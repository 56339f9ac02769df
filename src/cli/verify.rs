//! `airut verify`: reads the whole log and says whether it is what it was. The journal is read as it
//! is, beside a running daemon or without one.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde_json::json;

use crate::cli::output::{Mark, Output};
use crate::cli::paths;
use crate::service::audit::{
    Audit, Findings, OnDisk, SavedMessage, Witness, saved_mails, saved_slack,
};
use crate::service::surface::Bodies;
use crate::service::surface::{Client, ClientError, Position, SignedCheckpoint, Verifier};

/// Records that are asked of a daemon at once.
const READ_MAX: usize = 512;

/// Arguments of `airut verify`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Compare with a checkpoint that was kept elsewhere; may be given several times
    #[arg(long, value_name = "FILE")]
    from_checkpoint: Vec<PathBuf>,
    /// Compare with the checkpoints in saved mails: files, directories, mbox files
    #[arg(long, value_name = "PATH", num_args = 1..)]
    mail: Vec<PathBuf>,
    /// Compare with the checkpoints in saved Slack messages: answers of `conversations.replies` or
    /// `conversations.history` with `include_all_metadata`, as files or directories
    #[arg(long, value_name = "PATH", num_args = 1..)]
    slack: Vec<PathBuf>,
    /// Trust this key instead of the one beside the log
    #[arg(long, value_name = "KEY")]
    key: Option<Verifier>,
    /// Check a copy: a directory with `log` and `blobs`
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the index was compared through.
#[derive(Debug, Clone, Copy)]
enum Index {
    Daemon,
    OnDisk(OnDisk),
}

/// Checks, prints, and fails when anything differs.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let mails = saved_mails(&arguments.mail);
    let mails = mails.map_err(|error| anyhow::anyhow!("the mails cannot be read: {error}"))?;
    let messages = saved_slack(&arguments.slack);
    let messages =
        messages.map_err(|error| anyhow::anyhow!("the messages cannot be read: {error}"))?;
    let files = checkpoints(&arguments.from_checkpoint)?;
    let witnesses = [files.clone(), witnesses_in(&mails), witnesses_in(&messages)].concat();
    let state = arguments.state.clone();
    let state = state.unwrap_or_else(|| paths::directories().state);
    let mut audit = Audit::read(&state, arguments.key.as_ref())?;
    let index = super::block_on(compare_index(&mut audit, arguments.state.is_some()))??;
    let findings = audit.compare(&witnesses);
    let unreadable = |saved: &SavedMessage| matches!(saved.checkpoint, Some(Err(_)));
    let saved = [mails.clone(), messages.clone()].concat();
    let good = findings.differences.is_empty() && !saved.iter().any(unreadable);
    if arguments.json {
        let report = as_json(&findings, &witnesses, &saved, good);
        output.line(&serde_json::to_string_pretty(&report)?);
    } else {
        print_log(&findings, index, *output);
        print_files(&findings, &files, *output);
        let mut judged = findings.witnesses.iter().skip(files.len());
        print_saved(&mut judged, &mails, "mails", *output);
        print_saved(&mut judged, &messages, "messages", *output);
        print_end(&findings, good, *output);
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::EXIT_FAILED)
    })
}

fn checkpoints(files: &[PathBuf]) -> anyhow::Result<Vec<Witness>> {
    let read = |file: &PathBuf| {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let signed = SignedCheckpoint::from_note(&text);
        let signed = signed.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        Ok(Witness { name, signed })
    };
    files.iter().map(read).collect()
}

fn witnesses_in(saved: &[SavedMessage]) -> Vec<Witness> {
    let witness = |saved: &SavedMessage| match &saved.checkpoint {
        Some(Ok(signed)) => Some(Witness {
            name: saved.name.clone(),
            signed: signed.clone(),
        }),
        Some(Err(_)) | None => None,
    };
    saved.iter().filter_map(witness).collect()
}

/// Compares the index through the daemon that has it open, or from disk; that of a copy from disk.
async fn compare_index(audit: &mut Audit, copy: bool) -> anyhow::Result<Index> {
    let connected = if copy {
        None
    } else {
        match Client::connect(&paths::socket()).await {
            Ok(client) => Some(client),
            Err(ClientError::NoDaemon { .. }) => None,
            Err(error) => return Err(error.into()),
        }
    };
    let Some(mut client) = connected else {
        return Ok(Index::OnDisk(audit.compare_index_on_disk()));
    };
    let mut next = Position(1);
    loop {
        let records = client.read(Position(next.0 - 1), READ_MAX).await?;
        if !audit.compare_index(&records, &mut next) {
            return Ok(Index::Daemon);
        }
    }
}

fn print_log(findings: &Findings, index: Index, output: Output) {
    let Findings {
        size, torn_bytes, ..
    } = findings;
    let root = BASE64_STANDARD.encode(findings.root.0);
    if let Some(key) = findings.keys.last() {
        output.line(&format!("log     {}", key.origin()));
    }
    for key in &findings.keys {
        output.line(&format!("key     {key}"));
    }
    output.line(&format!("events  {size}, root {root}"));
    print_bodies(findings, output);
    output.line(&format!("sent    {} checkpoints", findings.sent));
    let index = match index {
        Index::Daemon => "compared through the daemon",
        Index::OnDisk(OnDisk::Compared) => "compared on disk",
        Index::OnDisk(OnDisk::Missing) => "not there (airut log rebuild makes it from the journal)",
        Index::OnDisk(OnDisk::Closed) => {
            "not compared: it can be opened only where this user may write; verify a copy"
        }
    };
    output.line(&format!("index   {index}"));
    if *torn_bytes > 0 {
        output.line(&format!(
            "end     {torn_bytes} unfinished bytes, not promised to anybody"
        ));
    }
}

fn print_bodies(findings: &Findings, output: Output) {
    let Bodies {
        whole,
        erased,
        all,
        erasures,
    } = &findings.bodies;
    match erased {
        0 => output.line(&format!("bodies  {whole} of {all} whole")),
        erased => output.line(&format!("bodies  {whole} of {all} whole, {erased} erased")),
    };
    for erasure in erasures {
        let (conversation, position, bodies) =
            (erasure.conversation, erasure.position, erasure.bodies);
        output.line(&format!(
            "erased  {bodies} bodies of conversation {conversation}, by the tombstone at {position}"
        ));
    }
}

fn print_files(findings: &Findings, files: &[Witness], output: Output) {
    for (witness, judged) in files.iter().zip(&findings.witnesses) {
        let Witness { name, signed } = witness;
        print_judged(
            judged,
            &format!("{name}: {}", signed.checkpoint().size),
            output,
        );
    }
}

fn print_judged(judged: &Result<(), String>, named: &str, output: Output) {
    match judged {
        Ok(()) => output.finding(Mark::Good, &format!("{named} events, unchanged")),
        Err(what) => output.finding(Mark::Bad, &format!("{named} events: {what}")),
    }
}

/// Prints each mail or message, with the judgements of those that carry a checkpoint.
fn print_saved<'a>(
    judgements: &mut impl Iterator<Item = &'a Result<(), String>>,
    saved: &[SavedMessage],
    kind: &str,
    output: Output,
) {
    let mut without = 0;
    for SavedMessage {
        name,
        date,
        checkpoint,
    } in saved
    {
        let shown = format!("{}, {name}", without_controls(date));
        match checkpoint {
            None => without += 1,
            Some(Err(error)) => output.finding(Mark::Bad, &format!("{shown}: {error}")),
            Some(Ok(signed)) => {
                let named = format!("{shown}: {}", signed.checkpoint().size);
                let judged = judgements.next().cloned().unwrap_or(Ok(()));
                print_judged(&judged, &named, output);
            }
        }
    }
    if without > 0 {
        output.line(&format!("{without} {kind} carry no checkpoint"));
    }
}

/// What strangers wrote does not move the terminal's cursor.
fn without_controls(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

fn print_end(findings: &Findings, good: bool, output: Output) {
    for difference in &findings.differences {
        output.finding(Mark::Bad, &difference.to_string());
    }
    output.line(if good {
        "The log is what it was."
    } else {
        "The log is NOT what it was."
    });
}

fn as_json(
    findings: &Findings,
    witnesses: &[Witness],
    saved: &[SavedMessage],
    good: bool,
) -> serde_json::Value {
    let judged = witnesses.iter().zip(&findings.witnesses);
    let judged = judged.map(|(witness, judged)| {
        json!({
            "name": witness.name,
            "size": witness.signed.checkpoint().size,
            "ok": judged.is_ok(),
            "what": judged.as_ref().err(),
        })
    });
    let unreadable = saved.iter().filter_map(|saved| match &saved.checkpoint {
        Some(Err(error)) => Some(json!({ "name": saved.name, "what": error.to_string() })),
        Some(Ok(_)) | None => None,
    });
    let keys: Vec<String> = findings.keys.iter().map(ToString::to_string).collect();
    json!({
        "ok": good,
        "keys": keys,
        "size": findings.size,
        "root": BASE64_STANDARD.encode(findings.root.0),
        "checkpoints_sent": findings.sent,
        "bodies": {
            "whole": findings.bodies.whole,
            "erased": findings.bodies.erased,
            "all": findings.bodies.all,
        },
        "erasures": findings.bodies.erasures,
        "torn_bytes": findings.torn_bytes,
        "witnesses": judged.collect::<Vec<_>>(),
        "unreadable_messages": unreadable.collect::<Vec<_>>(),
        "differences": findings.differences,
    })
}
