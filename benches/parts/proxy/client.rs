//! The load: HTTPS with HTTP/1.1 over as many connections as asked for, all on one thread. It does
//! not know whether it asks the origin or the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use airut::clock::Stopwatch;
use airut::tasks::TaskSet;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::origin::{HOST, LARGE_BYTES, LARGE_PATH, SMALL_BYTES};

/// How long each figure is measured: all of one proxy's requests stay within what a run may decide.
const MEASURED_FOR: Duration = Duration::from_secs(3);

/// Before it counts, the load runs so long.
const WARM_UP: Duration = Duration::from_millis(500);

/// Who opens new connections, at once: enough to keep two processors busy, also where each waits for
/// the disk.
const OPENERS: usize = 16;

type Sender = SendRequest<Empty<Bytes>>;

/// A way to the origin.
pub(crate) struct Way {
    address: SocketAddr,
    tls: TlsConnector,
}

/// What a load came to.
pub(crate) struct Load {
    /// Each answer's time, in order of length.
    latencies: Vec<Duration>,
    elapsed: Duration,
}

impl Load {
    /// Returns how many answers there were in a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns how many answers there were.
    pub(crate) fn answers(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// Returns the time that so many of a hundred answers did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.latencies.len() - 1;
        self.latencies[last * percent / 100]
    }
}

/// Returns what connects to whoever `authority` (PEM) certifies, over HTTP/1.1. Sessions are not
/// resumed: a new connection is a whole handshake.
pub(crate) fn trusting(authority: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

impl Way {
    /// Returns the way to an address that is certified by `authority` (PEM).
    pub(crate) fn new(address: SocketAddr, authority: &str) -> Self {
        let tls = trusting(authority);
        Self { address, tls }
    }

    async fn connect(&self, tasks: &TaskSet) -> Sender {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let stream = self.tls.connect(name, stream).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tasks.spawn(connection);
        sender
    }

    /// Sends one request over a connection of its own.
    pub(crate) async fn ask_once(&self) {
        let tasks = TaskSet::new();
        get(&mut self.connect(&tasks).await, "/", SMALL_BYTES).await;
    }

    /// Asks for small bodies, one after the other on each connection.
    pub(crate) async fn keep_asking(&self, connections: usize) -> Load {
        let tasks = TaskSet::new();
        let senders = join_all((0..connections).map(|_| self.connect(&tasks))).await;
        let watch = Stopwatch::start();
        let asking = senders.into_iter().map(async |mut sender: Sender| {
            repeat(watch, async || get(&mut sender, "/", SMALL_BYTES).await).await
        });
        gather(&join_all(asking).await, watch)
    }

    /// Opens connections for one request each.
    pub(crate) async fn keep_opening(&self) -> Load {
        let watch = Stopwatch::start();
        let opening = (0..OPENERS).map(|_| repeat(watch, async || self.ask_once().await));
        gather(&join_all(opening).await, watch)
    }

    /// Reads the large body to its end; returns how long that took.
    pub(crate) async fn download(&self) -> Duration {
        let tasks = TaskSet::new();
        let mut sender = self.connect(&tasks).await;
        let watch = Stopwatch::start();
        get(&mut sender, LARGE_PATH, LARGE_BYTES).await;
        watch.elapsed()
    }
}

/// Reads an answer to its end, frame by frame.
async fn get(sender: &mut Sender, path: &str, expected_bytes: usize) {
    let request = Request::get(path).header(http::header::HOST, HOST);
    sender.ready().await.unwrap();
    let request = request.body(Empty::new()).unwrap();
    let mut response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut bytes = 0;
    while let Some(frame) = response.frame().await {
        bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    assert_eq!(bytes, expected_bytes, "a body was cut");
}

/// Does something again and again until the time is over; returns how long each took.
async fn repeat(watch: Stopwatch, mut once: impl AsyncFnMut()) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while watch.elapsed() < WARM_UP + MEASURED_FOR {
        let counts = watch.elapsed() >= WARM_UP;
        let own = Stopwatch::start();
        once().await;
        latencies.extend(counts.then(|| own.elapsed()));
    }
    latencies
}

fn gather(latencies: &[Vec<Duration>], watch: Stopwatch) -> Load {
    let elapsed = watch.elapsed().saturating_sub(WARM_UP);
    let mut latencies = latencies.concat();
    latencies.sort();
    Load { latencies, elapsed }
}
