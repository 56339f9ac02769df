//! The daemon's end of a proxy's link: it hands over the setup, turns what the proxy says into
//! events, and returns receipts once they are durable. All decisions that wait share one append.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::events::Event;
use crate::events::id::{CredentialName, RequestId, RunId, Sha256};
use crate::events::proxy::{
    BlockCause, ConnectionRefused, CredentialUse, DnsQueryAnswered, RequestAllowed, RequestBlocked,
    RequestLine, ResponseCompleted, UpstreamFailed,
};
use crate::sandbox::proxy::link::{encode, read_message};
use crate::sandbox::proxy::wire::{
    Cause, Fact, FromProxy, ReportedCredential, ReportedRequest, Setup, ToProxy,
};
use crate::sandbox::recorder::Recorder;

/// Messages recorded with one append; the rest goes with the next.
const BATCH_MAX: usize = 256;

/// Name of the socket within its directory.
pub const SOCKET_NAME: &str = "link.sock";

/// How the proxy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It has not connected, or not opened its listeners yet.
    Waiting,
    /// It listens.
    Ready,
    /// Its link ended; it denies everything.
    Lost(String),
}

/// A link that waits for its proxy.
#[derive(Debug)]
pub struct LinkServer {
    listener: UnixListener,
    directory: PathBuf,
    state: watch::Sender<LinkState>,
}

impl LinkServer {
    /// Listens in a directory of its own, which only this user can enter.
    ///
    /// # Errors
    /// When the directory or the socket cannot be made.
    pub fn bind(directory: &Path) -> std::io::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let socket = directory.join(SOCKET_NAME);
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        let (state, _) = watch::channel(LinkState::Waiting);
        Ok(Self {
            listener,
            directory: directory.to_owned(),
            state,
        })
    }

    /// Returns the directory that is mounted into the proxy's container, and nowhere else.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns how the proxy is, from now on.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Serves the first proxy that connects until it or `stop` ends the link.
    pub async fn serve(
        self,
        run: RunId,
        setup: Setup,
        recorder: Arc<dyn Recorder>,
        stop: CancellationToken,
    ) {
        let serving = self.serve_one(run, setup, recorder);
        let why = tokio::select! {
            ended = serving => ended.err().map_or_else(|| "the proxy ended".to_owned(), |e| e.to_string()),
            () = stop.cancelled() => "the run ended".to_owned(),
        };
        self.state.send_replace(LinkState::Lost(why));
        // What is left of it is swept with its run's directory.
        let _swept_later = std::fs::remove_dir_all(&self.directory);
    }

    async fn serve_one(
        &self,
        run: RunId,
        setup: Setup,
        recorder: Arc<dyn Recorder>,
    ) -> std::io::Result<()> {
        let (connection, _) = self.listener.accept().await?;
        let (reader, mut writer) = connection.into_split();
        writer
            .write_all(&encode(&ToProxy::Setup(Box::new(setup))))
            .await?;
        let mut batches = Box::pin(messages(reader).ready_chunks(BATCH_MAX));
        while let Some(batch) = batches.next().await {
            let batch = batch.into_iter().collect::<std::io::Result<Vec<_>>>()?;
            if batch.contains(&FromProxy::Ready) {
                self.state.send_replace(LinkState::Ready);
            }
            record(run, batch, recorder.as_ref(), &mut writer).await?;
        }
        Ok(())
    }
}

/// Returns the proxy's messages as they arrive.
fn messages(reader: OwnedReadHalf) -> impl Stream<Item = std::io::Result<FromProxy>> {
    let reader = tokio::io::BufReader::new(reader);
    stream::try_unfold(reader, async |mut reader| {
        let message = read_message(&mut reader).await?;
        Ok(message.map(|message| (message, reader)))
    })
}

