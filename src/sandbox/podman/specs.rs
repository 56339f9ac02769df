//! What is sent to Podman to make networks and containers, as libpod's JSON. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::events::run::RunLimits;

/// Capabilities an agent keeps (spec row SBX-07).
const AGENT_CAPABILITIES: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"];

/// A network to be made.
#[derive(Debug, Clone)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// Its bridge's interface name, at most 15 characters.
    pub interface: String,
    /// Its addresses in CIDR form; nothing: Podman chooses.
    pub subnet: Option<String>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl NetworkSpec {
    pub(super) fn to_json(&self) -> Value {
        let subnets = self
            .subnet
            .as_ref()
            .map(|subnet| json!([{ "subnet": subnet }]));
        json!({
            "name": self.name,
            "driver": "bridge",
            "network_interface": self.interface,
            "subnets": subnets,
            "internal": self.internal,
            "dns_enabled": false,
            "ipv6_enabled": false,
            "labels": self.labels,
        })
    }
}

/// Something of the host inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Whether it cannot be written to.
    pub read_only: bool,
}

/// A container to be made.
#[derive(Debug, Clone, Default)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// Tag of its image.
    pub image: String,
    /// Arguments after the image's entry point.
    pub command: Vec<String>,
    /// Environment.
    pub env: Vec<(String, SecretString)>,
    /// Mounts.
    pub mounts: Vec<BindMount>,
    /// Networks, each with the address the container has there.
    pub networks: Vec<(String, Option<Ipv4Addr>)>,
    /// Name servers; nothing: Podman's.
    pub dns: Vec<Ipv4Addr>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Limits.
    pub limits: RunLimits,
    /// Working directory; nothing: the image's.
    pub work_dir: Option<String>,
    /// Whether it gets a standard input.
    pub stdin: bool,
    /// A profile of system calls; nothing: Podman's.
    pub seccomp: Option<PathBuf>,
    /// Whether it is a proxy: nothing writable, only the right to listen on low ports.
    pub proxy: bool,
}

impl ContainerSpec {
    pub(super) fn to_json(&self) -> Value {
        let env: BTreeMap<&str, &str> = self
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect();
        let networks: BTreeMap<&str, Value> = self
            .networks
            .iter()
            .map(|(name, address)| {
                let addresses: Vec<String> = address.iter().map(Ipv4Addr::to_string).collect();
                (name.as_str(), json!({ "static_ips": addresses }))
            })
            .collect();
        let capabilities: &[&str] = if self.proxy {
            &["NET_BIND_SERVICE"]
        } else {
            &AGENT_CAPABILITIES
        };
        let mut spec = json!({
            "name": self.name,
            "image": self.image,
            "command": self.command,
            "env": env,
            "mounts": self.mounts.iter().map(mount_json).collect::<Vec<_>>(),
            "labels": self.labels,
            "stdin": self.stdin,
            "terminal": false,
            "remove": false,
            "restart_policy": "no",
            "log_configuration": { "driver": if self.proxy { "k8s-file" } else { "none" } },
            "cap_drop": ["ALL"],
            "cap_add": capabilities,
            "no_new_privileges": true,
            "read_only_filesystem": self.proxy,
            "netns": { "nsmode": "bridge" },
            "base_hosts_file": "none",
            "resource_limits": limits_json(&self.limits),
        });
        if !networks.is_empty() {
            spec["networks"] = json!(networks);
        }
        if let Some(profile) = &self.seccomp {
            spec["seccomp_profile_path"] = json!(profile);
        }
        if let Some(directory) = &self.work_dir {
            spec["work_dir"] = json!(directory);
        }
        if !self.dns.is_empty() {
            let servers: Vec<String> = self.dns.iter().map(Ipv4Addr::to_string).collect();
            spec["dns_server"] = json!(servers);
            spec["dns_search"] = json!(["."]);
        }
        spec
    }
}

fn mount_json(mount: &BindMount) -> Value {
    let mode = if mount.read_only { "ro" } else { "rw" };
    json!({
        "type": "bind",
        "source": mount.source,
        "destination": mount.target,
        "options": [mode, "rbind", "nosuid", "nodev"],
    })
}

/// Limits in the form of the OCI runtime specification; swap is part of the memory limit.
fn limits_json(limits: &RunLimits) -> Value {
    let mut resources = json!({});
    if let Some(bytes) = limits.memory_bytes {
        resources["memory"] = json!({ "limit": bytes, "swap": bytes });
    }
    if let Some(millis) = limits.cpu_millis {
        resources["cpu"] = json!({ "period": 100_000, "quota": millis * 100 });
    }
    if let Some(pids) = limits.pids_max {
        resources["pids"] = json!({ "limit": pids });
    }
    resources
}
