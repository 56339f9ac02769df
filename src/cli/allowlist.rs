//! `airut allowlist`: asks an allowlist file before it is merged. Beside a running daemon or without.

mod back_test;
mod explain;
mod jsonl;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::output::{Mark, Output};
use crate::service::policy::{Policy, remarks};

/// Arguments of `airut allowlist`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a file and tell what is wrong or odd about it
    Check {
        /// The allowlist file
        #[arg(value_name = "FILE")]
        file: String,
    },
    /// Tell whether a request would be allowed, by which rule, or why not (exit 1: blocked)
    Explain(explain::Arguments),
    /// Make the decisions of the past again (exit 3: requests that were allowed would be blocked)
    Test(back_test::Arguments),
}

/// Does what is asked for.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Check { file } => check(file, *output),
        Command::Explain(arguments) => explain::run(arguments, *output),
        Command::Test(arguments) => back_test::run(arguments, *output),
    }
}

fn check(file: &str, output: Output) -> anyhow::Result<ExitCode> {
    let policy = Policy::read(file)?;
    let allowlist = policy.allowlist();
    let entries = allowlist.url_prefixes.iter();
    let graphql = entries.filter(|entry| entry.graphql.is_some()).count();
    output.finding(
        Mark::Good,
        &format!(
            "{file}: {} domains, {} url_prefixes, {graphql} of them with GraphQL operations",
            allowlist.domains.len(),
            allowlist.url_prefixes.len()
        ),
    );
    for remark in remarks(allowlist) {
        output.finding(Mark::Note, &remark);
    }
    Ok(ExitCode::SUCCESS)
}
