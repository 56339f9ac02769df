//! Nodes to [`types`](crate::config::types): every key of the file format, its default and its
//! constraint (spec `config.md` §3). Pure.

mod backup;
mod credentials;
mod email;
mod queue;
mod repo;
pub mod sandbox;
mod schedules;
mod slack;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::config::resolve::{self, Variables};
use crate::config::section::{Scalar, Section, scalar};
use crate::config::types::{
    Audit, Config, Dashboard, Execution, InternalRange, Network, QueueLimits,
};
use crate::config::yaml::{self, Problem};

/// The version of the file format that this program reads.
pub const CONFIG_VERSION: u64 = 5;

/// Longest patience of a stop in seconds, ten years; a longer one is an error.
const SHUTDOWN_S_MAX: u64 = 315_360_000;

/// Port of a name server that names none.
const DNS_PORT: u16 = 53;

/// Reads a configuration.
///
/// `system_dns` is the machine's own resolver, the default of `network.upstream_dns`.
///
/// # Errors
/// [`Problem`] at the first place that cannot be acted on.
pub fn read(
    text: &str,
    environment: &Variables,
    system_dns: Option<SocketAddr>,
) -> Result<Config, Problem> {
    let root = resolve::resolve(yaml::parse(text)?, environment)?;
    let mut root = Section::new("", root)?;
    check_version(&mut root)?;
    let config = Config {
        execution: execution(root.section("execution")?)?,
        dashboard: dashboard(root.section("dashboard")?)?,
        backup: backup::backup(root.section("backup")?)?,
        network: network(&mut root, system_dns)?,
        container_command: text_or(root.scalar("container_command")?, "podman"),
        repos: repo::repos(root.section("repos")?)?,
    };
    root.end()?;
    Ok(config)
}

/// Returns the configuration that holds without a file (spec row CLI-07).
pub fn defaults(system_dns: Option<SocketAddr>) -> Config {
    // The empty text has no wrong place but a missing resolver, for which any will do: there is
    // no repository that could ask it.
    let dns = system_dns.or_else(|| Some(SocketAddr::from(([127, 0, 0, 1], DNS_PORT))));
    let version = format!("config_version: {CONFIG_VERSION}\n");
    read(&version, &Variables::new(), dns).expect("the defaults are a valid configuration")
}

/// Keys of the format that are checked but not acted on yet.
const IDLE_KEYS: [&str; 2] = ["execution.image_prune", "dashboard"];

/// Returns which of the keys that have no effect yet a configuration uses, so that the operator is
/// told.
///
/// # Errors
/// [`Problem`] where the text is no YAML.
pub fn idle_keys(text: &str) -> Result<Vec<&'static str>, Problem> {
    let root = yaml::parse(text)?;
    let is_used = |key: &&str| key.split('.').try_fold(&root, under).is_some();
    Ok(IDLE_KEYS.into_iter().filter(is_used).collect())
}

/// Returns where the last of these keys, each below the one before, stands in a text; of keys that are
/// not there, where the text begins.
///
/// # Errors
/// [`Problem`] where the text is no YAML.
pub fn place_of(text: &str, keys: &[&str]) -> Result<yaml::Place, Problem> {
    let root = yaml::parse(text)?;
    let found = keys.iter().try_fold(&root, |node, key| under(node, key));
    Ok(found.unwrap_or(&root).place)
}

fn under<'a>(node: &'a yaml::Node, key: &str) -> Option<&'a yaml::Node> {
    match &node.value {
        yaml::Value::Map(entries) => {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            Some(&entry.node)
        }
        yaml::Value::Absent | yaml::Value::Scalar(_) | yaml::Value::List(_) => None,
    }
}

fn check_version(root: &mut Section) -> Result<(), Problem> {
    let place = root.place();
    let Some(version) = root.scalar("config_version")? else {
        let what = "config_version is missing, which means version 1; this build reads version 5 \
                    only, so bring the file to that layout and add `config_version: 5`";
        return Err(Problem::at(place, what));
    };
    match version.integer(1, u64::MAX)? {
        CONFIG_VERSION => Ok(()),
        newer if newer > CONFIG_VERSION => {
            let what = format!("config_version {newer} is newer than this Airut reads: update it");
            Err(Problem::at(version.place, what))
        }
        older => {
            let what = format!(
                "config_version {older} is not read by this build, only {CONFIG_VERSION}: bring \
                 the file to that layout"
            );
            Err(Problem::at(version.place, what))
        }
    }
}

