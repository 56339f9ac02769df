//! `airut init`: a configuration to start from, and the log's key. What is there is left as it is.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::process::ExitCode;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::audit::make_key;

/// Arguments of `airut init`.
#[derive(Debug, Args)]
pub(super) struct Arguments {}

/// The first configuration: only what is required, the rest as comments.
const STUB: &str = include_str!("init/airut.yaml");

/// Writes the stub once.
pub(super) fn run(_: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let path = paths::config_file();
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    // It will hold credentials, so nobody else reads it.
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    match made {
        Ok(mut file) => {
            file.write_all(STUB.as_bytes())?;
            output.line(&format!("Wrote {}.", path.display()));
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            output.line(&format!(
                "{} is there already and was left as it is.",
                path.display()
            ));
        }
        Err(error) => anyhow::bail!("{}: {error}", path.display()),
    }
    let key = make_key(&paths::directories().state)?;
    output.line(&format!("The log's key, for whoever checks it: {key}"));
    output.line("Next: doc/deployment.md (this machine), doc/repo-onboarding.md (the repository).");
    Ok(ExitCode::SUCCESS)
}
