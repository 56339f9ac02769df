//! The log's records, from the daemon when one runs, else from disk: only one process can have the
//! log open.

use crate::cli::paths;
use crate::service::look;
use crate::service::surface::{Client, ClientError, Log, Position, StoredRecord};

/// Records asked for at once.
const READ_MAX: usize = 512;

/// Where records come from.
pub(super) enum LogSource {
    /// The daemon.
    Daemon(Client),
    /// The disk.
    Disk(Log),
}

impl LogSource {
    /// Asks the daemon, or opens the log when none runs.
    pub(super) async fn open() -> anyhow::Result<Self> {
        match Client::connect(&paths::socket()).await {
            Ok(client) => Ok(Self::Daemon(client)),
            Err(ClientError::NoDaemon { .. }) => {
                let state = paths::directories().state;
                if !look::log_directory(&state).exists() {
                    anyhow::bail!(
                        "there is no log yet at {}",
                        look::log_directory(&state).display()
                    );
                }
                Ok(Self::Disk(look::open(&state)?))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the next records after a position; none at the end.
    pub(super) async fn read(&mut self, after: Position) -> anyhow::Result<Vec<StoredRecord>> {
        match self {
            Self::Daemon(client) => Ok(client.read(after, READ_MAX).await?),
            Self::Disk(log) => Ok(log.read_stored(after, READ_MAX)?),
        }
    }

    /// Returns where the log ends.
    pub(super) async fn head(&mut self) -> anyhow::Result<Position> {
        match self {
            Self::Daemon(client) => Ok(client.status().await?.head),
            Self::Disk(log) => Ok(log.head().position),
        }
    }

    /// Ends in good order: a log that was opened from disk writes its anchor.
    pub(super) async fn close(self) {
        if let Self::Disk(log) = self {
            log.close().await;
        }
    }
}
