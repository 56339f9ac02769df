//! A stand-in for Slack: Socket Mode, the Web API that Airut calls, files, and a control API with
//! which a test acts as the people of the workspace. Plain HTTP and WebSocket on loopback.
//!
//! It follows what docs.slack.dev says and what Slack's own clients expect; where Slack is known to
//! be kinder than its documentation, it is not. It knows nothing of Airut. Its state lives as long
//! as it does: whatever is tested may be stopped and started beside it.
//!
//! | under | what |
//! |---|---|
//! | `/api/<method>` | the Web API |
//! | `/link` | Socket Mode, by ticket |
//! | `/upload/…`, `/files-pri/…` | files, as `files.slack.com` has them |
//! | `/standin/…` | the control API, see [`control`] |
#![expect(
    clippy::disallowed_methods,
    reason = "a stand-in is outside the service: it has no clock, no task set and no ports"
)]

mod act;
mod answer;
mod args;
mod blocks;
mod control;
mod delivery;
mod events;
mod faults;
mod limits;
mod look;
mod message;
mod methods;
mod options;
mod paging;
mod people;
mod server;
mod shared;
mod socket;
mod text;
mod web;
mod world;

pub(crate) use self::options::Options;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::shared::Shared;

/// A running stand-in; it ends when this is dropped.
pub(crate) struct Standin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Standin {
    /// Starts one on a port of loopback, in a thread and a runtime of its own, so that blocking
    /// tests and asynchronous ones can use it alike.
    pub(crate) fn start(options: Options) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        // Bound without the runtime, which a caller within another could not wait for.
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Shared::new(options, address);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = serve(listener, shared) => {}
                    _ = stopped => {}
                }
            });
            // What still waits for an acknowledgement has nobody left to tell.
            runtime.shutdown_background();
        });
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Returns the base address of the Web API, what `api_url` is set to.
    pub(crate) fn api_url(&self) -> String {
        format!("http://{}/api", self.address)
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    server::serve(TcpListener::from_std(listener)?, shared).await;
    Ok(())
}

impl Drop for Standin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