/// Makes what a batch says durable and returns the receipts.
async fn record(
    run: RunId,
    batch: Vec<FromProxy>,
    recorder: &dyn Recorder,
    writer: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let (mut numbers, mut events) = (Vec::new(), Vec::new());
    for message in batch {
        match message {
            FromProxy::Ready => {}
            FromProxy::Decision { number, fact } => {
                numbers.push(number);
                events.push(event(run, fact));
            }
            FromProxy::Note { fact } => events.push(event(run, fact)),
        }
    }
    if events.is_empty() {
        return Ok(());
    }
    let recorded = recorder.record(events).await;
    if let Err(error) = &recorded {
        tracing::error!(%run, %error, "network decisions cannot be recorded; they are denied");
    }
    let durable = recorded.is_ok();
    let receipts = numbers
        .into_iter()
        .map(|number| ToProxy::Receipt { number, durable });
    let receipts: Vec<u8> = receipts.flat_map(|receipt| encode(&receipt)).collect();
    writer.write_all(&receipts).await
}

/// Returns a fact as the event that records it.
fn event(run: RunId, fact: Fact) -> Event {
    match fact {
        Fact::Dns {
            name,
            query_type,
            answer,
        } => DnsQueryAnswered {
            run,
            name,
            query_type,
            answer,
        }
        .into(),
        Fact::Allowed {
            request,
            rule,
            credentials,
            stripped,
        } => allowed(run, request, rule, credentials, stripped),
        Fact::Blocked {
            request,
            cause,
            detail,
            status,
        } => blocked(run, request, block_cause(cause), detail, status),
        Fact::Refused { port, name, reason } => ConnectionRefused {
            run,
            port,
            name,
            reason,
        }
        .into(),
        Fact::UpstreamFailed {
            request,
            error,
            status,
        } => UpstreamFailed {
            run,
            request: RequestId(request),
            error,
            status,
        }
        .into(),
        Fact::Completed {
            request,
            status,
            bytes_up,
            bytes_down,
            first_byte_ms,
            duration_ms,
            complete,
        } => {
            let request = RequestId(request);
            ResponseCompleted {
                run,
                request,
                status,
                bytes_up,
                bytes_down,
                first_byte_ms,
                duration_ms,
                complete,
            }
            .into()
        }
    }
}

fn allowed(
    run: RunId,
    request: ReportedRequest,
    rule: String,
    credentials: Vec<ReportedCredential>,
    stripped: Vec<String>,
) -> Event {
    let (request, line) = request_line(request);
    let credentials = credentials.into_iter().map(credential_use).collect();
    RequestAllowed {
        run,
        request,
        line,
        rule,
        credentials,
        stripped,
    }
    .into()
}

fn blocked(
    run: RunId,
    request: ReportedRequest,
    cause: BlockCause,
    detail: String,
    status: u16,
) -> Event {
    let (request, line) = request_line(request);
    RequestBlocked {
        run,
        request,
        line,
        cause,
        detail,
        status,
    }
    .into()
}

fn request_line(request: ReportedRequest) -> (RequestId, RequestLine) {
    let query_sha256 = request
        .query_sha256
        .and_then(|digest| digest.parse::<Sha256>().ok());
    let line = RequestLine {
        method: request.method,
        scheme: request.scheme,
        host: request.host,
        port: request.port,
        path: request.path,
        query_sha256,
        http_version: request.http_version,
    };
    (RequestId(request.request), line)
}

fn credential_use(used: ReportedCredential) -> CredentialUse {
    let ReportedCredential {
        name,
        header,
        count,
    } = used;
    CredentialUse {
        credential: CredentialName(name),
        header,
        count,
    }
}

fn block_cause(cause: Cause) -> BlockCause {
    match cause {
        Cause::Host => BlockCause::Host,
        Cause::Path => BlockCause::Path,
        Cause::Method => BlockCause::Method,
        Cause::Traversal => BlockCause::Traversal,
        Cause::HostMismatch => BlockCause::HostMismatch,
        Cause::Connect => BlockCause::Connect,
        Cause::Malformed => BlockCause::Malformed,
        Cause::Address => BlockCause::Address,
        Cause::Credential => BlockCause::Credential,
    }
}
