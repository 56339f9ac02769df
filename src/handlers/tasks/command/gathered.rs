//! What a command writes, as much of it as is kept. It knows no schedule and no container.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::sandbox::podman::OutputChunk;
use crate::sandbox::port::{OUTPUT_BYTES_MAX, Streams};
use crate::sandbox::recorder::PortFuture;

/// Bytes of the end of a command's standard error that are kept; what comes before is dropped.
pub const ERROR_BYTES_MAX: usize = 16 * 1024;

/// What a command wrote, as far as it is kept.
#[derive(Debug, Default)]
pub(super) struct Wrote {
    pub(super) output: Vec<u8>,
    pub(super) output_bytes: u64,
    pub(super) errors: Vec<u8>,
    bytes: u64,
}

impl Wrote {
    pub(super) fn is_flood(&self) -> bool {
        self.bytes > OUTPUT_BYTES_MAX
    }
}

/// Keeps what a command writes, as much of it as may be: the beginning of its output and the end of
/// its errors. One that writes more than a run may write is ended.
#[derive(Debug)]
pub(super) struct Gathered {
    wrote: Mutex<Wrote>,
    output_bytes_max: u64,
    flood: CancellationToken,
}

impl Gathered {
    pub(super) fn new(output_bytes_max: u64, flood: CancellationToken) -> Self {
        Self {
            wrote: Mutex::default(),
            output_bytes_max,
            flood,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wrote> {
        self.wrote.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Wrote {
        std::mem::take(&mut self.lock())
    }

    pub(super) fn keep(&self, chunk: &OutputChunk) {
        let mut wrote = self.lock();
        let (OutputChunk::Stdout(bytes) | OutputChunk::Stderr(bytes)) = chunk;
        wrote.bytes += bytes.len() as u64;
        match chunk {
            OutputChunk::Stdout(bytes) => {
                let room = self
                    .output_bytes_max
                    .saturating_sub(wrote.output.len() as u64);
                let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
                wrote.output.extend(&bytes[..room]);
                wrote.output_bytes += bytes.len() as u64;
            }
            OutputChunk::Stderr(bytes) => {
                wrote.errors.extend(bytes);
                let surplus = wrote.errors.len().saturating_sub(ERROR_BYTES_MAX);
                wrote.errors.drain(..surplus);
            }
        }
        if wrote.is_flood() {
            self.flood.cancel();
        }
    }
}

impl Streams for Gathered {
    fn read(&self) -> PortFuture<'_, Option<Vec<u8>>> {
        Box::pin(std::future::ready(None))
    }

    fn write(&self, chunk: OutputChunk) -> PortFuture<'_, ()> {
        self.keep(&chunk);
        Box::pin(std::future::ready(()))
    }
}
