//! The local channel: the daemon's own socket, for whoever works on the same machine. It needs no
//! account; an answer counts as delivered as soon as it is in the log, where the client that waits
//! for it, or a later one, reads it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::events::id::ChannelKind;
use crate::handlers::channels::{
    BoxFuture, Channel, Evidence, OutboundMessage, SendOutcome, Trace, Triage,
};
use crate::handlers::intake::Intake;

pub mod awaited;
pub mod client;
pub mod desk;
mod forget;
pub mod message;
pub mod peer;
pub mod pentest;
pub mod protocol;
pub mod server;

pub use desk::Desk;

/// Pause before the socket is made again when that failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The local channel, for all repositories.
#[derive(Debug)]
pub struct LocalChannel {
    socket: PathBuf,
    desk: Arc<Desk>,
}

impl LocalChannel {
    /// Returns the channel that listens at `socket`.
    pub fn new(socket: PathBuf, desk: Desk) -> Self {
        Self {
            socket,
            desk: Arc::new(desk),
        }
    }
}

impl Channel for LocalChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Local
    }

    fn listen(self: Arc<Self>, intake: Intake, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            while !stop.is_cancelled() {
                match server::bind(&self.socket) {
                    Ok(listener) => {
                        let desk = Arc::clone(&self.desk);
                        server::serve(listener, desk, intake.clone(), stop.clone()).await;
                    }
                    Err(error) => {
                        tracing::error!(%error, socket = %self.socket.display(), "no local socket");
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = tokio::time::sleep(RETRY_AFTER) => {}
                        }
                    }
                }
            }
            // Whoever looks for a daemon finds that there is none.
            drop(std::fs::remove_file(&self.socket));
        })
    }

    fn triage(&self, raw: &[u8], _: Option<&Evidence>) -> Triage {
        message::triage(raw)
    }

    fn send(&self, message: OutboundMessage) -> BoxFuture<'_, SendOutcome> {
        let receipt = format!("kept in the log as delivery {}", message.delivery);
        Box::pin(std::future::ready(SendOutcome::Accepted { receipt }))
    }

    fn search(&self, message: OutboundMessage) -> BoxFuture<'_, Trace> {
        let receipt = format!("kept in the log as delivery {}", message.delivery);
        Box::pin(std::future::ready(Trace::Found { receipt }))
    }
}

#[cfg(test)]
mod tests;
