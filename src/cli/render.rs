//! `airut render`: what a reply looks like on the wire. It sends nothing, writes nothing and needs no
//! configuration; how a reply is made it does not know.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::rendering::{Draft, EXAMPLE_FROM};

/// Longest text or file that is read, in bytes; a longer one is refused, as no channel takes it.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Arguments of `airut render`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The channel that the reply is for
    #[arg(long, value_enum)]
    channel: Channel,
    /// Print the HTML alone, to be opened in a browser
    #[arg(long, conflicts_with = "text")]
    html: bool,
    /// Print the plain text alone; for Slack, its markup
    #[arg(long)]
    text: bool,
    /// Attach a file; may be given several times
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Take the sender's address of this repository's mailbox; without it, an example
    #[arg(long, value_name = "ID")]
    repo: Option<String>,
    /// The configuration file
    #[arg(long, value_name = "PATH", requires = "repo")]
    config: Option<PathBuf>,
    /// The reply as Markdown; `-` reads standard input
    #[arg(value_name = "FILE.md")]
    markdown: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Channel {
    Email,
    Slack,
}

/// Prints the reply.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let draft = draft(arguments)?;
    let printed = match arguments.channel {
        Channel::Email => email(arguments, &draft)?,
        Channel::Slack => slack(arguments, &draft)?,
    };
    output.foreign(printed.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Returns the mail or a part of it, with the ends of lines that files have here.
fn email(arguments: &Arguments, draft: &Draft) -> anyhow::Result<String> {
    if arguments.html {
        return Ok(draft.html());
    }
    if arguments.text {
        return Ok(draft.text());
    }
    let mail = draft.mail(&from(arguments)?)?;
    Ok(String::from_utf8_lossy(&mail).replace("\r\n", "\n"))
}

/// Returns the calls that would be made, as JSON, or the text in Slack's markup.
fn slack(arguments: &Arguments, draft: &Draft) -> anyhow::Result<String> {
    if arguments.html {
        anyhow::bail!("a reply to Slack has no HTML: use --text for its markup");
    }
    if arguments.text {
        return Ok(draft.mrkdwn().join("\n\n"));
    }
    Ok(serde_json::to_string_pretty(&draft.slack_calls())?)
}

fn from(arguments: &Arguments) -> anyhow::Result<String> {
    let Some(name) = &arguments.repo else {
        return Ok(EXAMPLE_FROM.to_owned());
    };
    let config = paths::load_config(arguments.config.as_deref())?.config;
    let repo = config.repos.into_iter().find(|(id, _)| id.0 == *name);
    let Some((_, repo)) = repo else {
        anyhow::bail!("repository {name:?} is not configured: correct --repo or leave it out");
    };
    let email = repo.email.ok_or_else(|| {
        anyhow::anyhow!("repository {name:?} has no mailbox: name another one or leave --repo out")
    })?;
    Ok(email.from)
}

fn draft(arguments: &Arguments) -> anyhow::Result<Draft> {
    let markdown = String::from_utf8(read(&arguments.markdown)?);
    let shown = arguments.markdown.display();
    let markdown = markdown.map_err(|_| anyhow::anyhow!("{shown} is no text in UTF-8"))?;
    let mut files = Vec::with_capacity(arguments.files.len());
    for path in &arguments.files {
        let name = path.file_name();
        let name = name.ok_or_else(|| anyhow::anyhow!("{}: it has no name", path.display()))?;
        files.push((name.to_string_lossy().into_owned(), read(path)?));
    }
    Ok(Draft { markdown, files })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let problem = |error: io::Error| anyhow::anyhow!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        let mut source = io::stdin().lock().take(FILE_BYTES_MAX + 1);
        source.read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path).map_err(problem)?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    };
    if read.map_err(problem)? as u64 > FILE_BYTES_MAX {
        let max = FILE_BYTES_MAX >> 20;
        anyhow::bail!(
            "{}: it has more than {max} MiB, which is the limit",
            path.display()
        );
    }
    Ok(bytes)
}
