//! The agent's container, as a run asks for it (spec rows SBX-07 to SBX-10, NET-04). Pure.

use secrecy::SecretString;

use crate::events::run::Mount;
use crate::sandbox::podman::{BindMount, ContainerSpec};
use crate::sandbox::podman_sandbox::guard::Guard;
use crate::sandbox::podman_sandbox::image::{CA_BUNDLE_PATH, CA_PATH};
use crate::sandbox::podman_sandbox::names::Names;
use crate::sandbox::port::{OutputKind, RunRequest};

/// Where the workspace is mounted, and where the command starts when it is.
const WORKSPACE: &str = "/workspace";

/// Returns what is made for a run's agent.
pub(super) fn agent_spec(
    request: &RunRequest,
    names: &Names,
    guard: Option<&Guard>,
) -> ContainerSpec {
    let mut spec = ContainerSpec {
        name: names.agent.clone(),
        image: request.image.clone(),
        command: request.argv.clone(),
        env: request.env.clone(),
        mounts: request.mounts.iter().map(bind).collect(),
        labels: names.labels.clone(),
        limits: request.limits.clone(),
        work_dir: request
            .mounts
            .iter()
            .any(|m| m.target == WORKSPACE)
            .then(|| WORKSPACE.to_owned()),
        stdin: true,
        ..ContainerSpec::default()
    };
    let mut set = |name: &str, value: &str| {
        spec.env.retain(|(known, _)| known != name);
        spec.env.push((name.to_owned(), SecretString::from(value)));
    };
    if matches!(request.output, OutputKind::AgentStream) {
        set("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1");
    }
    let Some(guard) = guard else {
        return spec;
    };
    set("NODE_EXTRA_CA_CERTS", CA_PATH);
    for name in [
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
    ] {
        set(name, CA_BUNDLE_PATH);
    }
    spec.mounts.push(BindMount {
        source: guard.ca_file.clone(),
        target: CA_PATH.to_owned(),
        read_only: true,
    });
    spec.networks = vec![(guard.network.clone(), None)];
    spec.dns = vec![guard.proxy];
    spec
}

fn bind(mount: &Mount) -> BindMount {
    let Mount {
        source,
        target,
        read_only,
    } = mount.clone();
    BindMount {
        source,
        target,
        read_only,
    }
}
