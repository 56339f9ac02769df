//! One connection of Socket Mode, by slack-morphism's client: an envelope is acknowledged only once
//! whoever hears it says that it is kept. It knows no message and opens no second connection.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::json;
use slack_morphism::socket_mode::clients_manager::SlackSocketModeClientsManager;
use slack_morphism::{
    SlackClientSocketModeConfig, SlackSocketModeClientListener, SlackSocketModeWssClientId,
};
use tokio::sync::watch;

use crate::handlers::channels::slack::parse::{Frame, frame};
use crate::handlers::channels::slack::web::Web;

/// Longest time from asking for a connection to Slack's hello; then it counts as failed.
pub const HELLO_TIME_MAX: Duration = Duration::from_secs(10);

/// How often the other side is pinged, in seconds.
const PING_EVERY_S: u64 = 10;

/// How many pings may stay unanswered; then the connection counts as lost.
const PINGS_UNANSWERED_MAX: u64 = 3;

/// slack-morphism's client tries again by itself, which is the listener's to decide: a client is shut
/// down long before this, in seconds.
const OWN_RETRY_S: u64 = 3_600;

/// Takes the payload of an envelope; returns whether it may be acknowledged.
pub(super) type Hear = Box<dyn Fn(String) -> BoxFuture<'static, bool> + Send + Sync>;

/// What a connection has come to; it never goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// Slack has not said hello yet.
    Opening,
    /// Envelopes come.
    Ready,
    /// Slack will end it, and says why: open another.
    Leaving(String),
    /// It is over, and why.
    Gone(String),
}

impl Life {
    fn stage(&self) -> u8 {
        match self {
            Self::Opening => 0,
            Self::Ready => 1,
            Self::Leaving(_) => 2,
            Self::Gone(_) => 3,
        }
    }
}

/// A connection; end it with [`Self::close`].
pub(super) struct Socket {
    manager: Arc<dyn SlackSocketModeClientsManager + Send + Sync>,
    life: watch::Receiver<Life>,
}

impl Socket {
    /// Begins to open a connection.
    ///
    /// # Errors
    /// Words, when the client refuses to begin.
    pub(super) async fn open(web: &Web, hear: Hear) -> Result<Self, String> {
        let (sender, life) = watch::channel(Life::Opening);
        let config = SlackClientSocketModeConfig {
            max_connections_count: 1,
            debug_connections: false,
            initial_backoff_in_seconds: 0,
            reconnect_timeout_in_seconds: OWN_RETRY_S,
            ping_interval_in_seconds: PING_EVERY_S,
            ping_failure_threshold_times: PINGS_UNANSWERED_MAX,
        };
        let ear = Arc::new(Ear { hear, life: sender });
        let manager = web.open_socket(&config, ear).await;
        let manager = manager.map_err(|error| error.to_string())?;
        Ok(Self { manager, life })
    }

    /// Waits for the hello.
    ///
    /// # Errors
    /// Words, when there is none in time; the connection must be closed all the same.
    pub(super) async fn ready(&mut self) -> Result<(), String> {
        let said = self.life.wait_for(|life| *life != Life::Opening);
        let Ok(said) = tokio::time::timeout(HELLO_TIME_MAX, said).await else {
            return Err(format!("no hello in {} s", HELLO_TIME_MAX.as_secs()));
        };
        match said.map(|life| life.clone()) {
            Ok(Life::Opening | Life::Ready) => Ok(()),
            Ok(Life::Leaving(reason) | Life::Gone(reason)) => Err(reason),
            Err(_) => Err("its client ended".to_owned()),
        }
    }

    /// Waits until it is leaving or gone.
    pub(super) async fn until_leaving(&mut self) -> Life {
        self.until(&Life::Leaving(String::new())).await
    }

    /// Waits until it is gone; returns why.
    pub(super) async fn until_gone(&mut self) -> String {
        match self.until(&Life::Gone(String::new())).await {
            Life::Gone(why) | Life::Leaving(why) => why,
            Life::Opening | Life::Ready => String::new(),
        }
    }

