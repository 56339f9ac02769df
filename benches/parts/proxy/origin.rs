//! The origin behind the proxy: a process of its own with one thread, that answers names, and
//! HTTPS once with HTTP/2 on offer, as most of the world does, and once without.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use airut::sandbox::proxy::dns;
use airut::tasks::TaskSet;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use crate::parts::directory;

/// The argument that makes this program the origin.
pub(crate) const SERVE: &str = "origin-child";

/// The name that the origin is certified for.
pub(crate) const HOST: &str = "origin.bench.test";

/// Bytes of a small body.
pub(crate) const SMALL_BYTES: usize = 1024;

/// Bytes of a large body.
pub(crate) const LARGE_BYTES: usize = 512 * 1024 * 1024;

/// Where a large body is; everywhere else is a small one.
pub(crate) const LARGE_PATH: &str = "/large";

const CHUNK_BYTES: usize = 64 * 1024;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The running origin; dropping it ends it.
pub(crate) struct Origin {
    child: Child,
    /// Name server.
    pub(crate) dns: SocketAddr,
    /// HTTPS that offers HTTP/2 and HTTP/1.1.
    pub(crate) https: SocketAddr,
    /// HTTPS that offers HTTP/1.1 alone.
    pub(crate) https_one: SocketAddr,
    /// The authority that it is certified by, PEM.
    pub(crate) authority: String,
}

impl Origin {
    /// Starts the process and waits until it listens.
    pub(crate) fn start() -> Self {
        let directory = directory();
        let mut child = spawn(&directory);
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let mut addresses = line.split_whitespace().map(|word| word.parse().unwrap());
        Self {
            dns: addresses.next().unwrap(),
            https: addresses.next().unwrap(),
            https_one: addresses.next().unwrap(),
            authority: std::fs::read_to_string(directory.path().join("ca.pem")).unwrap(),
            child,
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the origin must not share threads with who asks it"
)]
fn spawn(directory: &TempDir) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .arg(SERVE)
        .arg(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The child: serves until its standard input closes, which whoever started it holds.
pub(crate) fn serve_child(directory: &Path) {
    let config = certify(directory);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let tasks = TaskSet::new();
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (both, one) = (listen().await.unwrap(), listen().await.unwrap());
        println!(
            "{} {} {}",
            names.local_addr().unwrap(),
            both.local_addr().unwrap(),
            one.local_addr().unwrap()
        );
        tasks.spawn(answer_names(names));
        let offering = |protocols: &[&str]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols
                .iter()
                .map(|name| name.as_bytes().to_vec())
                .collect();
            TlsAcceptor::from(Arc::new(config))
        };
        tasks.spawn(accept(tasks.clone(), both, offering(&["h2", "http/1.1"])));
        tasks.spawn(accept(tasks.clone(), one, offering(&["http/1.1"])));
        standard_input_closed().await;
    });
}

/// Returns once whoever started this process is gone, or lets it go.
pub(crate) async fn standard_input_closed() {
    let (gone, closed) = tokio::sync::oneshot::channel();
    // A thread of its own, because a read of standard input cannot be cancelled.
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        gone.send(())
    });
    closed.await.unwrap();
}

/// Makes an authority, writes its certificate to `ca.pem`, and returns what [`HOST`] serves with.
fn certify(directory: &Path) -> ServerConfig {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(directory.join("ca.pem"), issuer.pem()).unwrap();
    let mut leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    // Another name than the issuer's: OpenSSL takes equal ones for a self-signed certificate.
    leaf.distinguished_name.push(DnType::CommonName, HOST);
    let key = KeyPair::generate().unwrap();
    let chain: Vec<CertificateDer<'static>> =
        vec![leaf.signed_by(&key, &issuer).unwrap().der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

/// Answers every name with this machine; that it has no IPv6 address is no error.
async fn answer_names(socket: UdpSocket) {
    let mut query = [0; 512];
    loop {
        let (length, peer) = socket.recv_from(&mut query).await.unwrap();
        let answered = dns::answer(&query[..length], Ipv4Addr::LOCALHOST);
        let mut response = answered.unwrap().response;
        response[3] &= 0xf0;
        socket.send_to(&response, peer).await.unwrap();
    }
}

async fn accept(tasks: TaskSet, listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let acceptor = acceptor.clone();
        tasks.spawn(async move {
            // Who hangs up in between is no failure of the origin.
            if let Ok(stream) = acceptor.accept(stream).await {
                let builder = Builder::new(TokioExecutor::new());
                let serving = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
                drop(serving.await);
            }
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    static CHUNK: [u8; CHUNK_BYTES] = [b'x'; CHUNK_BYTES];
    if request.uri().path() != LARGE_PATH {
        let body = Full::new(Bytes::from_static(&CHUNK[..SMALL_BYTES]));
        return Ok(Response::new(body.boxed_unsync()));
    }
    let frames =
        (0..LARGE_BYTES / CHUNK_BYTES).map(|_| Ok(Frame::data(Bytes::from_static(&CHUNK))));
    let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(http::header::CONTENT_LENGTH, LARGE_BYTES.into());
    Ok(response)
}
