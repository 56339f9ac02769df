//! Telling when the disk is nearly full, and when there is room again. It frees nothing.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::Event;
use crate::events::id::StreamId;
use crate::events::log::{Append, Context, Log};
use crate::events::service::{StorageLow, StorageRecovered};
use crate::tasks;

/// How often the disk is measured.
const ROUND: Duration = Duration::from_secs(30);

/// Bytes that have to be free at least, for the log and what is taken in to go on; with less no further
/// task begins. On a small disk it is [`FREE_PERCENT_MIN`] of it.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// Hundredths of a small disk that have to be free at least.
const FREE_PERCENT_MIN: u64 = 5;

/// A disk as it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Disk {
    size_bytes: u64,
    free_bytes: u64,
}

impl Disk {
    fn limit_bytes(self) -> u64 {
        FREE_BYTES_MIN.min(self.size_bytes / 100 * FREE_PERCENT_MIN)
    }

    /// Returns whether it is low now. One that was has to have half as much again, so that it is not
    /// told with every file that comes and goes.
    fn is_low(self, was_low: bool) -> bool {
        let limit = self.limit_bytes();
        let wanted = if was_low { limit + limit / 2 } else { limit };
        self.free_bytes < wanted
    }
}

/// Measures the disk until it is told to stop. `was_low` is what the log says of it.
pub(super) async fn watch(
    log: Log,
    directory: PathBuf,
    mut was_low: bool,
    stop: CancellationToken,
) {
    loop {
        if let Some(disk) = measure(directory.clone()).await
            && disk.is_low(was_low) != was_low
        {
            let told = tell(&log, directory.display().to_string(), disk, !was_low).await;
            // What could not be recorded is told with the next round.
            was_low ^= told;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

/// Measures a directory's disk, on a thread that may wait for it.
async fn measure(directory: PathBuf) -> Option<Disk> {
    let measured = tasks::apart(move || rustix::fs::statvfs(&directory)).await;
    let facts = measured.ok()?.ok()?;
    Some(Disk {
        size_bytes: facts.f_blocks.saturating_mul(facts.f_frsize),
        free_bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
    })
}

async fn tell(log: &Log, directory: String, disk: Disk, is_low: bool) -> bool {
    let free_bytes = disk.free_bytes;
    let event: Event = if is_low {
        let limit_bytes = disk.limit_bytes();
        tracing::error!(
            directory,
            free_bytes,
            limit_bytes,
            "the disk is nearly full: no further task begins until there is room; remove what is not \
             needed, for example with airut forget"
        );
        StorageLow {
            directory,
            free_bytes,
            limit_bytes,
        }
        .into()
    } else {
        tracing::info!(directory, free_bytes, "there is room on the disk again");
        StorageRecovered {
            directory,
            free_bytes,
        }
        .into()
    };
    let context = Context::system(clock::now());
    let append = Append::to(&StreamId::log(), vec![event], context);
    let appended = log.append(append).await;
    if let Err(error) = &appended {
        tracing::error!(%error, "the state of the disk could not be recorded");
    }
    appended.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(size_bytes: u64, free_bytes: u64, was_low: bool, expected: bool) {
        let disk = Disk {
            size_bytes,
            free_bytes,
        };
        assert_eq!(disk.is_low(was_low), expected, "{disk:?}");
    }

    #[test]
    fn a_disk_is_low_below_its_limit_and_well_again_half_as_much_above() {
        let (large, limit) = (1 << 40, FREE_BYTES_MIN);
        check(large, limit - 1, false, true);
        check(large, limit, false, false);
        check(large, limit + 1, false, false);
        check(large, limit + limit / 2 - 1, true, true);
        check(large, limit + limit / 2, true, false);
        // A small disk: a twentieth of it.
        check(1000, 49, false, true);
        check(1000, 50, false, false);
    }

    #[tokio::test]
    async fn the_disk_of_a_directory_is_measured() {
        let directory = tempfile::TempDir::new().unwrap();
        let disk = measure(directory.path().to_owned()).await.unwrap();
        assert!(disk.size_bytes >= disk.free_bytes && disk.size_bytes > 0);
        assert_eq!(measure(directory.path().join("gone")).await, None);
    }
}
