//! The proxy's listeners: DNS, HTTP and HTTPS on one address. They open once the setup is there and
//! close when the link ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_util::sync::CancellationToken;

use crate::sandbox::proxy::ca::Minter;
use crate::sandbox::proxy::escape::escape_cut;
use crate::sandbox::proxy::forward::Proxy;
use crate::sandbox::proxy::gather::Room;
use crate::sandbox::proxy::github::Apps;
use crate::sandbox::proxy::limits::{
    AGENT_IDLE_TIME_MAX, CONNECTIONS_MAX, DNS_QUERY_BYTES_MAX, DNS_TCP_TIME_MAX, FRAME_BYTES_MAX,
    HANDSHAKE_TIME_MAX, HEAD_TIME_MAX, HEADER_LIST_BYTES_MAX, HEADERS_MAX, LOCAL_RESETS_MAX,
    PENDING_RESETS_MAX, PING_TIME_MAX, PONG_TIME_MAX, READ_AHEAD_BYTES_MAX, STREAMS_MAX,
};
use crate::sandbox::proxy::link::{Link, LinkError};
use crate::sandbox::proxy::strict::stream::StrictStream;
use crate::sandbox::proxy::strict::verdicts::Verdicts;
use crate::sandbox::proxy::target::{self, Entry};
use crate::sandbox::proxy::upstream::Upstream;
use crate::sandbox::proxy::watch::Watch;
use crate::sandbox::proxy::wire::{Fact, Ports, Setup};
use crate::tasks::TaskSet;

/// How long connections may take to end once the link is gone; then the process ends anyway.
const FAREWELL_TIME: Duration = Duration::from_millis(200);

/// Why the proxy ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The setup cannot be worked by.
    #[error("setup: {0}")]
    Setup(String),
    /// An address could not be listened on.
    #[error("cannot listen on port {port}: {error}")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        error: io::Error,
    },
}

/// Connects to the daemon, serves by its setup, and returns when the link ends.
///
/// # Errors
/// [`ServeError`] when it could not begin.
pub async fn serve(link: &Path) -> Result<(), ServeError> {
    let (tasks, lost) = (TaskSet::new(), CancellationToken::new());
    let (link, setup) = Link::connect(link, &tasks, lost.clone()).await?;
    let address = setup.address;
    let listeners = Listeners::bind(address, setup.ports).await?;
    let proxy = Arc::new(proxy(setup, link.clone(), tasks.clone())?);
    listeners.serve(&proxy, address);
    link.ready().await;
    lost.cancelled().await;
    tasks.stop(FAREWELL_TIME).await;
    Ok(())
}

fn proxy(setup: Setup, link: Link, tasks: TaskSet) -> Result<Proxy, ServeError> {
    let minter = Minter::new(&setup.ca_name, &setup.ca_key);
    let proxy = Proxy {
        minter: minter.map_err(|error| ServeError::Setup(error.to_string()))?,
        upstream: Upstream::new(&setup, tasks.clone()).map_err(ServeError::Setup)?,
        watch: Watch::new(setup.honey).map_err(ServeError::Setup)?,
        apps: Apps::new(setup.apps),
        scrubber: RwLock::default(),
        allowlist: setup.allowlist,
        credentials: setup.credentials,
        signing: setup.signing,
        link,
        requests: AtomicU64::new(0),
        room: Room::default(),
        tasks,
    };
    proxy.know_tokens();
    Ok(proxy)
}

struct Listeners {
    udp: UdpSocket,
    dns: TcpListener,
    http: TcpListener,
    https: TcpListener,
    ports: Ports,
}

impl Listeners {
    /// Listens on the sandbox's side alone: the way out leads to other runs' proxies too.
    async fn bind(address: Ipv4Addr, ports: Ports) -> Result<Self, ServeError> {
        let at = |port| SocketAddr::new(IpAddr::V4(address), port);
        let failed = |port| move |error| ServeError::Listen { port, error };
        let tcp = async |port| TcpListener::bind(at(port)).await.map_err(failed(port));
        Ok(Self {
            udp: UdpSocket::bind(at(ports.dns))
                .await
                .map_err(failed(ports.dns))?,
            dns: tcp(ports.dns).await?,
            http: tcp(ports.http).await?,
            https: tcp(ports.https).await?,
            ports,
        })
    }

