//! `airut send`: a message to the running daemon, without any account.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::surface::{Client, ConversationId, File, RepoId, Send};

/// Longest attached file in bytes; a longer one is refused before anything is sent.
const ATTACHED_BYTES_MAX: u64 = 48 * 1024 * 1024;

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
    /// Wait for the answer and print it
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
    let text = text(&arguments.text)?;
    let files = arguments.attach.iter().map(|path| attached(path));
    let send = Send {
        repo: arguments.repo.clone().map(RepoId),
        conversation: arguments.conversation,
        text,
        files: files.collect::<anyhow::Result<_>>()?,
        ..Send::default()
    };
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

fn attached(path: &Path) -> anyhow::Result<File> {
    let problem = |what: String| anyhow::anyhow!("{}: {what}", path.display());
    let length = path
        .metadata()
        .map_err(|error| problem(error.to_string()))?
        .len();
    if length > ATTACHED_BYTES_MAX {
        return Err(problem(format!(
            "{length} bytes are beyond the limit of {ATTACHED_BYTES_MAX}"
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| problem("it has no name".to_owned()))?;
    let media_type = "application/octet-stream".to_owned();
    Ok(File {
        name,
        media_type,
        base64: BASE64_STANDARD.encode(bytes),
    })
}

async fn deliver(send: Send, arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let mut client = Client::connect(&paths::socket()).await?;
    let accepted = client.send(send).await?;
    if !arguments.wait {
        output.line(&format!("Accepted as task {}.", accepted.task));
        return Ok(());
    }
    let reply = client.await_reply(&accepted).await?;
    output.line(&reply.text);
    output.line(&format!(
        "\n[conversation {}, task {}]",
        reply.conversation, reply.task
    ));
    for file in &reply.files {
        match &arguments.save_dir {
            Some(directory) => save(directory, file, output)?,
            None => {
                let name = &file.name;
                output.line(&format!(
                    "[file {name}; --save-dir DIR would have saved it]"
                ));
            }
        }
    }
    Ok(())
}

/// Saves a file under its name alone, whatever the name says.
fn save(directory: &Path, file: &File, output: Output) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    let name = Path::new(&file.name)
        .file_name()
        .unwrap_or_else(|| "file".as_ref());
    let path = directory.join(name);
    std::fs::write(&path, BASE64_STANDARD.decode(&file.base64)?)?;
    output.line(&format!("[saved {}]", path.display()));
    Ok(())
}