    async fn until(&mut self, awaited: &Life) -> Life {
        let (wanted, life) = (awaited.stage(), &mut self.life);
        let reached = life.wait_for(|life| life.stage() >= wanted).await;
        reached.map_or_else(
            |_| Life::Gone("its client ended".to_owned()),
            |life| life.clone(),
        )
    }

    /// Ends it.
    pub(super) async fn close(self) {
        self.manager.shutdown().await;
    }
}

/// What slack-morphism's client calls, one frame after the other.
struct Ear {
    hear: Hear,
    life: watch::Sender<Life>,
}

impl Ear {
    fn come_to(&self, life: Life) {
        self.life.send_if_modified(|now| {
            let is_later = life.stage() > now.stage();
            if is_later {
                *now = life;
            }
            is_later
        });
    }
}

#[async_trait]
impl SlackSocketModeClientListener for Ear {
    async fn on_message(&self, _: &SlackSocketModeWssClientId, body: String) -> Option<String> {
        match frame(&body) {
            Frame::Hello => self.come_to(Life::Ready),
            Frame::Disconnect { reason } => {
                self.come_to(Life::Leaving(format!("Slack says {reason}")));
            }
            Frame::Envelope { id, payload } => {
                // A panic would end the client's task, and nobody would listen any more.
                let hearing = AssertUnwindSafe((self.hear)(payload)).catch_unwind();
                let is_kept = hearing.await.unwrap_or_else(|_| {
                    tracing::error!("reading an envelope failed; this is a defect of Airut");
                    false
                });
                return is_kept.then(|| acknowledgement(&id));
            }
            Frame::Other { id } => return id.map(|id| acknowledgement(&id)),
        }
        None
    }

    /// A connection that fails is told to be gone next; the words of its error may name its ticket.
    async fn on_error(&self, _: Box<dyn Error + Send + Sync>) {}

    async fn on_disconnect(&self, _: &SlackSocketModeWssClientId) {
        self.come_to(Life::Gone("the connection was broken off".to_owned()));
    }
}

fn acknowledgement(envelope: &str) -> String {
    json!({ "envelope_id": envelope }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ear(hear: Hear) -> (Ear, watch::Receiver<Life>) {
        let (sender, life) = watch::channel(Life::Opening);
        (Ear { hear, life: sender }, life)
    }

    async fn told(ear: &Ear, frame: &str) -> Option<String> {
        let id = SlackSocketModeWssClientId::new(0, 0, 0);
        ear.on_message(&id, frame.to_owned()).await
    }

    const ENVELOPE: &str = r#"{"type":"events_api","envelope_id":"E1","payload":{"a":1}}"#;

    #[tokio::test]
    async fn an_envelope_is_acknowledged_only_once_it_is_kept() {
        let kept: Hear = Box::new(|payload| {
            Box::pin(async move {
                assert_eq!(payload, r#"{"a":1}"#);
                true
            })
        });
        let acknowledged = told(&ear(kept).0, ENVELOPE).await;
        assert_eq!(acknowledged.as_deref(), Some(r#"{"envelope_id":"E1"}"#));
        let refused: Hear = Box::new(|_| Box::pin(async { false }));
        assert_eq!(told(&ear(refused).0, ENVELOPE).await, None);
        let panics: Hear = Box::new(|_| Box::pin(async { panic!("as a defect would") }));
        assert_eq!(told(&ear(panics).0, ENVELOPE).await, None);
    }

    #[tokio::test]
    async fn what_a_connection_has_come_to_never_goes_back() {
        let (ear, life) = ear(Box::new(|_| Box::pin(async { true })));
        told(&ear, r#"{"type":"hello"}"#).await;
        assert_eq!(*life.borrow(), Life::Ready);
        told(&ear, r#"{"type":"disconnect","reason":"warning"}"#).await;
        let leaving = Life::Leaving("Slack says warning".to_owned());
        assert_eq!(*life.borrow(), leaving);
        told(&ear, r#"{"type":"hello"}"#).await;
        assert_eq!(*life.borrow(), leaving);
        let id = SlackSocketModeWssClientId::new(0, 0, 0);
        ear.on_disconnect(&id).await;
        assert!(matches!(*life.borrow(), Life::Gone(_)));
    }
}