    fn serve(self, proxy: &Arc<Proxy>, address: Ipv4Addr) {
        let Self {
            udp,
            dns,
            http,
            https,
            ports,
        } = self;
        let tasks = &proxy.tasks;
        tasks.spawn(until_stopped(
            tasks,
            answer_udp(Arc::clone(proxy), udp, address),
        ));
        let answer = move |proxy: Arc<Proxy>, stream| answer_tcp(proxy, stream, address);
        tasks.spawn(until_stopped(tasks, accept(Arc::clone(proxy), dns, answer)));
        let plain = move |proxy: Arc<Proxy>, stream| async move {
            let entry = Entry {
                scheme: "http",
                port: ports.http,
                server_name: None,
            };
            // In the clear HTTP/1.1 alone: HTTP/2 with prior knowledge is an error there.
            serve_http(proxy, entry, stream, Speaks::One).await;
        };
        tasks.spawn(until_stopped(tasks, accept(Arc::clone(proxy), http, plain)));
        let sweeper = Arc::clone(proxy);
        let sweeping = async move { sweeper.upstream.sweep().await };
        tasks.spawn(until_stopped(tasks, sweeping));
        let tls = move |proxy: Arc<Proxy>, stream| serve_tls(proxy, stream, ports.https);
        tasks.spawn(until_stopped(tasks, accept(Arc::clone(proxy), https, tls)));
    }
}

/// Returns `future`, ended when the tasks are asked to stop.
fn until_stopped<F>(tasks: &TaskSet, future: F) -> impl Future<Output = ()> + Send + use<F>
where
    F: Future<Output = ()> + Send,
{
    let stop = tasks.stop_token();
    async move {
        tokio::select! {
            () = future => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Serves each connection in a task of its own, at most `CONNECTIONS_MAX` at once.
async fn accept<S, F>(proxy: Arc<Proxy>, listener: TcpListener, serve: S)
where
    S: Fn(Arc<Proxy>, TcpStream) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors or the peer left: the next one may be better.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without it small answers wait; a socket that refuses the option still works.
        let _slower = stream.set_nodelay(true);
        let serving = serve(Arc::clone(&proxy), stream);
        let serving = until_stopped(&proxy.tasks, async move {
            serving.await;
            drop(place);
        });
        proxy.tasks.spawn(serving);
    }
}

async fn serve_tls(proxy: Arc<Proxy>, stream: TcpStream, port: u16) {
    let refuse = async |name: &[u8], reason: &str| {
        let (name, reason) = (escape_cut(name, 256), reason.to_owned());
        // Recorded with a receipt like any decision; the connection is refused in any case.
        let _either_way = proxy
            .link
            .decide(Fact::Refused { port, name, reason })
            .await;
    };
    let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let start = match tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor).await {
        Ok(Ok(start)) => start,
        Ok(Err(error)) => return refuse(b"", &format!("no TLS: {error}")).await,
        Err(_) => return refuse(b"", "no TLS handshake in time").await,
    };
    let name = start
        .client_hello()
        .server_name()
        .map(str::to_ascii_lowercase);
    let Some(name) = name else {
        return refuse(b"", "no server name").await;
    };
    if !target::is_host_name(&name) {
        return refuse(name.as_bytes(), "the server name is no plain host name").await;
    }
    proxy
        .watch_bytes("the name of a TLS connection", name.as_bytes())
        .await;
    let config = match proxy.minter.config(&name) {
        Ok(config) => config,
        Err(error) => return refuse(name.as_bytes(), &error.to_string()).await,
    };
    match tokio::time::timeout(HANDSHAKE_TIME_MAX, start.into_stream(config)).await {
        Ok(Ok(stream)) => {
            let entry = Entry {
                scheme: "https",
                port,
                server_name: Some(name),
            };
            let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let speaks = if two { Speaks::Two } else { Speaks::One };
            serve_http(proxy, entry, stream, speaks).await;
        }
        Ok(Err(error)) => refuse(name.as_bytes(), &format!("TLS failed: {error}")).await,
        Err(_) => refuse(name.as_bytes(), "no TLS handshake in time").await,
    }
}

