//! What the agent does: bytes as they are over HTTP/1.1, requests over HTTP/2, in the clear or not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use airut::sandbox::proxy::ca::{Minter, make_authority};
use airut::sandbox::proxy::wire::Ports;
use airut::tasks::TaskSet;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::answers::PIECE;

pub(crate) type RequestBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// How to reach the proxy.
#[derive(Clone)]
pub(crate) struct Client {
    http: SocketAddr,
    https: SocketAddr,
    tls: ClientConfig,
    tasks: TaskSet,
}

impl Client {
    pub(crate) fn new(address: Ipv4Addr, ports: Ports, authority: &str) -> Self {
        Self {
            http: SocketAddr::from((address, ports.http)),
            https: SocketAddr::from((address, ports.https)),
            tls: trusting(authority),
            tasks: TaskSet::new(),
        }
    }

    pub(crate) async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.http).await.unwrap()
    }

    /// Opens TLS for a name, saying it or not.
    pub(crate) async fn tls(
        &self,
        name: &str,
        protocol: &str,
        say_name: bool,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = self.tls.clone();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config.enable_sni = say_name;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = TcpStream::connect(self.https).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// Sends bytes in the clear and returns all that comes back.
    pub(crate) async fn say_plain(&self, request: &str) -> String {
        say(self.plain().await, request).await
    }

    /// Sends bytes over TLS and returns all that comes back.
    pub(crate) async fn say(&self, name: &str, request: &str) -> String {
        say(self.tls(name, "http/1.1", true).await.unwrap(), request).await
    }

    /// Sends a request over HTTP/2.
    pub(crate) async fn ask_two(&self, request: Request<RequestBody>) -> Response<Incoming> {
        let name = request.uri().host().unwrap().to_owned();
        let stream = self.tls(&name, "h2", true).await.unwrap();
        let stream = TokioIo::new(stream);
        let handshake = http2::handshake(TokioExecutor::new(), stream).await;
        let (mut sender, connection) = handshake.unwrap();
        self.tasks.spawn(connection);
        sender.send_request(request).await.unwrap()
    }
}

fn trusting(authority: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Sends bytes and returns all that comes back until the other side hangs up.
pub(crate) async fn say(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    say_all(&mut stream, request.as_bytes()).await;
    let mut answer = Vec::new();
    // What had come before the connection broke counts.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8(answer).unwrap()
}

/// Sends bytes, and returns once they have left. A TLS stream takes some that its socket has no room
/// for, and reading sends none of them: whoever then waits for the answer would wait for ever.
pub(crate) async fn say_all(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// Reads until so many bytes end with `end`.
pub(crate) async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut read = String::new();
    while !read.ends_with(end) {
        read.push(char::from(stream.read_u8().await.unwrap()));
    }
    read
}

/// Returns the status of an answer over HTTP/1.1; 0 for none.
pub(crate) fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    status.parse().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn what_was_said_has_left_before_an_answer_is_awaited() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let authority = make_authority("test").unwrap();
    let minter = Minter::new("test", &authority.key).unwrap();
    let accepting = TlsAcceptor::from(minter.config("one.test").unwrap());
    let connecting = TlsConnector::from(Arc::new(trusting(&authority.certificate)));
    let name = ServerName::try_from("one.test").unwrap();
    // Far less than what is said, so that the rest waits in the TLS stream.
    let (near, far) = tokio::io::duplex(4096);
    let agent = async {
        let mut stream = connecting.connect(name, near).await.unwrap();
        say_all(&mut stream, PIECE).await;
        stream.read_u8().await.unwrap()
    };
    let origin = async {
        let mut stream = accepting.accept(far).await.unwrap();
        stream.read_exact(&mut vec![0; PIECE.len()]).await.unwrap();
        say_all(&mut stream, b"!").await;
        stream
    };
    let both = async { tokio::join!(agent, origin).0 };
    let answer = tokio::time::timeout(Duration::from_secs(60), both).await;
    assert_eq!(answer, Ok(b'!'));
}