fn execution(section: Option<Section>) -> Result<Execution, Problem> {
    let mut execution = Execution {
        max_concurrent: 3,
        queue: QueueLimits::default(),
        shutdown_timeout_s: 60,
        conversation_max_age_days: 7,
        image_prune: true,
    };
    let Some(mut section) = section else {
        return Ok(execution);
    };
    if let Some(scalar) = section.scalar("max_concurrent")? {
        execution.max_concurrent = scalar.integer(1, 254)? as usize;
    }
    execution.queue = queue::limits(&mut section)?;
    if let Some(scalar) = section.scalar("shutdown_timeout")? {
        execution.shutdown_timeout_s = scalar.integer(1, SHUTDOWN_S_MAX)?;
    }
    if let Some(scalar) = section.scalar("conversation_max_age_days")? {
        execution.conversation_max_age_days = scalar.integer(1, 100_000)? as u32;
    }
    if let Some(scalar) = section.scalar("image_prune")? {
        execution.image_prune = scalar.boolean()?;
    }
    section.end()?;
    Ok(execution)
}

fn dashboard(section: Option<Section>) -> Result<Dashboard, Problem> {
    let mut dashboard = Dashboard {
        enabled: true,
        host: "127.0.0.1".to_owned(),
        port: 5200,
        base_url: None,
    };
    let Some(mut section) = section else {
        return Ok(dashboard);
    };
    if let Some(scalar) = section.scalar("enabled")? {
        dashboard.enabled = scalar.boolean()?;
    }
    dashboard.host = text_or(section.scalar("host")?, "127.0.0.1");
    if let Some(scalar) = section.scalar("port")? {
        dashboard.port = port(&scalar)?;
    }
    dashboard.base_url = text(section.scalar("base_url")?);
    section.end()?;
    Ok(dashboard)
}

/// What `network.audit` may be.
const AUDITS: [(&str, Audit); 2] = [("strict", Audit::Strict), ("relaxed", Audit::Relaxed)];

fn network(root: &mut Section, system_dns: Option<SocketAddr>) -> Result<Network, Problem> {
    let place = root.place();
    let mut network = Network {
        upstream_dns: SocketAddr::from(([0, 0, 0, 0], 0)),
        internal_ranges: BTreeMap::new(),
        upstream_ca_file: None,
        honey: true,
        audit: Audit::Strict,
    };
    let mut upstream = system_dns;
    if let Some(mut section) = root.section("network")? {
        if let Some(scalar) = section.scalar("upstream_dns")? {
            upstream = Some(name_server(&scalar)?);
        }
        network.upstream_ca_file = text(section.scalar("upstream_ca_file")?).map(Into::into);
        if let Some(scalar) = section.scalar("audit")? {
            network.audit = scalar.choice(&AUDITS)?;
        }
        if let Some(scalar) = section.scalar("honey")? {
            network.honey = scalar.boolean()?;
        }
        if let Some(ranges) = section.section("internal_ranges")? {
            for (name, _, path, node) in ranges.into_named() {
                network
                    .internal_ranges
                    .insert(name, internal_range(&path, node)?);
            }
        }
        section.end()?;
    }
    network.upstream_dns = upstream.ok_or_else(|| {
        Problem::at(
            place,
            "network.upstream_dns is required: /etc/resolv.conf names no resolver",
        )
    })?;
    Ok(network)
}

/// Reads `10.20.0.0/16`, or `{range: 10.20.0.0/16, hosts: [git.corp.test]}`.
fn internal_range(path: &str, node: yaml::Node) -> Result<InternalRange, Problem> {
    let expected = "an address range in CIDR form, for example 10.20.0.0/16";
    if matches!(node.value, yaml::Value::Scalar(_)) {
        let range = scalar(path.to_owned(), node)?.parse(expected)?;
        let hosts = Vec::new();
        return Ok(InternalRange { range, hosts });
    }
    let mut section = Section::new(path, node)?;
    let range = section.required("range")?.parse(expected)?;
    let (place, hosts) = (section.place(), section.list("hosts")?);
    if hosts.as_ref().is_some_and(Vec::is_empty) {
        // Somebody who writes no host means none, not all.
        let what = format!("{path}.hosts names no host: leave it out to mean every allowed host");
        return Err(Problem::at(place, what));
    }
    section.end()?;
    let hosts = hosts.unwrap_or_default();
    Ok(InternalRange { range, hosts })
}

fn name_server(scalar: &Scalar) -> Result<SocketAddr, Problem> {
    if let Ok(address) = scalar.text.trim().parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, DNS_PORT));
    }
    scalar.parse("the address of a resolver, for example 9.9.9.9 or 10.0.0.2:5353")
}

fn port(scalar: &Scalar) -> Result<u16, Problem> {
    Ok(u16::try_from(scalar.integer(1, 65_535)?).expect("the limits are those of a port"))
}

fn text(scalar: Option<Scalar>) -> Option<String> {
    scalar
        .map(|scalar| scalar.text)
        .filter(|text| !text.is_empty())
}

fn text_or(scalar: Option<Scalar>, default: &str) -> String {
    text(scalar).unwrap_or_else(|| default.to_owned())
}

#[cfg(test)]
mod tests;
