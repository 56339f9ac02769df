//! `airut backup`: copies the log and its bodies into a directory, and restores that on trial when it
//! is asked to. It needs no daemon and minds none.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;

use crate::cli::output::{Mark, Output};
use crate::cli::paths;
use crate::config::env;
use crate::service::backup::{self, BackedUp, Lacking, Restored};
use crate::service::on_disk;
use crate::service::surface::{Client, ClientError, Drill};

/// Arguments of `airut backup`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The backup; an empty directory to begin one
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Copy the log's private key too: whoever has the backup can then sign for the log
    #[arg(long)]
    with_key: bool,
    /// Restore it on trial afterwards, and record the result in the log
    #[arg(long)]
    drill: bool,
}

/// Backs up; fails when the backup is not what the log is.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let state = paths::directories().state;
    let directory = &arguments.directory;
    let done = backup::back_up(&state, directory, arguments.with_key);
    if let Ok(done) = &done {
        print(done, *output);
    }
    if !arguments.drill {
        return Ok(code(done?.lacking.count == 0));
    }
    let good = super::block_on(async {
        let drilled = match done {
            Ok(_done) => backup::drill(directory, &state).await.map_err(Into::into),
            Err(error) => Err(anyhow::Error::from(error)),
        };
        match &drilled {
            Ok(restored) => {
                let root = BASE64_STANDARD.encode(restored.root.0);
                let events = restored.events;
                let words = format!(
                    "restored {events} events on trial, root {root}, equal to the checkpoint"
                );
                output.finding(Mark::Good, &words);
            }
            Err(error) => output.error(&format!("the restore drill failed: {error}")),
        }
        record(&state, result(directory, &drilled)).await?;
        anyhow::Ok(drilled.is_ok())
    })??;
    Ok(code(good))
}

fn code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::EXIT_FAILED)
    }
}

fn print(done: &BackedUp, output: Output) {
    let BackedUp {
        events,
        root,
        journal_bytes,
        bodies,
        erased_bytes,
        body_bytes,
        lacking,
    } = done;
    let root = BASE64_STANDARD.encode(root.0);
    output.line(&format!("events  {events}, root {root}"));
    output.line(&format!(
        "new     {journal_bytes} bytes of the journal, {bodies} bodies of {body_bytes} bytes"
    ));
    if *erased_bytes > 0 {
        output.line(&format!(
            "erased  {erased_bytes} bytes of bodies whose conversations are forgotten"
        ));
    }
    print_lacking(lacking, output);
}

/// Says which bodies are not there.
pub(super) fn print_lacking(lacking: &Lacking, output: Output) {
    for named in &lacking.named {
        output.finding(Mark::Bad, named);
    }
    if lacking.count > lacking.named.len() {
        let more = lacking.count - lacking.named.len();
        output.finding(Mark::Bad, &format!("and {more} bodies more"));
    }
}

fn result(directory: &Path, drilled: &anyhow::Result<Restored>) -> Drill {
    match drilled {
        Ok(restored) => Drill {
            events: restored.events,
            root: Some(restored.root),
            ok: true,
            detail: directory.display().to_string(),
        },
        Err(error) => Drill {
            events: 0,
            root: None,
            ok: false,
            detail: format!("{}: {error}", directory.display()),
        },
    }
}

/// Records the result through the daemon, which has the log to itself while it runs.
async fn record(state: &Path, drill: Drill) -> anyhow::Result<()> {
    let recorded = match Client::connect(&paths::socket()).await {
        Ok(mut client) => client.record_drill(drill).await.map_err(Into::into),
        Err(ClientError::NoDaemon { .. }) => {
            let operator = env::get("USER").unwrap_or_else(|| "unknown".to_owned());
            let recorded = on_disk::record(state, |now| drill.into_append(operator, now)).await;
            recorded.map_err(anyhow::Error::from)
        }
        Err(error) => Err(error.into()),
    };
    recorded.map_err(|error| {
        anyhow::anyhow!("the result of the restore drill is not in the log: {error}")
    })
}
