//! `airut sandbox image`: the images of a command by themselves, for the caches of CI systems (spec
//! row SCLI-07).

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::output::Output;
use crate::cli::paths;
use crate::cli::sandbox::{EngineArguments, ImageArguments, LogArguments};
use crate::service::command_run::images::{self, Loading};

/// What there is to do with images.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Print the digests of what the images are made of, without building them
    Hash(Hash),
    /// Build the images that are not there
    Build(Build),
    /// Build the images that are not there, and write them to DIR/repo.tar and DIR/proxy.tar
    Save(Save),
    /// Read the images that `save` wrote; what is missing or refused is built by the next run
    Load(Load),
}

/// Arguments of `image hash`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Hash {
    #[command(flatten)]
    image: ImageArguments,
    #[command(flatten)]
    log: LogArguments,
}

/// Arguments of `image build`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Build {
    #[command(flatten)]
    image: ImageArguments,
    #[command(flatten)]
    engine: EngineArguments,
    #[command(flatten)]
    log: LogArguments,
}

/// Arguments of `image save`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Save {
    /// Where the files are written
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    build: Build,
}

/// Arguments of `image load`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Load {
    /// Where the files are
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    engine: EngineArguments,
    #[command(flatten)]
    log: LogArguments,
}

/// Does it and returns the exit code.
pub(super) fn run(command: &Command, output: Output) -> anyhow::Result<u8> {
    match command {
        Command::Hash(arguments) => hash(arguments, output),
        Command::Build(arguments) => build(arguments, output),
        Command::Save(arguments) => save(arguments),
        Command::Load(arguments) => load(arguments, output),
    }
}

fn hash(arguments: &Hash, output: Output) -> anyhow::Result<u8> {
    arguments.log.begin()?;
    let tags = images::tags(&paths::proxy_binary(), arguments.image.read()?)?;
    let [repo, proxy] = tags.digests();
    output.line(&format!("repo={repo}"));
    output.line(&format!("proxy={proxy}"));
    Ok(0)
}

fn build(arguments: &Build, output: Output) -> anyhow::Result<u8> {
    arguments.log.begin()?;
    let (surroundings, image) = (arguments.engine.surroundings()?, arguments.image.read()?);
    let tags = crate::cli::block_on(images::build(&surroundings, image))??;
    output.line(&format!("repo={}", tags.repo));
    output.line(&format!("proxy={}", tags.proxy));
    Ok(0)
}

fn save(arguments: &Save) -> anyhow::Result<u8> {
    let build = &arguments.build;
    build.log.begin()?;
    let (surroundings, image) = (build.engine.surroundings()?, build.image.read()?);
    let command = &surroundings.container_command;
    let saving = async {
        let tags = images::build(&surroundings, image).await?;
        images::save(command, &tags, &arguments.directory).await
    };
    crate::cli::block_on(saving)??;
    Ok(0)
}

/// It is always a success: what was not loaded is built (spec row SCLI-07).
fn load(arguments: &Load, output: Output) -> anyhow::Result<u8> {
    arguments.log.begin()?;
    let command = &arguments.engine.container_command;
    let loading = images::load(command, &arguments.directory);
    for (name, state) in crate::cli::block_on(loading)? {
        match state {
            Loading::Loaded => tracing::info!(name, "loaded"),
            Loading::Missing => tracing::info!(name, "is not there"),
            Loading::Refused(error) => {
                output.note(&format!("{name} was not loaded and will be built: {error}"));
            }
        }
    }
    Ok(0)
}
