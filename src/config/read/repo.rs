//! `repos.<id>`: one repository. Pure.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::config::read::{credentials, email, schedules, slack, text, text_or};
use crate::config::section::Section;
use crate::config::types::{Limits, MaskedSecret, Repo};
use crate::config::yaml::{Place, Problem};
use crate::events::id::{CredentialName, RepoId};

/// Longest time limit of a run, in seconds: ten years; a longer one is an error.
const TIMEOUT_S_MAX: u64 = 315_360_000;

/// Most processors of a run; more is an error.
const CPUS_MAX: f64 = 100_000.0;

/// Reads all repositories.
pub(super) fn repos(section: Option<Section>) -> Result<BTreeMap<RepoId, Repo>, Problem> {
    let mut repos = BTreeMap::new();
    let mut mailboxes: BTreeMap<(String, String), String> = BTreeMap::new();
    let Some(section) = section else {
        return Ok(repos);
    };
    for (id, place, path, node) in section.into_named() {
        check_id(&id, place)?;
        let repo = repo(Section::new(&path, node)?)?;
        if let Some(email) = &repo.email {
            let mailbox = (
                email.imap.server.to_lowercase(),
                email.username.to_lowercase(),
            );
            if let Some(other) = mailboxes.insert(mailbox, id.clone()) {
                let what = format!(
                    "the repositories {other} and {id} share a mailbox; each needs its own"
                );
                return Err(Problem::at(place, what));
            }
        }
        repos.insert(RepoId(id), repo);
    }
    Ok(repos)
}

/// An id is also the name of a directory and part of stream names.
fn check_id(id: &str, place: Place) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let reserved = ["log", "blobs", "run", "claude-binaries"].contains(&id);
    if id.is_empty() || id.len() > 64 || id.starts_with('.') || !id.bytes().all(plain) || reserved {
        let what = format!(
            "{id:?} cannot be a repository's id: use letters, digits, '-', '_' and '.', and none \
             of log, blobs, run, claude-binaries"
        );
        return Err(Problem::at(place, what));
    }
    Ok(())
}

fn repo(mut section: Section) -> Result<Repo, Problem> {
    let email = section.section("email")?.map(email::email).transpose()?;
    let scheduled = section.section("schedules")?;
    let repo = Repo {
        repo_url: section.required("repo_url")?.text,
        model: text_or(section.scalar("model")?, "opus"),
        effort: text(section.scalar("effort")?),
        claude_version: text_or(section.scalar("claude_version")?, "latest"),
        container_path: container_path(&mut section)?,
        network_sandbox: network_sandbox(section.section("network")?)?,
        limits: limits(section.section("resource_limits")?)?,
        secrets: secrets(section.section("secrets")?)?,
        masked_secrets: masked_secrets(section.section("masked_secrets")?)?,
        signing_credentials: credentials::signing(section.section("signing_credentials")?)?,
        github_app_credentials: credentials::apps(section.section("github_app_credentials")?)?,
        slack: section.section("slack")?.map(slack::slack).transpose()?,
        schedules: schedules::schedules(scheduled, email.is_some())?,
        email,
    };
    section.end()?;
    Ok(repo)
}

fn container_path(section: &mut Section) -> Result<String, Problem> {
    let Some(path) = section.scalar("container_path")? else {
        return Ok(".airut/container".to_owned());
    };
    let relative = !path.text.is_empty() && !path.text.starts_with('/');
    if !relative || path.text.split('/').any(|part| part == "..") {
        let what = format!(
            "{} must be a directory of the repository, without ..",
            path.path
        );
        return Err(Problem::at(path.place, what));
    }
    Ok(path.text)
}

fn network_sandbox(section: Option<Section>) -> Result<bool, Problem> {
    let Some(mut section) = section else {
        return Ok(true);
    };
    let enabled = section
        .scalar("sandbox_enabled")?
        .map(|scalar| scalar.boolean())
        .transpose()?;
    section.end()?;
    Ok(enabled.unwrap_or(true))
}

pub(super) fn limits(section: Option<Section>) -> Result<Limits, Problem> {
    let mut limits = Limits::default();
    let Some(mut section) = section else {
        return Ok(limits);
    };
    if let Some(scalar) = section.scalar("timeout")? {
        limits.timeout_s = Some(scalar.integer(10, TIMEOUT_S_MAX)?);
    }
    if let Some(scalar) = section.scalar("memory")? {
        limits.memory_bytes = Some(scalar.size()?);
    }
    if let Some(scalar) = section.scalar("cpus")? {
        limits.cpu_millis = Some((scalar.number(0.01, CPUS_MAX)? * 1000.0).round() as u64);
    }
    if let Some(scalar) = section.scalar("pids_limit")? {
        limits.pids_max = Some(scalar.integer(1, u64::MAX)?);
    }
    section.end()?;
    Ok(limits)
}

/// Unset and empty values are not injected (spec row CFG-26).
fn secrets(section: Option<Section>) -> Result<BTreeMap<String, SecretString>, Problem> {
    let mut secrets = BTreeMap::new();
    for (name, place, path, node) in section.into_iter().flat_map(Section::into_named) {
        check_env_name(&name, place)?;
        match node.value {
            crate::config::yaml::Value::Scalar(value) if !value.is_empty() => {
                secrets.insert(name, SecretString::from(value));
            }
            crate::config::yaml::Value::Scalar(_) | crate::config::yaml::Value::Absent => {}
            _ => {
                return Err(Problem::at(
                    node.place,
                    format!("{path} must be a single value"),
                ));
            }
        }
    }
    Ok(secrets)
}

pub(super) fn check_env_name(name: &str, place: Place) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() || !name.bytes().all(plain) {
        return Err(Problem::at(
            place,
            format!("{name:?} is no name of an environment variable"),
        ));
    }
    Ok(())
}

fn masked_secrets(
    section: Option<Section>,
) -> Result<BTreeMap<CredentialName, MaskedSecret>, Problem> {
    let mut masked = BTreeMap::new();
    for (name, place, path, node) in section.into_iter().flat_map(Section::into_named) {
        check_env_name(&name, place)?;
        // An unset value skips the entry (spec `config.md` §3).
        if let Some(secret) = credentials::masked(&path, place, node)? {
            masked.insert(CredentialName(name), secret);
        }
    }
    Ok(masked)
}
