//! `airut mail`: looks at a mail as Airut does. It sends nothing and writes nothing.

mod print;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::log_source::LogSource;
use crate::cli::output::Output;
use crate::cli::paths;
use crate::config::types::{Email, Repo};
use crate::service::mail_explain::{Judged, Kept, Known, explain};
use crate::service::surface::{Position, RepoId};

/// Arguments of `airut mail`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what Airut makes of a mail: who it is from, what it continues, what it says, the verdict
    Explain(Explain),
}

/// Arguments of `airut mail explain`.
#[derive(Debug, Args)]
struct Explain {
    /// The mail as it was received, with its header; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// The repository whose mailbox judges it; may be left out when only one has a mailbox
    #[arg(long, value_name = "ID")]
    repo: Option<String>,
    /// The configuration file
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what is asked for.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let Command::Explain(arguments) = &arguments.command;
    let kept = read(&arguments.file)?;
    let judged = super::block_on(judge(arguments, &kept))??;
    let looked_up = if judged.points_at_any() {
        super::block_on(look_up())?
    } else {
        Ok(Known::default())
    };
    let explanation = explain(&kept, judged, looked_up.as_ref().ok());
    if arguments.json {
        output.line(&serde_json::to_string_pretty(&explanation)?);
    } else {
        let why = looked_up.err().map(|error| error.to_string());
        print::explanation(&explanation, why.as_deref(), *output);
    }
    Ok(ExitCode::SUCCESS)
}

/// Longest mail that is read; of a longer one the length is told, and its beginning is looked at.
const READ_BYTES_MAX: u64 = 64 << 20;

fn read(file: &str) -> anyhow::Result<Kept> {
    let read = if file == "-" {
        read_all(io::stdin().lock())
    } else {
        std::fs::File::open(file).and_then(read_all)
    };
    let (raw, bytes) = read.map_err(|error| anyhow::anyhow!("{file}: {error}"))?;
    if raw.trim_ascii().is_empty() {
        anyhow::bail!("{file} is empty: give the mail as it was received, with its header");
    }
    Ok(Kept::of(raw, bytes))
}

fn read_all(mut source: impl Read) -> io::Result<(Vec<u8>, u64)> {
    let mut raw = Vec::new();
    let bytes = source.by_ref().take(READ_BYTES_MAX).read_to_end(&mut raw)?;
    let more = io::copy(&mut source, &mut io::sink())?;
    Ok((raw, bytes as u64 + more))
}

async fn judged_by(repo: &RepoId, email: &Email, kept: &Kept) -> Judged {
    let judged = kept.judge(repo, email).await;
    judged.map_or_else(Judged::Not, |triage| Judged::By(repo.clone(), triage))
}

/// Lets the repository's mailbox judge the mail; without one that is known, nobody does.
async fn judge(arguments: &Explain, kept: &Kept) -> anyhow::Result<Judged> {
    let is_named = arguments.repo.is_some() || arguments.config.is_some();
    let repos = match paths::load_config(arguments.config.as_deref()) {
        Ok(loaded) => loaded.config.repos,
        Err(error) if is_named => return Err(error.into()),
        Err(error) => return Ok(Judged::Not(error.to_string())),
    };
    let mailboxes = mailboxes(&repos);
    let names: Vec<&str> = mailboxes.keys().map(|id| id.0.as_str()).collect();
    if let Some(name) = &arguments.repo {
        let Some((repo, email)) = mailboxes.iter().find(|(id, _)| id.0 == *name) else {
            anyhow::bail!(no_such_mailbox(name, &names));
        };
        return Ok(judged_by(repo, email, kept).await);
    }
    Ok(match mailboxes.first_key_value() {
        Some((repo, email)) if names.len() == 1 => judged_by(repo, email, kept).await,
        Some(_) => Judged::Not(format!(
            "several repositories have a mailbox ({}); name one with --repo",
            names.join(", ")
        )),
        None => Judged::Not("no repository with a mailbox is configured".to_owned()),
    })
}

fn mailboxes(repos: &BTreeMap<RepoId, Repo>) -> BTreeMap<&RepoId, &Email> {
    repos
        .iter()
        .filter_map(|(id, repo)| Some((id, repo.email.as_ref()?)))
        .collect()
}

fn no_such_mailbox(name: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return format!("repository {name} has no mailbox, and no other has one");
    }
    format!(
        "repository {name} has no mailbox; one of these has: {}",
        names.join(", ")
    )
}

/// Reads which conversations there are.
async fn look_up() -> anyhow::Result<Known> {
    let mut source = LogSource::open().await?;
    let known = fold(&mut source).await;
    source.close().await;
    known
}

async fn fold(source: &mut LogSource) -> anyhow::Result<Known> {
    let mut known = Known::default();
    let mut after = Position(0);
    loop {
        let records = source.read(after).await?;
        let Some(last) = records.last() else {
            return Ok(known);
        };
        after = last.position;
        for record in &records {
            known.apply(&source.decode(record)?);
        }
    }
}
