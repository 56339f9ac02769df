//! The log's records, from the daemon when one runs, else from disk: only one process can have the
//! log open.

use crate::cli::paths;
use crate::service::look::{self, Decoder};
use crate::service::surface::{Client, ClientError, Log, Position, Recorded, StoredRecord};

/// Records asked for at once.
const READ_MAX: usize = 512;

/// The log's records.
pub(super) struct LogSource {
    origin: Origin,
    decoder: Decoder,
}

/// Where records come from.
enum Origin {
    /// The daemon.
    Daemon(Client),
    /// The disk.
    Disk(Log),
}

impl LogSource {
    /// Asks the daemon, or opens the log when none runs.
    pub(super) async fn open() -> anyhow::Result<Self> {
        match Client::connect(&paths::socket()).await {
            Ok(client) => Ok(Self::of(Origin::Daemon(client))),
            Err(ClientError::NoDaemon { .. }) => {
                let state = paths::directories().state;
                if !look::log_directory(&state).exists() {
                    anyhow::bail!(
                        "there is no log yet at {}",
                        look::log_directory(&state).display()
                    );
                }
                Ok(Self::of(Origin::Disk(look::open(&state)?)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the daemon only.
    pub(super) async fn of_daemon() -> anyhow::Result<Self> {
        let client = Client::connect(&paths::socket()).await?;
        Ok(Self::of(Origin::Daemon(client)))
    }

    fn of(origin: Origin) -> Self {
        let decoder = Decoder::of(&paths::directories().state);
        Self { origin, decoder }
    }

    /// Returns the event of a record, its content opened with the keys that are there.
    pub(super) fn decode(&self, record: &StoredRecord) -> anyhow::Result<Recorded> {
        Ok(self.decoder.decode(record)?)
    }

    /// Returns the next records after a position; none at the end.
    pub(super) async fn read(&mut self, after: Position) -> anyhow::Result<Vec<StoredRecord>> {
        match &mut self.origin {
            Origin::Daemon(client) => Ok(client.read(after, READ_MAX).await?),
            Origin::Disk(log) => Ok(log.read_stored(after, READ_MAX)?),
        }
    }

    /// Asks the daemon for records as they become durable; from disk there are none.
    pub(super) async fn follow(&mut self, after: Position) -> anyhow::Result<()> {
        match &mut self.origin {
            Origin::Daemon(client) => Ok(client.follow(after).await?),
            Origin::Disk(_) => anyhow::bail!("no daemon runs, so that nothing is added to the log"),
        }
    }

    /// Returns the next of the records that were asked for.
    pub(super) async fn next_records(&mut self) -> anyhow::Result<Vec<StoredRecord>> {
        match &mut self.origin {
            Origin::Daemon(client) => Ok(client.next_records().await?),
            Origin::Disk(_) => Ok(vec![]),
        }
    }

    /// Returns where the log ends.
    pub(super) async fn head(&mut self) -> anyhow::Result<Position> {
        match &mut self.origin {
            Origin::Daemon(client) => Ok(client.status().await?.head),
            Origin::Disk(log) => Ok(log.head().position),
        }
    }

    /// Ends in good order: a log that was opened from disk writes its anchor.
    pub(super) async fn close(self) {
        if let Origin::Disk(log) = self.origin {
            log.close().await;
        }
    }
}
