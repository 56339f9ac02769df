//! The proxy's end of its link. A decision goes out and waits for its receipt; without one nothing
//! may happen. When the link ends, every decision fails and the proxy ends with it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::sandbox::proxy::limits::{
    LINK_MESSAGE_BYTES_MAX, LINK_WAITING_MAX, RECEIPT_TIME_MAX, TOKEN_TIME_MAX,
};
use crate::sandbox::proxy::wire::{Fact, FromProxy, IssuedToken, Outcome, Setup, ToProxy};
use crate::tasks::TaskSet;

/// A decision is not durable: do not act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// It could not be recorded now; it may be later.
    #[error("the decision could not be recorded")]
    Failed,
    /// The run has decided too much: nothing is recorded any more.
    #[error("the run has made too many requests")]
    BeyondLimit,
}

/// Why the link could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket failed.
    #[error("link failed: {0}")]
    Io(#[from] std::io::Error),
    /// The first message was no setup.
    #[error("the daemon's first message is no setup")]
    NoSetup,
}

type Receipts = HashMap<u64, oneshot::Sender<Outcome>>;
type Tokens = HashMap<u64, oneshot::Sender<Option<IssuedToken>>>;

/// The link; clones share it.
#[derive(Debug, Clone)]
pub struct Link {
    outgoing: mpsc::Sender<FromProxy>,
    receipts: Arc<Mutex<Option<Receipts>>>,
    tokens: Arc<Mutex<Tokens>>,
    numbers: Arc<AtomicU64>,
}

impl Link {
    /// Connects to the daemon and waits for the setup; `lost` is cancelled when the link ends.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn connect(
        path: &Path,
        tasks: &TaskSet,
        lost: CancellationToken,
    ) -> Result<(Self, Setup), LinkError> {
        let (mut reader, writer) = UnixStream::connect(path).await?.into_split();
        let Some(ToProxy::Setup(setup)) = read_message(&mut reader).await? else {
            return Err(LinkError::NoSetup);
        };
        let (outgoing, waiting) = mpsc::channel(LINK_WAITING_MAX);
        let receipts = Arc::new(Mutex::new(Some(Receipts::new())));
        let link = Self {
            outgoing,
            receipts,
            tokens: Arc::default(),
            numbers: Arc::default(),
        };
        tasks.spawn(write_all(writer, waiting, lost.clone()));
        tasks.spawn(link.clone().read_receipts(reader, lost));
        Ok((link, *setup))
    }

    /// Tells the daemon that the proxy listens.
    pub async fn ready(&self) {
        // A lost link shows itself through its token.
        let _lost = self.outgoing.send(FromProxy::Ready).await;
    }

    /// Returns once the fact is durable, or as good as that where the operator said so.
    ///
    /// # Errors
    /// [`NotRecorded`] when it is not, or when no receipt came in time.
    pub async fn decide(&self, fact: Fact) -> Result<(), NotRecorded> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receipt) = oneshot::channel();
        self.receipts()
            .as_mut()
            .ok_or(NotRecorded::Failed)?
            .insert(number, sender);
        let exchange = async {
            self.outgoing
                .send(FromProxy::Decision { number, fact })
                .await
                .ok()?;
            receipt.await.ok()
        };
        let outcome = tokio::time::timeout(RECEIPT_TIME_MAX, exchange).await;
        if let Some(receipts) = self.receipts().as_mut() {
            receipts.remove(&number);
        }
        match outcome {
            Ok(Some(Outcome::Durable | Outcome::Accepted)) => Ok(()),
            Ok(Some(Outcome::BeyondLimit)) => Err(NotRecorded::BeyondLimit),
            Ok(Some(Outcome::NotDurable) | None) | Err(_) => Err(NotRecorded::Failed),
        }
    }

    /// Asks the daemon for a token of an app; nothing when there is none.
    pub async fn token(&self, name: &str) -> Option<IssuedToken> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, token) = oneshot::channel();
        self.tokens().insert(number, sender);
        let name = name.to_owned();
        let exchange = async {
            let wanted = FromProxy::TokenWanted { number, name };
            self.outgoing.send(wanted).await.ok()?;
            token.await.ok().flatten()
        };
        let token = tokio::time::timeout(TOKEN_TIME_MAX, exchange).await;
        self.tokens().remove(&number);
        token.ok().flatten()
    }

    /// Reports a fact without waiting for its receipt.
    pub async fn note(&self, fact: Fact) {
        // A lost link shows itself through its token.
        let _lost = self.outgoing.send(FromProxy::Note { fact }).await;
    }

    /// As [`Self::note`], from where nothing can wait; returns whether there was room.
    pub fn try_note(&self, fact: Fact) -> bool {
        self.outgoing.try_send(FromProxy::Note { fact }).is_ok()
    }

    fn receipts(&self) -> MutexGuard<'_, Option<Receipts>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_receipts(self, mut reader: impl AsyncRead + Unpin, lost: CancellationToken) {
        // Whoever stopped waiting has denied already.
        while let Ok(Some(message)) = read_message(&mut reader).await {
            match message {
                ToProxy::Receipt { number, outcome } => {
                    let waiting = self.receipts().as_mut().and_then(|all| all.remove(&number));
                    let _gone = waiting.map(|waiting| waiting.send(outcome));
                }
                ToProxy::Token { number, token } => {
                    let waiting = self.tokens().remove(&number);
                    let _gone = waiting.map(|waiting| waiting.send(token));
                }
                ToProxy::Setup(_) => break,
            }
        }
        // Dropping the senders fails every decision that waits; none is taken any more.
        self.receipts().take();
        self.tokens().clear();
        lost.cancel();
    }
}

async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    mut waiting: mpsc::Receiver<FromProxy>,
    lost: CancellationToken,
) {
    let mut messages = Vec::new();
    while waiting.recv_many(&mut messages, LINK_WAITING_MAX).await > 0 {
        let mut bytes = Vec::new();
        for message in messages.drain(..) {
            bytes.extend(encode(&message));
        }
        if writer.write_all(&bytes).await.is_err() {
            break;
        }
    }
    lost.cancel();
}

/// Returns a message with its length (u32, big-endian) before it.
pub fn encode<M: serde::Serialize>(message: &M) -> Bytes {
    let body = serde_json::to_vec(message).expect("messages of the link are plain data");
    let mut framed = Vec::with_capacity(body.len() + 4);
    framed.extend((body.len() as u32).to_be_bytes());
    framed.extend(body);
    framed.into()
}

/// Reads one message; nothing at the end of the stream.
///
/// # Errors
/// When the stream fails, or holds what is no message within the limit.
pub async fn read_message<M: serde::de::DeserializeOwned>(
    reader: &mut (impl AsyncRead + Unpin),
) -> std::io::Result<Option<M>> {
    let invalid = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let length = match reader.read_u32().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > LINK_MESSAGE_BYTES_MAX {
        return Err(invalid(format!(
            "a message of {length} bytes is beyond the limit"
        )));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    serde_json::from_slice(&body)
        .map(Some)
        .map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests;
