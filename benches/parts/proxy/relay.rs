//! The least that any proxy of this kind can do: TLS taken off on one side and put on again on the
//! other, and nothing else. What it loses against the direct way, no such proxy can win back on this
//! machine; it reads no HTTP, judges nothing and records nothing.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use airut::sandbox::proxy::ENVIRONMENT;
use airut::sandbox::proxy::ca::{Minter, make_authority};
use airut::tasks::TaskSet;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::client::{Way, trusting};
use super::origin::{HOST, Origin, standard_input_closed};
use crate::parts::directory;

/// The argument that makes this program the relay.
pub(crate) const RELAY: &str = "relay-child";

/// Bytes that it takes at once, in each direction.
const PIECE_BYTES: usize = 64 * 1024;

/// The running relay; dropping it ends it.
pub(crate) struct Relay {
    /// The way through it.
    pub(crate) way: Way,
    child: Child,
}

impl Relay {
    /// Starts it in front of an origin that has HTTP/1.1 alone, and waits until it listens.
    pub(crate) fn start(origin: &Origin) -> Self {
        let directory = directory();
        let at = |name| directory.path().join(name);
        std::fs::write(at("origin.pem"), &origin.authority).unwrap();
        std::fs::write(at("origin"), origin.https_one.to_string()).unwrap();
        let mut child = spawn(&directory);
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let authority = std::fs::read_to_string(at("ca.pem")).unwrap();
        let address = line.trim_end().parse().unwrap();
        Self {
            way: Way::new(address, &authority),
            child,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the relay must not share threads with who asks it"
)]
fn spawn(directory: &TempDir) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(RELAY).arg(directory.path()).envs(ENVIRONMENT);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// The child: relays until its standard input closes.
pub(crate) fn relay_child(directory: &Path) {
    let read = |name| std::fs::read_to_string(directory.join(name)).unwrap();
    let origin: SocketAddr = read("origin").parse().unwrap();
    let connector = trusting(&read("origin.pem"));
    let authority = make_authority("relay").unwrap();
    std::fs::write(directory.join("ca.pem"), &authority.certificate).unwrap();
    let minter = Minter::new("relay", &authority.key).unwrap();
    let mut config = (*minter.config(HOST).unwrap()).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let tasks = TaskSet::new();
        let accepting = accept(tasks.clone(), listener, acceptor, (origin, connector));
        tasks.spawn(accepting);
        standard_input_closed().await;
    });
}

async fn accept(
    tasks: TaskSet,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    (origin, connector): (SocketAddr, TlsConnector),
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        tasks.spawn(async move {
            // Who hangs up in between is no failure of the relay.
            drop(relay(stream, &acceptor, origin, &connector).await);
        });
    }
}

async fn relay(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    origin: SocketAddr,
    connector: &TlsConnector,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut down = acceptor.accept(stream).await?;
    let up = TcpStream::connect(origin).await?;
    up.set_nodelay(true)?;
    let mut up = connector
        .connect(ServerName::try_from(HOST).unwrap(), up)
        .await?;
    tokio::io::copy_bidirectional_with_sizes(&mut down, &mut up, PIECE_BYTES, PIECE_BYTES).await?;
    Ok(())
}
