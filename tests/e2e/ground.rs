//! A sandbox of its own for a test, before a private internet: no daemon, no mail, no conversation.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use airut::config::types::Audit;
use airut::events::blobs::Blobs;
use airut::events::id::{RunId, TaskId};
use airut::events::run::{Mount, RunLimits};
use airut::sandbox::podman_sandbox::{PodmanSandbox, SandboxSettings};
use airut::sandbox::port::{
    AppKeys, Entrypoint, ImageRequest, NetworkRequest, OutputKind, ProxyPolicy, RunRequest,
    Sandbox as _,
};
use airut::sandbox::proxy::allowlist::Allowlist;
use airut::sandbox::proxy::wire::InternalRange;
use airut::sandbox::recorder::Recorder;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::common::hosts::Hosts;
use crate::common::parts::Parts;

/// Time for one run.
const RUN_TIME_MS: u64 = 600_000;

/// The sandbox and what stands around it.
pub(crate) struct Ground {
    pub(crate) sandbox: Arc<PodmanSandbox>,
    pub(crate) hosts: Hosts,
    /// What its containers and networks are labelled with.
    pub(crate) name: String,
    directory: TempDir,
}

impl Ground {
    /// Makes a directory with what the private internet serves.
    pub(crate) fn directory() -> TempDir {
        let directory = tempfile::Builder::new().prefix("airut").tempdir().unwrap();
        for name in ["repositories", "hosts", "shared"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        std::fs::write(directory.path().join("hosts/scenarios.json"), "[]").unwrap();
        directory
    }

    /// Starts everything in such a directory.
    pub(crate) async fn start(parts: &Parts, directory: TempDir) -> Self {
        let path = directory.path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let hosts = Hosts::start(parts, &name, path);
        let settings = SandboxSettings {
            instance: name.clone(),
            runtime_dir: path.join("run"),
            binaries_dir: path.join("binaries"),
            proxy_binary: parts.proxy.clone(),
            upstream_dns: format!("{}:53", hosts.address).parse().unwrap(),
            internal_ranges: vec![InternalRange {
                range: format!("{}/32", hosts.address).parse().unwrap(),
                hosts: vec!["*.example.test".to_owned()],
            }],
            upstream_ca: Some(std::fs::read_to_string(&hosts.ca_file).unwrap()),
            audit: Audit::Strict,
            container_command: "podman".to_owned(),
        };
        let blobs = Arc::new(Blobs::open(&path.join("blobs")).unwrap());
        let sandbox = Arc::new(PodmanSandbox::start(settings, blobs).await.unwrap());
        Self {
            sandbox,
            hosts,
            name,
            directory,
        }
    }

    /// Returns the directory that runs see as `/shared`.
    pub(crate) fn shared(&self) -> PathBuf {
        self.directory.path().join("shared")
    }

    /// Makes an image of what another one holds, and nothing else. It names the other by its number
    /// too: one that was made again under the same name must not find the image of before.
    pub(crate) async fn image(&self, from: &str, recorder: Arc<dyn Recorder>) -> String {
        let number = ["image", "inspect", "--format", "{{.Id}}", from];
        let number = call("podman", &number, self.directory.path());
        let number = number.trim();
        let request = ImageRequest {
            run: run(0),
            dockerfile: format!("# {number}\nFROM {from}\n").into_bytes(),
            context: vec![],
            entrypoint: Entrypoint::Passthrough,
        };
        self.sandbox.ensure_image(request, recorder).await.unwrap()
    }

    /// Returns a run of a script that may reach `domains`.
    pub(crate) fn request(
        &self,
        run: RunId,
        image: String,
        script: String,
        domains: &[&str],
    ) -> RunRequest {
        let domains = domains.iter().map(|domain| (*domain).to_owned());
        RunRequest {
            run,
            image,
            argv: vec!["sh".to_owned(), "-c".to_owned(), script],
            env: vec![],
            mounts: vec![Mount {
                source: self.shared().display().to_string(),
                target: "/shared".to_owned(),
                read_only: false,
            }],
            limits: RunLimits {
                timeout_ms: Some(RUN_TIME_MS),
                ..RunLimits::default()
            },
            stdin: vec![],
            output: OutputKind::AgentStream,
            network: NetworkRequest::Sandboxed(Box::new(ProxyPolicy {
                allowlist: Allowlist {
                    domains: domains.collect(),
                    url_prefixes: vec![],
                },
                credentials: vec![],
                signing: vec![],
                apps: vec![],
                honey: None,
                app_keys: AppKeys::default(),
            })),
            service_ends: CancellationToken::new(),
        }
    }

    /// Ends everything; the runs are over.
    pub(crate) async fn stop(self) {
        self.sandbox.stop().await;
        drop(self.hosts);
        let mut command = Command::new("podman");
        drop(command.args(["network", "rm", "-f", &self.name]).status());
    }
}

/// Returns a run that no other test has.
pub(crate) fn run(number: u64) -> RunId {
    TaskId(u64::from(std::process::id()) * 1000 + number).run(1)
}

/// Returns whether an image is there, or says aloud that it is not.
pub(crate) fn has_image(image: &str) -> bool {
    let mut command = Command::new("podman");
    let exists = command.args(["image", "exists", image]).status();
    if exists.unwrap().success() {
        return true;
    }
    let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
    assert!(!required, "{image} is missing (make setup)");
    eprintln!("SKIPPED: {image} is missing (make setup)");
    false
}

/// Runs a program of the machine's.
#[track_caller]
pub(crate) fn call(program: &str, arguments: &[&str], directory: &Path) -> String {
    let mut command = Command::new(program);
    crate::common::run(command.args(arguments).current_dir(directory))
}
