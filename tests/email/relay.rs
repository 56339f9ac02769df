//! A relay between Airut and a real mail server: it shows what is said, and changes or cuts it as a
//! test wishes. Over TLS it stands in for the server with the server's own key. It knows no protocol.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Airut.
    Client,
    /// The mail server.
    Server,
}

/// What becomes of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// They go on.
    Pass,
    /// Others go on in their place.
    Instead(Vec<u8>),
    /// They go no further, and this is what is answered.
    Answer(Vec<u8>),
    /// So many of them go on, then both sides find the connection gone.
    CutAfter(usize),
}

/// Decides about what one side says, as it was read; the number counts connections from 1.
pub(crate) type Rule = Box<dyn FnMut(u32, Side, &[u8]) -> Act + Send>;

/// A relay that listens until it is dropped.
pub(crate) struct Relay {
    /// Where it listens, on loopback.
    pub(crate) port: u16,
    facts: Arc<Facts>,
    listening: JoinHandle<()>,
}

struct Facts {
    rule: Mutex<Rule>,
    heard: Mutex<Vec<u8>>,
    connections: AtomicU32,
    tls: Option<(TlsAcceptor, TlsConnector)>,
    server: u16,
}

impl Relay {
    /// Relays the connections as they are.
    pub(crate) async fn plain(server: u16, rule: Rule) -> Self {
        Self::start(server, None, rule).await
    }

    /// Relays what is said within TLS; `tls` is the directory of the servers' certificates.
    pub(crate) async fn within_tls(server: u16, tls: &Path, rule: Rule) -> Self {
        Self::start(server, Some((acceptor(tls), connector(tls))), rule).await
    }

    async fn start(server: u16, tls: Option<(TlsAcceptor, TlsConnector)>, rule: Rule) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let facts = Arc::new(Facts {
            rule: Mutex::new(rule),
            heard: Mutex::default(),
            connections: AtomicU32::new(0),
            tls,
            server,
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&facts)));
        Self {
            port,
            facts,
            listening,
        }
    }

    /// Everything that Airut has said so far, over all connections.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.facts.heard.lock().unwrap()).into_owned()
    }

    /// The lines that Airut has said so far and that hold a word.
    pub(crate) fn lines_with(&self, word: &str) -> Vec<String> {
        let heard = self.heard();
        let lines = heard.lines().filter(|line| line.contains(word));
        lines.map(ToOwned::to_owned).collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Returns a rule that cuts the first connection on which a side says something, so many bytes
/// after it began to.
pub(crate) fn cut_once(said_by: Side, words: &'static str, bytes: usize) -> Rule {
    let mut is_cut = false;
    Box::new(move |_, side, said| {
        let at = find(said, words).filter(|_| side == said_by && !is_cut);
        at.map_or(Act::Pass, |at| {
            is_cut = true;
            Act::CutAfter(at + bytes)
        })
    })
}

/// Returns where words begin in what was said.
pub(crate) fn find(said: &[u8], words: &str) -> Option<usize> {
    let mut windows = said.windows(words.len());
    windows.position(|window| window.eq_ignore_ascii_case(words.as_bytes()))
}

async fn listen(listener: TcpListener, facts: Arc<Facts>) {
    let mut relaying = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = facts.connections.fetch_add(1, Ordering::SeqCst) + 1;
        relaying.spawn(connect(client, number, Arc::clone(&facts)));
    }
}

async fn connect(client: TcpStream, number: u32, facts: Arc<Facts>) -> Option<()> {
    let server = TcpStream::connect(("127.0.0.1", facts.server)).await.ok()?;
    match facts.tls.clone() {
        None => relay(client, server, number, &facts).await,
        Some((acceptor, connector)) => {
            let client = acceptor.accept(client).await.ok()?;
            let name = "localhost".try_into().ok()?;
            let server = connector.connect(name, server).await.ok()?;
            relay(client, server, number, &facts).await
        }
    }
}

/// Relays until either side ends or the rule says so.
async fn relay(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    number: u32,
    facts: &Facts,
) -> Option<()> {
    let mut asked = vec![0; 64 << 10];
    let mut answered = vec![0; 64 << 10];
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let said = &asked[..read.ok().filter(|read| *read > 0)?];
                facts.heard.lock().unwrap().extend_from_slice(said);
                let act = (facts.rule.lock().unwrap())(number, Side::Client, said);
                hand_on(act, said, &mut client, &mut server).await?;
            }
            read = server.read(&mut answered) => {
                let said = &answered[..read.ok().filter(|read| *read > 0)?];
                let act = (facts.rule.lock().unwrap())(number, Side::Server, said);
                hand_on(act, said, &mut server, &mut client).await?;
            }
        }
    }
}

/// Does with what was said as the rule decided; nothing when the connection is to end.
async fn hand_on(
    act: Act,
    said: &[u8],
    speaker: &mut (impl AsyncWrite + Unpin),
    listener: &mut (impl AsyncWrite + Unpin),
) -> Option<()> {
    match act {
        Act::Pass => send(listener, said).await,
        Act::Instead(other) => send(listener, &other).await,
        Act::Answer(words) => send(speaker, &words).await,
        Act::CutAfter(bytes) => {
            send(listener, &said[..bytes.min(said.len())]).await?;
            None
        }
    }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Option<()> {
    to.write_all(bytes).await.ok()?;
    to.flush().await.ok()
}

fn acceptor(tls: &Path) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(tls.join("server.pem")).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(tls.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

fn connector(tls: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(tls.join("ca.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