/// Which HTTP a connection speaks, agreed on before its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    One,
    Two,
}

async fn serve_http<S>(proxy: Arc<Proxy>, entry: Entry, stream: S, speaks: Speaks)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (link, port) = (proxy.link.clone(), entry.port);
    let name = entry.server_name.clone().unwrap_or_default();
    let reason = match speaks {
        Speaks::One => serve_one(proxy, Arc::new(entry), stream).await,
        Speaks::Two => serve_two(proxy, Arc::new(entry), stream).await,
    };
    if let Some(reason) = reason {
        let reason = format!("no well-formed HTTP: {reason}");
        // The connection is closed in any case.
        let _either_way = link.decide(Fact::Refused { port, name, reason }).await;
    }
}

/// Serves HTTP/1; returns why it broke off, if the agent's bytes were the cause.
async fn serve_one<S>(proxy: Arc<Proxy>, entry: Arc<Entry>, stream: S) -> Option<String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let verdicts = Verdicts::default();
    let stream = TokioIo::new(StrictStream::new(stream, verdicts.clone()));
    let asked = verdicts.clone();
    let service = service_fn(move |request| {
        let (proxy, entry, verdicts) = (Arc::clone(&proxy), Arc::clone(&entry), asked.clone());
        async move {
            let response = match verdicts.next_request() {
                Some(refused) => proxy.refuse_head(&entry, &refused).await,
                None => proxy.handle(entry, request).await,
            };
            verdicts.answered(response.status() == http::StatusCode::SWITCHING_PROTOCOLS);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = http1_builder().serve_connection(stream, service);
    let ended = connection.with_upgrades().await;
    let unreadable = ended.err().filter(hyper::Error::is_parse);
    let broken = verdicts.broken().map(|why| why.to_string());
    broken.or_else(|| unreadable.map(|error| error.to_string()))
}

/// Serves HTTP/2; returns why it broke off, if the agent's bytes were the cause.
async fn serve_two<S>(proxy: Arc<Proxy>, entry: Arc<Entry>, stream: S) -> Option<String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = BufReader::new(stream);
    // Whoever says nothing at all would otherwise hold its place for ever.
    let first = tokio::time::timeout(HEAD_TIME_MAX, stream.fill_buf()).await;
    if !matches!(first, Ok(Ok(bytes)) if !bytes.is_empty()) {
        return None;
    }
    let service = service_fn(move |request| {
        let answering = Arc::clone(&proxy).handle(Arc::clone(&entry), request);
        async move { Ok::<_, std::convert::Infallible>(answering.await) }
    });
    let connection = http2_builder().serve_connection(TokioIo::new(stream), service);
    let unreadable = connection.await.err().filter(hyper::Error::is_parse);
    unreadable.map(|error| error.to_string())
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(AGENT_IDLE_TIME_MAX)
        // Never what refuses a head: that is done before, with a record.
        .max_buf_size(READ_AHEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_TIME_MAX)
        .keep_alive_timeout(PONG_TIME_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        // A list as long as what is told here is refused already.
        .max_header_list_size(HEADER_LIST_BYTES_MAX + 1)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .adaptive_window(true);
    builder
}

async fn answer_udp(proxy: Arc<Proxy>, socket: UdpSocket, address: Ipv4Addr) {
    let mut query = [0; DNS_QUERY_BYTES_MAX + 1];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut query).await else {
            continue;
        };
        if let Some(response) = proxy.answer_dns(&query[..length], address).await {
            // Whoever asked is gone, or asks again.
            let _lost = socket.send_to(&response, peer).await;
        }
    }
}

async fn answer_tcp(proxy: Arc<Proxy>, mut stream: TcpStream, address: Ipv4Addr) {
    let answering = async {
        loop {
            let length = usize::from(stream.read_u16().await.ok()?);
            let mut query = vec![0; length];
            stream.read_exact(&mut query).await.ok()?;
            let response = proxy.answer_dns(&query, address).await?;
            stream
                .write_u16(u16::try_from(response.len()).ok()?)
                .await
                .ok()?;
            stream.write_all(&response).await.ok()?;
        }
    };
    let _ended: Result<Option<()>, _> = tokio::time::timeout(DNS_TCP_TIME_MAX, answering).await;
}
