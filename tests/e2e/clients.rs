//! Real clients in a real sandbox: each trusts the run's authority by its own variable or store, and
//! what it asks arrives at the origin. What they fetch is not what they want (that is `fetching`);
//! that they ask is enough.

use std::sync::Arc;

use airut::events::Event;
use airut::sandbox::port::Sandbox as _;
use airut::sandbox::recorder::{PortFuture, RecordError, Recorder};
use tokio_util::sync::CancellationToken;

use crate::common::parts::Parts;
use crate::e2e::ground::{self, Ground};

/// The base image with the clients in it.
pub(crate) const IMAGE: &str = "localhost/airut-test-clients:latest";

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

/// Keeps nothing.
pub(crate) struct Forgetful;

impl Recorder for Forgetful {
    fn record(&self, _: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        Box::pin(async { Ok(()) })
    }
}

fn script() -> String {
    let asks = CLIENTS.map(|(_, ask)| format!("timeout 60 {ask} >/dev/null || true\n"));
    format!("{PREPARE}{}", asks.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn real_clients_trust_the_runs_authority_and_reach_the_origin() {
    let Some(parts) = Parts::find() else { return };
    if !ground::has_image(IMAGE) {
        return;
    }
    let ground = Ground::start(&parts, Ground::directory()).await;
    let image = ground.image(IMAGE, Arc::new(Forgetful)).await;
    let domains = ["origin.example.test"];
    let request = ground.request(ground::run(1), image, script(), &domains);
    let stop = CancellationToken::new();
    let end = ground.sandbox.run(request, Arc::new(Forgetful), stop);
    let end = end.await.unwrap();

    let asked = ground.hosts.requests_to("origin.example.test");
    let paths: Vec<&str> = asked
        .iter()
        .filter_map(|request| request["path"].as_str())
        .collect();
    for (path, ask) in CLIENTS {
        let came = paths.iter().any(|asked| asked.starts_with(path));
        assert!(came, "{ask}: not among {paths:?}\n{}", end.stderr_tail);
    }
    ground.stop().await;
}
