//! `airut reply`: waits for the answer to a task, or finds the one that is there, and prints it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::surface::{Client, File, Position, Reply, TaskId};

/// Seconds without a daemon; then the waiting ends with words that say how to go on.
const ABSENCE_S_MAX: u32 = 300;
/// Numbers tried for a file whose name is taken; then saving it fails.
const NUMBERS_MAX: u32 = 10_000;

/// Arguments of `airut reply`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The task, as `airut send` printed it
    #[arg(value_name = "TASK")]
    task: TaskId,
    /// Save the answer's files in this directory
    #[arg(long, value_name = "DIR")]
    save_dir: Option<PathBuf>,
}

/// Prints the answer.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let waiting = async {
        let client = Client::connect(&paths::socket()).await?;
        wait(Some(client), arguments.task, Position(0), *output).await
    };
    let reply = super::block_on(waiting)??;
    print(&reply, arguments.save_dir.as_deref(), *output)?;
    Ok(ExitCode::SUCCESS)
}

/// Waits for an answer, also across a restart of the daemon: the log knows what it owes.
pub(super) async fn wait(
    mut client: Option<Client>,
    task: TaskId,
    after: Position,
    output: Output,
) -> anyhow::Result<Reply> {
    let mut absence_s = 0;
    loop {
        let waiting = match client.take() {
            Some(client) => Ok(client),
            None => Client::connect(&paths::socket()).await,
        };
        let error = match waiting {
            Ok(mut client) => {
                absence_s = 0;
                match client.await_reply(task, after).await {
                    Ok(reply) => return Ok(reply),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if !error.is_of_the_connection() {
            return Err(error.into());
        }
        if absence_s == 0 {
            output.note("the daemon has ended; waiting for it to come back");
        }
        if absence_s == ABSENCE_S_MAX {
            anyhow::bail!("{error}; airut reply {task} goes on waiting once it runs");
        }
        absence_s += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Prints an answer and saves its files.
pub(super) fn print(reply: &Reply, save_dir: Option<&Path>, output: Output) -> anyhow::Result<()> {
    output.foreign(&reply.text);
    output.line(&format!(
        "\n[conversation {}, task {}]",
        reply.conversation, reply.task
    ));
    for file in &reply.files {
        match save_dir {
            Some(directory) => {
                let saved = save(directory, file)?;
                output.foreign(&format!("[saved {}]", saved.display()));
            }
            None => {
                let (name, task) = (&file.name, reply.task);
                output.foreign(&format!(
                    "[file {name}; airut reply {task} --save-dir DIR saves it]"
                ));
            }
        }
    }
    Ok(())
}

/// Saves a file under its name alone, whatever the name says; a file that is there stays as it is,
/// and the new one gets a number.
fn save(directory: &Path, file: &File) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(directory)?;
    let name = file.name.replace(|c: char| c.is_control(), "_");
    let name = Path::new(&name);
    let stem = name.file_stem().unwrap_or_else(|| "file".as_ref());
    let stem = stem.to_string_lossy();
    let extension = name
        .extension()
        .map(|end| format!(".{}", end.to_string_lossy()));
    let extension = extension.unwrap_or_default();
    let bytes = BASE64_STANDARD.decode(&file.base64)?;
    let numbered = (1..NUMBERS_MAX).map(|number| format!("{stem}-{number}{extension}"));
    for candidate in std::iter::once(format!("{stem}{extension}")).chain(numbered) {
        let path = directory.join(candidate);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut made) => {
                made.write_all(&bytes)?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => anyhow::bail!("{}: {error}", path.display()),
        }
    }
    anyhow::bail!("{}: too many files of this name", directory.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_file_stays_in_its_directory_and_replaces_none() {
        let dir = tempfile::tempdir().unwrap();
        let saved = |name: &str| {
            let file = File {
                name: name.to_owned(),
                media_type: String::new(),
                base64: BASE64_STANDARD.encode(name),
            };
            let path = save(dir.path(), &file).unwrap();
            path.strip_prefix(dir.path()).unwrap().display().to_string()
        };
        for (name, expected) in [
            ("a.txt", "a.txt"),
            ("a.txt", "a-1.txt"),
            ("../../a.txt", "a-2.txt"),
            ("..", "file"),
            ("x\x1b[2J", "x_[2J"),
        ] {
            assert_eq!(saved(name), expected);
        }
        assert_eq!(std::fs::read(dir.path().join("a.txt")).unwrap(), b"a.txt");
    }
}
