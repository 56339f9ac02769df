//! Connections to the world: the name is resolved here, its addresses are checked, and the checked
//! address is the one that is dialled. Idle connections are kept for the run and used again.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use http::header::{HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock::Stopwatch;
use crate::sandbox::proxy::addresses::{self, Refused};
use crate::sandbox::proxy::body::ProxyBody;
use crate::sandbox::proxy::expect;
use crate::sandbox::proxy::limits::{
    CONNECT_TIME_MAX, FRAME_BYTES_MAX, HEADER_LIST_BYTES_MAX, IDLE_TIME_MAX, PING_TIME_MAX,
    PONG_TIME_MAX, RESPONSE_HEAD_TIME_MAX,
};
use crate::sandbox::proxy::pool::{Destination, Pool, Sender};
use crate::sandbox::proxy::wire::{InternalRange, Setup};
use crate::tasks::TaskSet;

/// Why a request could not be forwarded.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// The host resolves to nothing but addresses that must not be reached.
    #[error("it resolves to {0}")]
    Address(#[from] Refused),
    /// The name could not be resolved.
    #[error("the name could not be resolved: {0}")]
    Resolve(String),
    /// The host could not be connected to.
    #[error("the connection failed: {0}")]
    Connect(#[from] std::io::Error),
    /// Connecting took too long.
    #[error("no connection within {} s", CONNECT_TIME_MAX.as_secs())]
    Timeout,
    /// Nothing came back for too long.
    #[error("no answer within {} s", RESPONSE_HEAD_TIME_MAX.as_secs())]
    Silent,
    /// HTTP failed.
    #[error("upstream broke the protocol or the connection: {0}")]
    Http(#[from] hyper::Error),
}

/// The run's connections.
pub(super) struct Upstream {
    resolver: TokioResolver,
    tls: Arc<ClientConfig>,
    tls_http1: Arc<ClientConfig>,
    internal_ranges: Vec<InternalRange>,
    ports: (u16, u16),
    pool: Mutex<Pool>,
    since: Stopwatch,
    tasks: TaskSet,
}

impl Upstream {
    pub(super) fn new(setup: &Setup, tasks: TaskSet) -> Result<Self, String> {
        let tls = client_config(setup.upstream_ca.as_deref())?;
        let mut tls_http1 = tls.clone();
        tls_http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            resolver: resolver(setup.upstream_dns)?,
            tls: Arc::new(tls),
            tls_http1: Arc::new(tls_http1),
            internal_ranges: setup.internal_ranges.clone(),
            ports: (setup.ports.upstream_http, setup.ports.upstream_https),
            pool: Mutex::default(),
            since: Stopwatch::start(),
            tasks,
        })
    }

    /// Sends a request, over an idle connection if there is one; `sent` counts its body's bytes.
    pub(super) async fn send(
        &self,
        destination: &Destination,
        request: Request<ProxyBody>,
        sent: &AtomicU64,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = request;
        while let Some(sender) = self.take_idle(destination) {
            match self.send_over(destination, sender, request, sent).await {
                Ok(response) => return Ok(response),
                // The connection was closed before the request went out: it goes over another.
                Err((_, Some(unsent))) => request = unsent,
                Err((error, None)) => return Err(error),
            }
        }
        let connecting = tokio::time::timeout(CONNECT_TIME_MAX, self.connect(destination));
        let sender = connecting.await.map_err(|_| UpstreamError::Timeout)??;
        let response = self.send_over(destination, sender, request, sent).await;
        response.map_err(|(error, _)| error)
    }

    async fn send_over(
        &self,
        destination: &Destination,
        sender: Sender,
        mut request: Request<ProxyBody>,
        sent: &AtomicU64,
    ) -> Result<Response<Incoming>, (UpstreamError, Option<Request<ProxyBody>>)> {
        let unsent = |mut error: TrySendError<Request<ProxyBody>>| {
            let request = error.take_message();
            (error.into_error().into(), request)
        };
        let late = |error| (error, None);
        match sender {
            Sender::One(mut sender) => {
                let head = sender.try_send_request(origin_form(request));
                let head = await_head(head, sent, RESPONSE_HEAD_TIME_MAX).await;
                let response = head.map_err(late)?.map_err(unsent)?;
                self.pool()
                    .keep_one(destination, sender, self.since.elapsed());
                Ok(response)
            }
            Sender::Two(mut sender) => {
                self.pool()
                    .keep_two(destination, sender.clone(), self.since.elapsed());
                expect::do_not_await(&mut request);
                let head = sender.try_send_request(absolute_form(destination, request));
                let head = await_head(head, sent, RESPONSE_HEAD_TIME_MAX).await;
                head.map_err(late)?.map_err(unsent)
            }
        }
    }

    /// Closes idle connections in time, for ever.
    pub(super) async fn sweep(&self) {
        let mut tick = tokio::time::interval(IDLE_TIME_MAX / 3);
        loop {
            tick.tick().await;
            self.pool().sweep(self.since.elapsed());
        }
    }

    fn take_idle(&self, destination: &Destination) -> Option<Sender> {
        self.pool().take(destination, self.since.elapsed())
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, destination: &Destination) -> Result<Sender, UpstreamError> {
        let port = if destination.https {
            self.ports.1
        } else {
            self.ports.0
        };
        let stream = self.dial(&destination.host, port).await?;
        if !destination.https {
            return self.handshake_one(TokioIo::new(stream)).await;
        }
        let config = if destination.http1_only {
            &self.tls_http1
        } else {
            &self.tls
        };
        let name = ServerName::try_from(destination.host.clone())
            .map_err(|error| UpstreamError::Resolve(error.to_string()))?;
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.handshake_two(TokioIo::new(stream)).await
        } else {
            self.handshake_one(TokioIo::new(stream)).await
        }
    }

    async fn handshake_one<S>(&self, stream: S) -> Result<Sender, UpstreamError>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new().handshake(stream).await?;
        self.drive(connection.with_upgrades());
        Ok(Sender::One(sender))
    }

    async fn handshake_two<S>(&self, stream: S) -> Result<Sender, UpstreamError>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_TIME_MAX)
            .keep_alive_timeout(PONG_TIME_MAX)
            .max_header_list_size(HEADER_LIST_BYTES_MAX)
            .max_frame_size(FRAME_BYTES_MAX)
            .adaptive_window(true);
        let (sender, connection) = builder.handshake(stream).await?;
        self.drive(connection);
        Ok(Sender::Two(sender))
    }

    /// Runs a connection until it ends; its errors reach whoever uses it.
    fn drive(&self, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
        let stop = self.tasks.stop_token();
        self.tasks.spawn(async move {
            tokio::select! {
                ended = connection => drop(ended),
                () = stop.cancelled() => {}
            }
        });
    }

    /// Resolves, checks and dials.
    async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, UpstreamError> {
        let addresses = self.resolve(host).await?;
        let mut failure = UpstreamError::Resolve("it has no address".to_owned());
        for address in addresses {
            if let Err(refused) = addresses::check(host, address, &self.internal_ranges) {
                failure = refused.into();
                continue;
            }
            match TcpStream::connect(SocketAddr::new(address, port)).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, UpstreamError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        // The final dot keeps search domains out of it.
        let found = self.resolver.lookup_ip(format!("{host}.")).await;
        let found = found.map_err(|error| UpstreamError::Resolve(error.to_string()))?;
        Ok(found.iter().collect())
    }
}

