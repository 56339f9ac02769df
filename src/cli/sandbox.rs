//! `airut sandbox` and `airut-sandbox`: a command in the sandbox, for CI (spec rows SCLI-01 to
//! SCLI-09). Whatever keeps the command from running is exit code 125, as with `docker run`.

mod image;
mod mounts;
mod run;
mod streams;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::service::command_run::context::{self, Context};
use crate::service::command_run::{Surroundings, UPSTREAM_DNS};

/// The sandbox or its configuration failed, and not the command (spec row SCLI-02).
const EXIT_INFRASTRUCTURE: u8 = 125;

/// Arguments of `airut sandbox`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Run a command in the sandbox: its own image, no network but what is allowed, no real credentials.
#[derive(Debug, Parser)]
#[command(name = "airut-sandbox", version, disable_help_subcommand = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a command in the working directory's sandbox
    Run(Box<run::Arguments>),
    /// Build the images, tell their digests, carry them to another machine
    #[command(subcommand)]
    Image(image::Command),
}

/// Where an image comes from.
#[derive(Debug, Args)]
struct ImageArguments {
    /// The Dockerfile
    #[arg(
        long,
        value_name = "PATH",
        default_value = ".airut/container/Dockerfile"
    )]
    dockerfile: PathBuf,
    /// The directory that is built; the Dockerfile's own unless named
    #[arg(long, value_name = "PATH")]
    context_dir: Option<PathBuf>,
}

impl ImageArguments {
    fn read(&self) -> anyhow::Result<Context> {
        let beside = self.dockerfile.parent().unwrap_or_else(|| Path::new(""));
        let beside = if beside.as_os_str().is_empty() {
            Path::new(".")
        } else {
            beside
        };
        let directory = self.context_dir.as_deref().unwrap_or(beside);
        Ok(context::read(&self.dockerfile, directory)?)
    }
}

/// Which engine.
#[derive(Debug, Args)]
struct EngineArguments {
    /// Podman's command
    #[arg(long, value_name = "CMD", default_value = "podman")]
    container_command: String,
}

impl EngineArguments {
    fn surroundings(&self) -> anyhow::Result<Surroundings> {
        let directories = paths::directories();
        Ok(Surroundings {
            state_dir: directories.state,
            runtime_dir: directories.runtime,
            proxy_binary: paths::proxy_binary(),
            container_command: self.container_command.clone(),
            upstream_dns: UPSTREAM_DNS.parse()?,
            internal_ranges: vec![],
            upstream_ca: None,
        })
    }
}

/// What is told of the sandbox itself.
#[derive(Debug, Args)]
struct LogArguments {
    /// Tell the steps of the sandbox
    #[arg(long)]
    verbose: bool,
    /// Tell everything of the sandbox
    #[arg(long)]
    debug: bool,
    /// Append what is told of the sandbox to a file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

impl LogArguments {
    fn is_verbose(&self) -> bool {
        self.verbose || self.debug
    }

    fn begin(&self) -> anyhow::Result<()> {
        let level = match (self.debug, self.verbose) {
            (true, _) => "airut=debug,info",
            (false, true) => "info",
            (false, false) => "error",
        };
        let told = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(level));
        let Some(path) = &self.log else {
            told.with_writer(std::io::stderr).init();
            return Ok(());
        };
        let open = || {
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory)?;
            }
            OpenOptions::new().create(true).append(true).open(path)
        };
        let file = open().map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        told.with_ansi(false).with_writer(file).init();
        Ok(())
    }
}

/// Reads the command line of `airut-sandbox` and runs what it asks for.
pub(super) fn main(output: Output) -> ExitCode {
    run(&Program::parse().command, output)
}

/// Runs what is asked for.
pub(super) fn run(command: &Command, output: Output) -> ExitCode {
    let ran = match command {
        Command::Run(arguments) => run::run(arguments, output),
        Command::Image(command) => image::run(command, output),
    };
    ExitCode::from(ran.unwrap_or_else(|error| {
        output.error(&error.to_string());
        EXIT_INFRASTRUCTURE
    }))
}
