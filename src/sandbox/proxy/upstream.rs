//! Connections to the world: the name is resolved here, its addresses are checked, and the checked
//! address is the one that is dialled. Idle connections are kept for the run and used again.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use http::header::{HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ipnet::IpNet;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::sandbox::proxy::addresses::{self, Refused};
use crate::sandbox::proxy::body::ProxyBody;
use crate::sandbox::proxy::limits::{CONNECT_TIME_MAX, HEADER_LIST_BYTES_MAX, IDLE_PER_HOST_MAX};
use crate::sandbox::proxy::wire::Setup;
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
    /// HTTP failed.
    #[error("upstream broke the protocol or the connection: {0}")]
    Http(#[from] hyper::Error),
}

/// Where a request is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Destination {
    pub(super) https: bool,
    pub(super) host: String,
    /// WebSockets need HTTP/1.1.
    pub(super) http1_only: bool,
}

enum Sender {
    One(http1::SendRequest<ProxyBody>),
    Two(http2::SendRequest<ProxyBody>),
}

#[derive(Default)]
struct Idle {
    one: Vec<http1::SendRequest<ProxyBody>>,
    two: Option<http2::SendRequest<ProxyBody>>,
}

/// The run's connections.
pub(super) struct Upstream {
    resolver: TokioResolver,
    tls: Arc<ClientConfig>,
    tls_http1: Arc<ClientConfig>,
    internal_ranges: Vec<IpNet>,
    ports: (u16, u16),
    idle: Mutex<HashMap<Destination, Idle>>,
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
            idle: Mutex::default(),
            tasks,
        })
    }

    /// Sends a request, over an idle connection if there is one.
    pub(super) async fn send(
        &self,
        destination: &Destination,
        request: Request<ProxyBody>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = request;
        while let Some(sender) = self.take_idle(destination) {
            match self.send_over(destination, sender, request).await {
                Ok(sent) => return Ok(sent),
                // The connection was closed before the request went out: it goes over another.
                Err((_, Some(unsent))) => request = unsent,
                Err((error, None)) => return Err(error.into()),
            }
        }
        let connecting = tokio::time::timeout(CONNECT_TIME_MAX, self.connect(destination));
        let sender = connecting.await.map_err(|_| UpstreamError::Timeout)??;
        let sent = self.send_over(destination, sender, request).await;
        sent.map_err(|(error, _)| error.into())
    }

    async fn send_over(
        &self,
        destination: &Destination,
        sender: Sender,
        request: Request<ProxyBody>,
    ) -> Result<Response<Incoming>, (hyper::Error, Option<Request<ProxyBody>>)> {
        let unsent = |mut error: hyper::client::conn::TrySendError<Request<ProxyBody>>| {
            let request = error.take_message();
            (error.into_error(), request)
        };
        match sender {
            Sender::One(mut sender) => {
                let request = origin_form(request);
                let response = sender.try_send_request(request).await.map_err(unsent)?;
                // It is ready again once the response's body is read to its end.
                self.keep_one(destination, sender);
                Ok(response)
            }
            Sender::Two(mut sender) => {
                self.idle().entry(destination.clone()).or_default().two = Some(sender.clone());
                let request = absolute_form(destination, request);
                sender.try_send_request(request).await.map_err(unsent)
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<Destination, Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_one(&self, destination: &Destination, sender: http1::SendRequest<ProxyBody>) {
        let mut idle = self.idle();
        let kept = &mut idle.entry(destination.clone()).or_default().one;
        kept.retain(|sender| !sender.is_closed());
        if kept.len() < IDLE_PER_HOST_MAX {
            kept.push(sender);
        }
    }

    fn take_idle(&self, destination: &Destination) -> Option<Sender> {
        let mut idle = self.idle();
        let kept = idle.get_mut(destination)?;
        kept.two.take_if(|sender| sender.is_closed());
        if let Some(sender) = &kept.two {
            return Some(Sender::Two(sender.clone()));
        }
        kept.one.retain(|sender| !sender.is_closed());
        let ready = kept.one.iter().position(http1::SendRequest::is_ready)?;
        Some(Sender::One(kept.one.swap_remove(ready)))
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
            .max_header_list_size(HEADER_LIST_BYTES_MAX)
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
            if let Err(refused) = addresses::check(address, &self.internal_ranges) {
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
    let mut server = NameServerConfig::udp_and_tcp(upstream_dns.ip());
    for connection in &mut server.connections {
        connection.port = upstream_dns.port();
    }
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
    options.timeout = CONNECT_TIME_MAX / 3;
    builder.build().map_err(|error| error.to_string())
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
