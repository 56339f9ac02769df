//! `airut check`: the configuration, and what Airut needs of this machine (spec rows CLI-03, CLI-04).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::cli::output::{Mark, Output};
use crate::cli::{EXIT_FAILED, paths};
use crate::config::types::{Config, Repo};
use crate::service::machine::{self, Tool};
use crate::service::surface::slack_check::{self, Weight};
use crate::service::surface::{Client, RepoId};

/// Arguments of `airut check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

/// Checks everything and says what is wrong.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    output.heading("Version");
    output.finding(Mark::Good, &format!("airut {}", env!("CARGO_PKG_VERSION")));
    output.heading("Configuration");
    let config = check_config(arguments, *output)?;
    output.heading("Dependencies");
    let command = config
        .as_ref()
        .map_or("podman", |config| config.container_command.as_str());
    let mut well = config.is_some();
    for tool in super::block_on(machine::tools(command))? {
        well &= check_tool(&tool, *output);
    }
    well &= check_proxy(*output);
    output.heading("Service");
    check_daemon(*output)?;
    if well {
        output.line("\nAll is well.");
        return Ok(ExitCode::SUCCESS);
    }
    output.line("\nSomething is wrong; see the lines marked bad.");
    Ok(ExitCode::from(EXIT_FAILED))
}

fn check_config(arguments: &Arguments, output: Output) -> anyhow::Result<Option<Config>> {
    let named = arguments.config.as_deref();
    let path = named.map_or_else(paths::config_file, Path::to_owned);
    let loaded = match paths::load_config(named) {
        Ok(loaded) => loaded,
        Err(error) => {
            output.finding(Mark::Bad, &error.to_string());
            return Ok(None);
        }
    };
    if loaded.sha256.is_none() {
        let words = format!(
            "{} is not there; the defaults hold (airut init)",
            path.display()
        );
        output.finding(Mark::Note, &words);
        return Ok(Some(loaded.config));
    }
    output.finding(Mark::Good, &path.display().to_string());
    for key in &loaded.idle_keys {
        let words = format!("{key} is read, but this version does not act on it yet");
        output.finding(Mark::Note, &words);
    }
    let mut well = true;
    for (id, repo) in &loaded.config.repos {
        well &= check_repo(id, repo, output);
        well &= check_slack(id, repo, output)?;
    }
    Ok(well.then_some(loaded.config))
}

fn check_repo(id: &RepoId, repo: &Repo, output: Output) -> bool {
    let ways = match (&repo.email, &repo.slack) {
        (Some(_), Some(_)) => "mail, Slack and airut send",
        (Some(_), None) => "mail and airut send",
        (None, Some(_)) => "Slack and airut send",
        (None, None) => "airut send",
    };
    output.finding(Mark::Good, &format!("repository {id}, reachable by {ways}"));
    if !repo.network_sandbox {
        let words = format!("repository {id} runs WITHOUT its network sandbox");
        output.finding(Mark::Note, &words);
    }
    let authorities = repo.email.as_ref().map(machine::authorities);
    match authorities.transpose() {
        Ok(_) => true,
        Err(error) => {
            output.finding(Mark::Bad, &format!("repository {id}: {error}"));
            false
        }
    }
}

/// Asks Slack about the repository's app, if it has one.
fn check_slack(id: &RepoId, repo: &Repo, output: Output) -> anyhow::Result<bool> {
    let Some(settings) = &repo.slack else {
        return Ok(true);
    };
    let findings = super::block_on(slack_check::examine(settings))?;
    for finding in &findings {
        let mark = match finding.weight {
            Weight::Good => Mark::Good,
            Weight::Note => Mark::Note,
            Weight::Bad => Mark::Bad,
        };
        output.finding(mark, &format!("repository {id}: {}", finding.words));
    }
    Ok(findings.iter().all(|finding| finding.weight != Weight::Bad))
}

fn check_tool(tool: &Tool, output: Output) -> bool {
    let Tool { name, minimum, .. } = tool;
    let (mark, words) = match &tool.found {
        Ok(version) if tool.is_new_enough() => (Mark::Good, format!("{name} {version}")),
        Ok(version) => (
            Mark::Bad,
            format!("{name} {version} is too old: {minimum} is needed"),
        ),
        Err(error) => (
            Mark::Bad,
            format!("{error}; install {name} {minimum} or newer"),
        ),
    };
    output.finding(mark, &words);
    mark == Mark::Good
}

fn check_proxy(output: Output) -> bool {
    let path = paths::proxy_binary();
    let there = path.is_file();
    let words = if there {
        format!("airut-proxy at {}", path.display())
    } else {
        format!(
            "airut-proxy is not at {}; build it with `make proxy`",
            path.display()
        )
    };
    output.finding(if there { Mark::Good } else { Mark::Bad }, &words);
    there
}

fn check_daemon(output: Output) -> anyhow::Result<()> {
    let asking = async { Client::connect(&paths::socket()).await?.status().await };
    match super::block_on(asking)? {
        Ok(status) => {
            let words = format!(
                "running as process {}, version {}",
                status.pid, status.version
            );
            output.finding(Mark::Good, &words);
            if status.version != env!("CARGO_PKG_VERSION") {
                output.finding(Mark::Note, "it is of another version than this: restart it");
            }
        }
        Err(error) => output.finding(Mark::Note, &error.to_string()),
    }
    Ok(())
}