fn resolver(upstream_dns: SocketAddr) -> Result<TokioResolver, String> {
    let (config, options) = resolver_of(upstream_dns, CONNECT_TIME_MAX / 3);
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let built = builder.with_options(options).build();
    built.map_err(|error| error.to_string())
}

/// Returns how one name server is asked, and nothing else: no search domain, no file of hosts.
pub fn resolver_of(server: SocketAddr, patience: Duration) -> (ResolverConfig, ResolverOpts) {
    let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut name_server.connections {
        connection.port = server.port();
    }
    let config = ResolverConfig::from_parts(None, vec![], vec![name_server]);
    let mut options = ResolverOpts::default();
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = patience;
    (config, options)
}

fn client_config(further: Option<&str>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for certificate in CertificateDer::pem_slice_iter(further.unwrap_or_default().as_bytes()) {
        let certificate = certificate.map_err(|error| format!("upstream CA file: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("upstream CA file: {error}"))?;
    }
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns what `head` does, unless nothing comes back for so long after the last byte went up.
async fn await_head<T>(
    head: impl Future<Output = T>,
    sent: &AtomicU64,
    patience: Duration,
) -> Result<T, UpstreamError> {
    let mut head = std::pin::pin!(head);
    loop {
        let before = sent.load(Ordering::Relaxed);
        match tokio::time::timeout(patience, &mut head).await {
            Ok(head) => return Ok(head),
            Err(_) if sent.load(Ordering::Relaxed) == before => return Err(UpstreamError::Silent),
            // The request itself takes long.
            Err(_) => {}
        }
    }
}

/// HTTP/1.1 to an origin: the path alone; the host stands in its header.
fn origin_form(mut request: Request<ProxyBody>) -> Request<ProxyBody> {
    let body = request.body();
    if !body.is_end_stream() && body.size_hint().exact().is_none() {
        // Said explicitly, since without it a GET's body would be taken for an empty one.
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(http::Uri::default, http::Uri::from);
    *request.version_mut() = http::Version::HTTP_11;
    request
}

/// HTTP/2: scheme and authority in the target, no `Host` beside it.
fn absolute_form(destination: &Destination, mut request: Request<ProxyBody>) -> Request<ProxyBody> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(http::uri::Scheme::HTTPS);
    parts.authority = destination.host.parse().ok();
    parts.path_and_query = request.uri().path_and_query().cloned();
    parts
        .path_and_query
        .get_or_insert_with(|| http::uri::PathAndQuery::from_static("/"));
    if let Ok(uri) = http::Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request.headers_mut().remove(http::header::HOST);
    *request.version_mut() = http::Version::HTTP_2;
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_host_that_answers_nothing_is_given_up() {
        let never = std::future::pending::<()>();
        let gave_up = await_head(never, &AtomicU64::new(7), PATIENCE).await;
        assert!(matches!(gave_up, Err(UpstreamError::Silent)));
    }

    #[tokio::test]
    async fn a_long_upload_is_no_silence() {
        let (sent, mut polls) = (AtomicU64::new(0), 0);
        let uploading = std::future::poll_fn(|_| {
            sent.fetch_add(1, Ordering::Relaxed);
            polls += 1;
            if polls < 4 {
                std::task::Poll::Pending
            } else {
                std::task::Poll::Ready("answered")
            }
        });
        let answered = await_head(uploading, &sent, PATIENCE).await;
        assert_eq!(answered.unwrap(), "answered");
    }
}
