//! Telling once that the machine's clock jumped back. The log's own times go on all the same, because
//! [`clock`] never goes back; it sets nothing right.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::id::{AtMs, StreamId};
use crate::events::log::{Append, Context, Log};
use crate::events::service::ClockWentBack;

/// How often the clocks are compared.
const ROUND: Duration = Duration::from_secs(10);

/// A jump in milliseconds from which on it is told; less is what time servers do every day.
const TOLD_MS_MIN: u64 = 1000;

/// What was told already.
#[derive(Debug, Default)]
struct Watch {
    told_ms: u64,
}

impl Watch {
    /// Returns whether there is something to tell, given how far the log's time is ahead now.
    fn sees_a_jump(&mut self, ahead_ms: u64) -> bool {
        let is_new = ahead_ms >= self.told_ms + TOLD_MS_MIN;
        // It becomes less with time; a further jump is measured from there.
        self.told_ms = if is_new {
            ahead_ms
        } else {
            ahead_ms.min(self.told_ms)
        };
        is_new
    }
}

/// Compares the clocks until it is told to stop.
pub(super) async fn watch(log: Log, stop: CancellationToken) {
    let mut watch = Watch::default();
    loop {
        let by_ms = clock::ahead_ms();
        if watch.sees_a_jump(by_ms) {
            tell(&log, by_ms).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

async fn tell(log: &Log, by_ms: u64) {
    let now = clock::now();
    tracing::warn!(
        by_ms,
        "the machine's clock went back; times in the log go on from the newest one, at half speed, \
         until the clock has caught up: set the clock right"
    );
    let went_back = ClockWentBack {
        by_ms,
        machine: AtMs(now.0.saturating_sub(by_ms)),
    };
    let append = Append::to(
        &StreamId::log(),
        vec![went_back.into()],
        Context::system(now),
    );
    if let Err(error) = log.append(append).await {
        tracing::error!(%error, "that the clock went back could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_back_is_told_once_and_a_further_one_again() {
        let mut watch = Watch::default();
        let told = [
            0, 999, 1000, 3_600_000, 3_599_000, 1_800_000, 1_800_999, 1_801_999, 0, 999, 1000,
        ]
        .map(|ahead_ms| watch.sees_a_jump(ahead_ms));
        let expected = [
            false, false, true, true, false, false, false, true, false, false, true,
        ];
        assert_eq!(told, expected);
    }
}
