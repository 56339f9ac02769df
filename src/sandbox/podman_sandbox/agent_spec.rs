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

/// What clients are told where all trusted authorities are, the run's among them. Go, Ruby, PHP and uv
/// read the first; wget, apt and Java have stores of their own, which the entrypoint adds to.
const CA_BUNDLE_VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];

/// What clients with a list of their own are told to trust besides: Node.js and Deno.
const FURTHER_CA_VARIABLES: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

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
    for name in FURTHER_CA_VARIABLES {
        set(name, CA_PATH);
    }
    for name in CA_BUNDLE_VARIABLES {
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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::events::id::TaskId;
    use crate::events::run::RunLimits;
    use crate::sandbox::port::NetworkRequest;

    #[test]
    fn what_the_repository_sets_does_not_override_what_is_forced() {
        let name = "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS";
        let run = TaskId(1).run(1);
        let request = RunRequest {
            run,
            image: String::new(),
            argv: vec![],
            env: vec![(name.to_owned(), SecretString::from("0"))],
            mounts: vec![],
            limits: RunLimits::default(),
            stdin: vec![],
            output: OutputKind::AgentStream,
            network: NetworkRequest::Open,
            service_ends: CancellationToken::new(),
        };
        let spec = agent_spec(&request, &Names::of("i", run), None);
        let set = spec.env.iter().filter(|(known, _)| known == name);
        let values: Vec<&str> = set.map(|(_, value)| value.expose_secret()).collect();
        assert_eq!(values, ["1"]);
    }
}
