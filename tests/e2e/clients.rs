//! Real clients in a real sandbox: each trusts the run's authority by its own variable or store, and
//! what it asks arrives at the origin. What they fetch is not what they want; that they ask is enough.

use std::process::Command;
use std::sync::Arc;

use airut::config::types::Audit;
use airut::events::Event;
use airut::events::blobs::Blobs;
use airut::events::id::TaskId;
use airut::events::run::RunLimits;
use airut::sandbox::podman_sandbox::{PodmanSandbox, SandboxSettings};
use airut::sandbox::port::{
    AppKeys, Entrypoint, ImageRequest, NetworkRequest, OutputKind, ProxyPolicy, RunRequest,
    Sandbox as _,
};
use airut::sandbox::proxy::allowlist::Allowlist;
use airut::sandbox::proxy::wire::InternalRange;
use airut::sandbox::recorder::{PortFuture, RecordError, Recorder};
use tokio_util::sync::CancellationToken;

use crate::common::hosts::Hosts;
use crate::common::parts::Parts;

/// The base image with the clients in it.
const IMAGE: &str = "localhost/airut-test-clients:latest";

/// Where each client asks, and how it is made to.
const CLIENTS: [(&str, &str); 11] = [
    ("/curl", "curl -sS https://origin.example.test/curl"),
    ("/wget", "wget -qO- https://origin.example.test/wget"),
    ("/git/", "git ls-remote https://origin.example.test/git"),
    (
        "/cargo/",
        "cargo install --root /tmp/c --index https://origin.example.test/cargo x",
    ),
    (
        "/node",
        "node -e 'fetch(\"https://origin.example.test/node\")'",
    ),
    (
        "/npm/",
        "npm ping --registry=https://origin.example.test/npm/",
    ),
    (
        "/pip/",
        "pip3 download --retries 0 -d /tmp/p -i https://origin.example.test/pip x",
    ),
    (
        "/uv/",
        "uv pip compile --index-url https://origin.example.test/uv /tmp/in",
    ),
    (
        "/go/",
        "env GOPROXY=https://origin.example.test/go go list -m -versions a.test/x",
    ),
    (
        "/bytes/9",
        "/usr/lib/apt/apt-helper download-file https://origin.example.test/bytes/9 /tmp/f",
    ),
    ("/java", "java /tmp/Ask.java"),
];

const PREPARE: &str = r#"export HOME=/tmp
echo x > /tmp/in
cat > /tmp/Ask.java <<'END'
import java.net.URI;
import java.net.http.*;
class Ask {
    public static void main(String[] arguments) throws Exception {
        var ask = HttpRequest.newBuilder(URI.create("https://origin.example.test/java")).build();
        HttpClient.newHttpClient().send(ask, HttpResponse.BodyHandlers.discarding());
    }
}
END
"#;

struct Forgetful;

impl Recorder for Forgetful {
    fn record(&self, _: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        Box::pin(async { Ok(()) })
    }
}

fn request(image: String) -> RunRequest {
    let asks = CLIENTS.map(|(_, ask)| format!("timeout 60 {ask} >/dev/null || true\n"));
    RunRequest {
        run: TaskId(u64::from(std::process::id())).run(1),
        image,
        argv: vec![
            "sh".to_owned(),
            "-c".to_owned(),
            format!("{PREPARE}{}", asks.concat()),
        ],
        env: vec![],
        mounts: vec![],
        limits: RunLimits {
            timeout_ms: Some(300_000),
            ..RunLimits::default()
        },
        stdin: vec![],
        output: OutputKind::AgentStream,
        network: NetworkRequest::Sandboxed(Box::new(ProxyPolicy {
            allowlist: Allowlist {
                domains: vec!["origin.example.test".to_owned()],
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

#[tokio::test(flavor = "multi_thread")]
async fn real_clients_trust_the_runs_authority_and_reach_the_origin() {
    let Some(parts) = Parts::find() else { return };
    let exists = Command::new("podman")
        .args(["image", "exists", IMAGE])
        .status();
    if !exists.unwrap().success() {
        let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
        assert!(!required, "{IMAGE} is missing (make setup)");
        return eprintln!("SKIPPED: {IMAGE} is missing (make setup)");
    }
    let directory = tempfile::Builder::new().prefix("airut").tempdir().unwrap();
    let name = directory
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    std::fs::create_dir(directory.path().join("repositories")).unwrap();
    std::fs::create_dir(directory.path().join("hosts")).unwrap();
    std::fs::write(directory.path().join("hosts/scenarios.json"), "[]").unwrap();
    let hosts = Hosts::start(&parts, &name, directory.path());
    let settings = SandboxSettings {
        instance: name.clone(),
        runtime_dir: directory.path().join("run"),
        binaries_dir: directory.path().join("binaries"),
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
    let blobs = Arc::new(Blobs::open(&directory.path().join("blobs")).unwrap());
    let sandbox = Arc::new(PodmanSandbox::start(settings, blobs).await.unwrap());
    let image = ImageRequest {
        run: TaskId(u64::from(std::process::id())).run(1),
        dockerfile: format!("FROM {IMAGE}\n").into_bytes(),
        context: vec![],
        entrypoint: Entrypoint::Passthrough,
    };
    let image = sandbox
        .ensure_image(image, Arc::new(Forgetful))
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let end = sandbox
        .run(request(image), Arc::new(Forgetful), stop)
        .await
        .unwrap();
    sandbox.stop().await;

    let asked = hosts.requests_to("origin.example.test");
    let paths: Vec<&str> = asked
        .iter()
        .filter_map(|request| request["path"].as_str())
        .collect();
    for (path, ask) in CLIENTS {
        let came = paths.iter().any(|asked| asked.starts_with(path));
        assert!(came, "{ask}: not among {paths:?}\n{}", end.stderr_tail);
    }
    drop(hosts);
    drop(
        Command::new("podman")
            .args(["network", "rm", "-f", &name])
            .status(),
    );
}
