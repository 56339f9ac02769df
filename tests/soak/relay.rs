//! A connection's way to a server, which can be cut: both ends see a reset, in the middle of whatever
//! was said. It reads nothing of what passes.

use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::broadcast;

/// A relay on a port of its own.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Where it listens, on loopback.
    pub(crate) port: u16,
    cut: broadcast::Sender<()>,
}

impl Relay {
    /// Starts a relay to a port of this machine.
    pub(crate) fn start(runtime: &Runtime, to: u16) -> Self {
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, _) = broadcast::channel(1);
        let cuts = cut.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, to, cuts.subscribe()));
            }
        });
        Self { port, cut }
    }

    /// Resets every connection that is open now.
    pub(crate) fn cut(&self) {
        // Without connections nobody hears it.
        self.cut.send(()).ok();
    }
}

async fn pass(mut client: TcpStream, to: u16, mut cut: broadcast::Receiver<()>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let ends = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => None,
        _ = cut.recv() => Some([&client, &server]),
    };
    // A socket that lingers no time is reset when it is closed.
    for end in ends.into_iter().flatten() {
        rustix::net::sockopt::set_socket_linger(end, Some(Duration::ZERO)).unwrap();
    }
}
