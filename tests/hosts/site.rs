//! Connections and routing: which host a request is for, and who answers for that host.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::journal::Journal;
use crate::options::Options;
use crate::{AnyError, anthropic, git, origin, registry, socket};

/// The body of every answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Request bodies above this are cut off with an error: no test sends more.
const BODY_BYTES_MAX: usize = 64 << 20;

/// What all connections share.
pub(crate) struct Site {
    /// What the program was told.
    pub(crate) options: Options,
    /// Where evidence goes.
    pub(crate) journal: Journal,
    requests: AtomicU64,
}

impl Site {
    /// A site that nobody has asked anything yet.
    pub(crate) fn new(options: Options, journal: Journal) -> Self {
        Self {
            options,
            journal,
            requests: AtomicU64::new(0),
        }
    }
}

/// A request, read to its end.
pub(crate) struct Asked {
    /// The running number, as in the journal.
    pub(crate) number: u64,
    /// Method, path and headers.
    pub(crate) head: http::request::Parts,
    /// The host that is asked, lower case, without port.
    pub(crate) host: String,
    /// The whole body.
    pub(crate) body: Bytes,
}

/// The bound listeners.
pub(crate) struct Listeners {
    plain: TcpListener,
    secure: TcpListener,
    acceptor: TlsAcceptor,
    site: Arc<Site>,
}

/// Binds the HTTP and HTTPS ports.
pub(crate) async fn bind(site: &Arc<Site>, tls: Arc<ServerConfig>) -> Result<Listeners, AnyError> {
    let Options {
        listen,
        http_port,
        https_port,
        ..
    } = site.options;
    Ok(Listeners {
        plain: TcpListener::bind((listen, http_port)).await?,
        secure: TcpListener::bind((listen, https_port)).await?,
        acceptor: TlsAcceptor::from(tls),
        site: Arc::clone(site),
    })
}

impl Listeners {
    /// Serves for ever.
    pub(crate) async fn serve(self) -> Result<(), AnyError> {
        loop {
            tokio::select! {
                accepted = self.plain.accept() => {
                    tokio::spawn(converse(Arc::clone(&self.site), accepted?.0, None));
                }
                accepted = self.secure.accept() => {
                    let (stream, _) = accepted?;
                    let (site, acceptor) = (Arc::clone(&self.site), self.acceptor.clone());
                    tokio::spawn(async move {
                        // A client that does not trust us, or scans us, is no failure of ours.
                        if let Ok(stream) = acceptor.accept(stream).await {
                            let name = stream.get_ref().1.server_name().map(str::to_owned);
                            converse(site, stream, name).await;
                        }
                    });
                }
            }
        }
    }
}

async fn converse<S>(site: Arc<Site>, stream: S, server_name: Option<String>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (site, server_name) = (Arc::clone(&site), server_name.clone());
        async move { Ok::<_, Infallible>(answer(&site, request, server_name).await) }
    });
    // Clients hang up whenever they like.
    drop(
        Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .await,
    );
}

async fn answer(
    site: &Site,
    mut request: Request<Incoming>,
    sni: Option<String>,
) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let number = site.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let host = host_of(&head);
    let body = http_body_util::Limited::new(body, BODY_BYTES_MAX)
        .collect()
        .await;
    let body = body.map(http_body_util::Collected::to_bytes);
    site.journal.request(json!({
        "number": number,
        "sni": sni,
        "host": host,
        "method": head.method.as_str(),
        "path": head.uri.path_and_query().map(ToString::to_string),
        "version": format!("{:?}", head.version),
        "headers": headers_of(&head.headers),
        "body_bytes": body.as_ref().map_or(0, Bytes::len),
        "body_whole": body.is_ok(),
    }));
    let Ok(body) = body else {
        return text(StatusCode::BAD_REQUEST, "the body did not arrive");
    };
    if let Some(response) = socket::answer(&head, upgrade) {
        return response;
    }
    let asked = Asked {
        number,
        head,
        host,
        body,
    };
    let response = match asked.host.as_str() {
        "api.anthropic.com" => anthropic::answer(site, &asked).await,
        host if host.starts_with("git.") => git::answer(site, &asked).await,
        _ => registry::answer(site, &asked).unwrap_or_else(|| origin::answer(&asked)),
    };
    if asked.head.method == http::Method::HEAD {
        return without_body(response);
    }
    response
}

/// Tells of a body and does not send it: over HTTP/2 nobody else leaves it out (RFC 9110, 9.3.2).
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts
            .headers
            .insert(http::header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Full::default().boxed_unsync())
}

fn host_of(head: &http::request::Parts) -> String {
    let named = head
        .headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = head.uri.host().or(named).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    host.to_ascii_lowercase()
}

/// The headers as they came: a list of pairs, because a name may come twice.
pub(crate) fn headers_of(headers: &http::HeaderMap) -> Value {
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
    };
    headers.iter().map(pair).collect()
}

/// An answer in plain text.
pub(crate) fn text(status: StatusCode, message: &str) -> Response<Body> {
    respond(
        status,
        "text/plain; charset=utf-8",
        Bytes::from(message.to_owned()),
    )
}

/// An answer in JSON.
pub(crate) fn json_body(status: StatusCode, value: &Value) -> Response<Body> {
    respond(status, "application/json", Bytes::from(value.to_string()))
}

/// An answer whose body is known.
pub(crate) fn respond(status: StatusCode, media_type: &str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = status;
    if let Ok(media_type) = media_type.parse() {
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, media_type);
    }
    response
}
