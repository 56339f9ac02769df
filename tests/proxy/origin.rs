//! The origin: a name server and a web server that write down what reaches them. `one.test` speaks
//! HTTP/1.1 alone, every other name HTTP/2 too; `mute.test` says nothing until it is let.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use airut::sandbox::proxy::dns;
use airut::tasks::TaskSet;
use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;

use crate::answers;
use crate::world::Journal;

/// The names that the origin is certified for.
const NAMES: [&str; 8] = [
    "one.test",
    "two.test",
    "get.test",
    "private.test",
    "mute.test",
    "graph.test",
    "api.anthropic.com",
    "localhost",
];

/// Where `private.test` is.
pub(crate) const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);

/// What GitHub issues here, and what it is good for.
pub(crate) const APP_TOKEN: &str = "ghs_ARealTokenOfTheAppThatNobodyMaySee00";
pub(crate) const OUR_REPOSITORY: &str = "R_kgDOABPHjQ";

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) version: http::Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// The running origin.
pub(crate) struct Origin {
    pub(crate) dns: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    /// Its authority, PEM.
    pub(crate) authority: String,
    site: Arc<Site>,
}

struct Site {
    journal: Journal,
    seen: Mutex<Vec<Seen>>,
    /// One permit for each event after the first of `/events`, and whatever else waits.
    events: Arc<Semaphore>,
    tasks: TaskSet,
    configs: [Arc<ServerConfig>; 2],
}

impl Origin {
    pub(crate) async fn start(journal: Journal) -> Self {
        let (authority, config) = certify();
        let offering = |protocols: &[&str]| {
            let mut config = config.clone();
            let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
            config.alpn_protocols = protocols.collect();
            Arc::new(config)
        };
        let site = Arc::new(Site {
            journal,
            seen: Mutex::default(),
            events: Arc::new(Semaphore::new(0)),
            tasks: TaskSet::new(),
            configs: [offering(&["http/1.1"]), offering(&["h2", "http/1.1"])],
        });
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (http, https) = (listen().await.unwrap(), listen().await.unwrap());
        let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let origin = Self {
            dns: names.local_addr().unwrap(),
            http: http.local_addr().unwrap(),
            https: https.local_addr().unwrap(),
            authority,
            site: Arc::clone(&site),
        };
        site.tasks.spawn(answer_names(Arc::clone(&site), names));
        site.tasks.spawn(accept(Arc::clone(&site), http, false));
        site.tasks.spawn(accept(Arc::clone(&site), https, true));
        origin
    }

    /// Returns the requests that arrived.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.site.seen.lock().unwrap().clone()
    }

    /// Lets the next event of `/events`, answer of `/late` or connection to `mute.test` go.
    pub(crate) fn send_next_event(&self) {
        self.site.events.add_permits(1);
    }
}

fn certify() -> (String, ServerConfig) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let leaf = CertificateParams::new(NAMES.map(str::to_owned).to_vec()).unwrap();
    let key = KeyPair::generate().unwrap();
    let chain: Vec<CertificateDer<'static>> =
        vec![leaf.signed_by(&key, &issuer).unwrap().der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    (issuer.pem(), config.with_single_cert(chain, key).unwrap())
}

async fn answer_names(site: Arc<Site>, socket: UdpSocket) {
    let mut query = [0; 512];
    loop {
        let (length, peer) = socket.recv_from(&mut query).await.unwrap();
        let query = &query[..length];
        let name = dns::answer(query, Ipv4Addr::LOCALHOST).unwrap().name;
        site.journal.write(format!("asked for {name}"));
        let private = name.eq_ignore_ascii_case("private.test");
        let address = if private {
            PRIVATE
        } else {
            Ipv4Addr::LOCALHOST
        };
        let mut response = dns::answer(query, address).unwrap().response;
        // That a name has no other record is no error.
        response[3] &= 0xf0;
        socket.send_to(&response, peer).await.unwrap();
    }
}

async fn accept(site: Arc<Site>, listener: TcpListener, tls: bool) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        site.journal.write("connected");
        let serving = Arc::clone(&site);
        site.tasks.spawn(async move {
            if !tls {
                return converse(serving, stream).await;
            }
            let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
            let start = acceptor.await.unwrap();
            let one = start.client_hello().server_name() == Some("one.test");
            if start.client_hello().server_name() == Some("mute.test") {
                serving.journal.write("hello of mute.test");
                serving.events.acquire().await.unwrap().forget();
            }
            let config = Arc::clone(&serving.configs[usize::from(!one)]);
            // Whoever was let wait may have gone.
            if let Ok(stream) = start.into_stream(config).await {
                if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                    serving.journal.write("resumed");
                }
                converse(serving, stream).await;
            }
        });
    }
}

