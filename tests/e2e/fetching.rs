//! Real clients in a real sandbox that do what people use them for: each fetches a package from a
//! registry behind the proxy and uses it, git clones and pushes with a surrogate, Java posts, a WebSocket
//! talks, gRPC calls.

use std::sync::Arc;

use airut::sandbox::port::{NetworkRequest, Sandbox as _};
use airut::sandbox::proxy::wire::{MaskedCredential, Secret};
use airut::sandbox::recorder::Recorder;
use tokio_util::sync::CancellationToken;

use crate::common::hosts::PUSH_TOKEN;
use crate::common::parts::Parts;
use crate::e2e::clients::{Forgetful, IMAGE};
use crate::e2e::ground::{self, Ground};

/// What the agent has in the place of the password for a push.
const SURROGATE: &str = "ghp_surrogate0123456789abcdefghijklmnop";

/// What each client does; it ends with success when it has what it wants.
const CLIENTS: [(&str, &str); 10] = [
    (
        "git",
        "git clone -q https://git.example.test/index.git cloned && cd cloned && \
         git -c user.name=T -c user.email=t@example.test commit -q --allow-empty -m pushed && \
         git push -q https://airut:$TOKEN@git.example.test/index.git HEAD:refs/heads/pushed && \
         git ls-remote --exit-code https://git.example.test/index.git refs/heads/pushed",
    ),
    (
        "npm",
        "npm install --registry $FILES/npm tiny && test \"$(node -p 'require(\"tiny\")')\" = hello",
    ),
    (
        "pip",
        "pip3 install --no-deps --target lib --no-index --find-links $FILES/pypi/index.html tiny && \
         PYTHONPATH=lib python3 -c 'import tiny; assert tiny.SAID == \"hello\"'",
    ),
    (
        "uv",
        "uv pip install --python python3 --target lib --no-index \
         --find-links $FILES/pypi/index.html tiny && \
         PYTHONPATH=lib python3 -c 'import tiny; assert tiny.SAID == \"hello\"'",
    ),
    (
        "go",
        "export GOPATH=$PWD/path GOPROXY=$FILES/go GOSUMDB=off GOFLAGS=-mod=mod && \
         go mod init b.test/b && go get a.test/tiny@v1.0.0 && \
         printf 'package main\\nimport \"a.test/tiny\"\\nfunc main() { println(tiny.Said) }\\n' \
         >main.go && go run . 2>&1 | grep -qx hello",
    ),
    (
        "cargo",
        "cargo init -q --name user && mkdir .cargo && printf '[registries.ours]\\nindex = \
         \"https://git.example.test/index.git\"\\n' >.cargo/config.toml && \
         echo 'tiny = { version = \"1\", registry = \"ours\" }' >>Cargo.toml && \
         echo 'fn main() { println!(\"{}\", tiny::SAID) }' >src/main.rs && \
         cargo run -q | grep -qx hello",
    ),
    (
        "apt",
        "mkdir -p state/lists/partial cache/archives/partial && \
         echo \"deb [trusted=yes] $FILES apt/\" >list && \
         apt() { apt-get -o APT::Sandbox::User=root -o Dir::State=$PWD/state \
         -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache=$PWD/cache \
         -o Dir::Etc::sourcelist=$PWD/list -o Dir::Etc::sourceparts=- \"$@\"; } && \
         apt update && apt install -y tiny && test \"$(cat /usr/share/tiny/said)\" = hello",
    ),
    (
        "java",
        "cat >Ask.java <<'END'
import java.net.URI;
import java.net.http.*;
class Ask {
    static String send(HttpRequest.Builder ask, String at) throws Exception {
        var request = ask.uri(URI.create(\"https://origin.example.test\" + at)).build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) throw new Exception(answer.statusCode() + answer.body());
        return answer.body();
    }
    public static void main(String[] arguments) throws Exception {
        var got = send(HttpRequest.newBuilder().GET(), \"/files/go/a.test/tiny/@v/list\");
        if (!got.equals(\"v1.0.0\\n\")) throw new Exception(got);
        var said = HttpRequest.BodyPublishers.ofString(\"hello\".repeat(100_000));
        var echoed = send(HttpRequest.newBuilder().POST(said), \"/echo\");
        if (!echoed.contains(\"hello\".repeat(100_000))) throw new Exception(echoed);
    }
}
END
java Ask.java",
    ),
    (
        "websocket",
        "python3 -c '
import asyncio, ssl, websockets
async def talk():
    trust = ssl.create_default_context()
    async with websockets.connect(\"wss://origin.example.test/talk\", ssl=trust) as socket:
        for said in [\"hello\", \"h\" * 100000, b\"\\x00\\xff\" * 50000]:
            await socket.send(said)
            assert await socket.recv() == said
        await (await socket.ping())
asyncio.run(talk())
'",
    ),
    (
        "grpc",
        "python3 -c '
import grpc, os
trust = open(os.environ[\"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH\"], \"rb\").read()
channel = grpc.secure_channel(\"origin.example.test:443\", grpc.ssl_channel_credentials(trust))
call = channel.unary_unary(\"/test.Echo/Say\")
assert call(b\"hello\", timeout=30) == b\"hello\"
many = channel.stream_stream(\"/test.Echo/Talk\")
assert list(many(iter([b\"a\", b\"b\" * 100000]), timeout=30)) == [b\"a\", b\"b\" * 100000]
'",
    ),
];

/// Each in a directory of its own; what it said is kept, and whether it has what it wants.
fn script() -> String {
    let one = |(name, does): (&str, &str)| {
        format!(
            "mkdir -p /tmp/{name} && cd /tmp/{name} && if ( {does} ) >/shared/{name}.log 2>&1; \
             then echo {name} >>/shared/done; fi\n"
        )
    };
    let all: String = CLIENTS.into_iter().map(one).collect();
    format!("export HOME=/tmp FILES=https://origin.example.test/files TOKEN={SURROGATE}\n{all}")
}

fn lay_down(directory: &std::path::Path) {
    let files = format!("{}:/files", directory.join("hosts").display());
    let repositories = format!("{}:/repositories", directory.join("repositories").display());
    let program = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/e2e/registry.py:/registry.py:ro"
    );
    let volumes = ["-v", &files, "-v", &repositories, "-v", program];
    let run = ["run", "--rm", "--pull=never", "--network=none"];
    let program = [
        IMAGE,
        "python3",
        "/registry.py",
        "/files/files",
        "/repositories",
    ];
    ground::call(
        "podman",
        &[&run[..], &volumes, &program].concat(),
        directory,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn real_clients_fetch_what_they_want_push_and_call_through_the_proxy() {
    let Some(parts) = Parts::find() else { return };
    if !ground::has_image(IMAGE) {
        return;
    }
    let directory = Ground::directory();
    lay_down(directory.path());
    let ground = Ground::start(&parts, directory).await;
    let recorder: Arc<dyn Recorder> = Arc::new(Forgetful);
    let image = ground.image(IMAGE, Arc::clone(&recorder)).await;
    let domains = ["origin.example.test", "git.example.test"];
    let mut request = ground.request(ground::run(1), image, script(), &domains);
    if let NetworkRequest::Sandboxed(policy) = &mut request.network {
        policy.credentials.push(MaskedCredential {
            name: "PUSH_TOKEN".to_owned(),
            surrogate: Secret::new(SURROGATE.to_owned()),
            value: Secret::new(PUSH_TOKEN.to_owned()),
            scopes: vec!["git.example.test".to_owned()],
            headers: vec!["Authorization".to_owned()],
            allow_foreign: false,
        });
    }
    let end = ground
        .sandbox
        .run(request, recorder, CancellationToken::new());
    let end = end.await.unwrap();
    let done = std::fs::read_to_string(ground.shared().join("done")).unwrap_or_default();
    let missing = CLIENTS
        .iter()
        .filter(|(name, _)| !done.lines().any(|line| line == *name));
    let missing = missing.map(|(name, _)| {
        let log = std::fs::read_to_string(ground.shared().join(format!("{name}.log")));
        format!("{name}: {}", log.unwrap_or_default())
    });
    let missing: Vec<_> = missing.collect();
    assert!(
        missing.is_empty(),
        "{}\n{}",
        missing.join("\n"),
        end.stderr_tail
    );
    ground.stop().await;
}
