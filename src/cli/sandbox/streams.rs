//! This process's standard streams as those of the command: bytes as they come, in both directions.

use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Stderr, Stdin, Stdout};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::service::command_run::{OutputChunk, PortFuture, Streams};

/// Bytes that are read of standard input at once.
const READ_BYTES_MAX: usize = 64 * 1024;

/// The streams of this process. Each is locked for one read or write; there is one reader of each.
#[derive(Debug)]
pub(super) struct Standard {
    stdin: Mutex<Stdin>,
    stdout: Mutex<Stdout>,
    stderr: Mutex<Stderr>,
    /// Cancelled when nobody reads what the command writes.
    unread: CancellationToken,
}

impl Standard {
    /// Returns the streams; `unread` is cancelled when their reader has gone away.
    pub(super) fn new(unread: CancellationToken) -> Self {
        Self {
            stdin: Mutex::new(tokio::io::stdin()),
            stdout: Mutex::new(tokio::io::stdout()),
            stderr: Mutex::new(tokio::io::stderr()),
            unread,
        }
    }
}

impl Streams for Standard {
    fn read(&self) -> PortFuture<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            let mut bytes = vec![0; READ_BYTES_MAX];
            // An input that cannot be read, as of a closed descriptor, is an empty one.
            let read = self.stdin.lock().await.read(&mut bytes).await;
            let length = read.ok().filter(|length| *length > 0)?;
            bytes.truncate(length);
            Some(bytes)
        })
    }

    fn write(&self, chunk: OutputChunk) -> PortFuture<'_, ()> {
        Box::pin(async move {
            let written = match chunk {
                OutputChunk::Stdout(bytes) => write(&self.stdout, &bytes).await,
                OutputChunk::Stderr(bytes) => write(&self.stderr, &bytes).await,
            };
            if written.is_err() {
                self.unread.cancel();
            }
        })
    }
}

async fn write<W: AsyncWrite + Unpin>(to: &Mutex<W>, bytes: &[u8]) -> std::io::Result<()> {
    let mut to = to.lock().await;
    to.write_all(bytes).await?;
    to.flush().await
}
