//! `airut send`: a message to the running daemon, without any account.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;

use crate::cli::output::Output;
use crate::cli::{paths, reply};
use crate::service::surface::{Client, ConversationId, FILES_BYTES_MAX, File, RepoId, Send};

/// Arguments of `airut send`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The repository to work on; may be left out when there is only one
    #[arg(long, value_name = "ID")]
    repo: Option<String>,
    /// Continue this conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// Attach a file; may be given several times
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// Wait for the answer and print it; without it, `airut reply TASK` does that later
    #[arg(long)]
    wait: bool,
    /// Save the answer's files in this directory
    #[arg(long, value_name = "DIR", requires = "wait")]
    save_dir: Option<PathBuf>,
    /// The message; without it, standard input is read
    text: Vec<String>,
}

/// Sends a message.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let send = Send {
        repo: arguments.repo.clone().map(RepoId),
        conversation: arguments.conversation,
        text: text(&arguments.text)?,
        files: attached_files(&arguments.attach)?,
        ..Send::default()
    };
    send.check().map_err(anyhow::Error::msg)?;
    super::block_on(deliver(send, arguments, *output))??;
    Ok(ExitCode::SUCCESS)
}

fn text(words: &[String]) -> anyhow::Result<String> {
    let mut text = words.join(" ");
    if words.is_empty() {
        std::io::stdin().read_to_string(&mut text)?;
    }
    if text.trim().is_empty() {
        anyhow::bail!("the message is empty: give it as arguments or on standard input");
    }
    Ok(text)
}

/// Reads the files; the daemon takes so much together, so nothing longer is read at all.
fn attached_files(paths: &[PathBuf]) -> anyhow::Result<Vec<File>> {
    let mut left = FILES_BYTES_MAX;
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let problem = |what: String| anyhow::anyhow!("{}: {what}", path.display());
        let facts = path
            .metadata()
            .map_err(|error| problem(error.to_string()))?;
        if !facts.is_file() {
            return Err(problem("it is no file".to_owned()));
        }
        let max = FILES_BYTES_MAX >> 20;
        left = left.checked_sub(facts.len()).ok_or_else(|| {
            problem(format!(
                "with it the attached files have more than {max} MiB, which is the limit"
            ))
        })?;
        let bytes = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        files.push(File {
            name: name.ok_or_else(|| problem("it has no name".to_owned()))?,
            media_type: "application/octet-stream".to_owned(),
            base64: BASE64_STANDARD.encode(bytes),
        });
    }
    Ok(files)
}

async fn deliver(send: Send, arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let mut client = Client::connect(&paths::socket()).await?;
    let accepted = client.send(send).await?;
    let task = accepted.task;
    if !arguments.wait {
        output.line(&format!(
            "Accepted as task {task}; airut reply {task} prints the answer."
        ));
        return Ok(());
    }
    let reply = reply::wait(Some(client), task, accepted.after, output).await?;
    reply::print(&reply, arguments.save_dir.as_deref(), output)
}