async fn converse<S>(site: Arc<Site>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(Arc::clone(&site), request));
    let builder = Builder::new(TokioExecutor::new());
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    // Whoever asks hangs up as it likes.
    drop(serving.await);
}

/// Answers before the upload is there. As servers must that want their answer to arrive (RFC 9112,
/// 9.6), what is still uploaded is read and thrown away, unless nobody was told to begin.
fn early(site: &Site, headers: &HeaderMap, body: Incoming) -> Response<Body> {
    if !headers.contains_key(EXPECT) {
        site.tasks
            .spawn(async move { drop(answers::sink(body).await) });
    }
    answers::early()
}

async fn answer(
    site: Arc<Site>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let upgraded = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    site.journal.write(format!("requested {path}"));
    match path.as_str() {
        "/early" => return Ok(early(&site, &parts.headers, body)),
        "/flood" => return Ok(answers::flood()),
        "/sink" => return Ok(answers::sink(body).await),
        "/late" => site.events.acquire().await.unwrap().forget(),
        _ => {}
    }
    let body = body.collect().await;
    let (trailers, body) = body.map_or_else(
        |_| (None, Bytes::from_static(b"broken off")),
        |body| (body.trailers().cloned(), body.to_bytes()),
    );
    let key = parts.headers.get("x-api-key").cloned();
    site.seen.lock().unwrap().push(Seen {
        method: parts.method.to_string(),
        path: path.clone(),
        version: parts.version,
        headers: parts.headers,
        body: body.clone(),
        trailers,
    });
    let mut response = Response::new(Full::new(body.clone()).boxed_unsync());
    let headers = response.headers_mut();
    match path.as_str() {
        "/redirect" => {
            headers.insert(
                "location",
                HeaderValue::from_static("https://two.test/next"),
            );
            headers.insert("alt-svc", HeaderValue::from_static("h3=\":443\""));
            *response.status_mut() = StatusCode::FOUND;
        }
        "/trailers" => {
            headers.insert("trailer", HeaderValue::from_static("x-checksum"));
            *response.body_mut() = with_trailers(
                Bytes::from_static(b"data"),
                "x-checksum",
                HeaderValue::from_static("42"),
            );
        }
        "/give-back" => {
            let key = key.unwrap();
            headers.insert("x-echo", key.clone());
            *response.body_mut() = with_trailers(body, "x-echo", key);
        }
        "/events" => *response.body_mut() = events(Arc::clone(&site.events)),
        "/websocket" | "/other-protocol" => {
            let protocol = if path == "/websocket" {
                "websocket"
            } else {
                "ssh"
            };
            headers.insert("connection", HeaderValue::from_static("upgrade"));
            headers.insert("upgrade", HeaderValue::from_static(protocol));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            site.tasks.spawn(echo(upgraded));
        }
        _ => {
            answers::about_a_body(&path, &mut response);
            answer_as_github(&path, &mut response);
        }
    }
    Ok(response)
}

/// One app is installed, as number 7.
fn answer_as_github(path: &str, response: &mut Response<Body>) {
    let answer = match path {
        "/app/installations/7/access_tokens" => serde_json::json!({
            "token": APP_TOKEN, "expires_at": "2099-01-01T00:00:00Z"
        }),
        "/installation/repositories" => serde_json::json!({ "repositories": [
            { "node_id": OUR_REPOSITORY, "full_name": "fleet/ferry", "name": "ferry" }
        ]}),
        "/app/installations/8/access_tokens" => {
            *response.status_mut() = StatusCode::NOT_FOUND;
            return;
        }
        _ => return,
    };
    *response.body_mut() = Full::new(answer.to_string().into()).boxed_unsync();
}

fn with_trailers(data: Bytes, name: &'static str, value: HeaderValue) -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, value);
    let frames = [Ok(Frame::data(data)), Ok(Frame::trailers(trailers))];
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

/// Sends one event at once, and a second one when it is let go.
fn events(gate: Arc<Semaphore>) -> Body {
    let events = futures_util::stream::unfold((gate, 0), |(gate, number)| async move {
        if number == 2 {
            return None;
        }
        if number > 0 {
            gate.acquire().await.unwrap().forget();
        }
        let event = Bytes::from(format!("data: {number}\n\n"));
        Some((Ok(Frame::data(event)), (gate, number + 1)))
    });
    StreamBody::new(events).boxed_unsync()
}

async fn echo(upgraded: hyper::upgrade::OnUpgrade) {
    let stream = TokioIo::new(upgraded.await.unwrap());
    let (mut reader, mut writer) = tokio::io::split(stream);
    // It ends when whoever speaks hangs up.
    drop(tokio::io::copy(&mut reader, &mut writer).await);
    drop(writer.shutdown().await);
}
