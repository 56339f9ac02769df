//! How a channel goes on listening whatever fails: how long it waits before it connects again, longer
//! with each failure and never for ever, and what is recorded of it. It knows no protocol.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::events::channel::ChannelDegraded;
use crate::events::id::{AtMs, ChannelKind, RepoId, Sha256};

/// First pause after a failure; it doubles with each further one.
pub(super) const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
/// Longest pause after failures; there is no last try.
pub(super) const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// Doubles up to the limit, and spreads by repository and moment: the channels of one server that
/// failed together must not come back together.
pub(super) fn back_off(failures: u32, repo: &RepoId, now: AtMs) -> Duration {
    let doubled = BACK_OFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let limited = doubled.min(BACK_OFF_MAX);
    let spread = Sha256::of(format!("{repo} {now}").as_bytes()).0[0];
    limited.mul_f64(0.75 + 0.25 * f64::from(spread) / 255.0)
}

/// Returns what is recorded of a channel that does not connect, and comes again after a pause.
pub(super) fn degraded(
    (repo, channel): (&RepoId, ChannelKind),
    error: &dyn std::error::Error,
    failures: u32,
    (now, pause): (AtMs, Duration),
) -> ChannelDegraded {
    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    ChannelDegraded {
        repo: repo.clone(),
        channel,
        error: error.to_string(),
        failures,
        retry_at: AtMs(now.0.saturating_add(pause_ms)),
    }
}

/// Turns a panic into an error, so that nothing is left without a listener.
pub(super) async fn guarded<E>(
    listening: impl Future<Output = Result<(), E>>,
    defect: E,
) -> Result<(), E> {
    let ended = AssertUnwindSafe(listening).catch_unwind().await;
    ended.unwrap_or(Err(defect))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(failures: u32, repo: &str, now: u64) -> Duration {
        back_off(failures, &RepoId(repo.to_owned()), AtMs(now))
    }

    proptest::proptest! {
        #[test]
        fn a_pause_is_never_longer_than_the_limit_and_never_a_quarter_shorter_than_it_should_be(
            failures: u32, repo in "[a-z]{1,8}", now: u64,
        ) {
            let full = 2_u64.saturating_pow(failures.saturating_sub(1).min(16)).min(300);
            let (full, pause) = (Duration::from_secs(full), pause(failures, &repo, now));
            proptest::prop_assert!(pause <= full && pause >= full.mul_f64(0.75));
        }

        #[test]
        fn a_pause_grows_with_the_failures_until_the_limit(
            failures in 1..8_u32, repo in "[a-z]{1,8}", now: u64,
        ) {
            proptest::prop_assert!(pause(failures, &repo, now) < pause(failures + 1, &repo, now));
        }
    }

    #[test]
    fn mailboxes_that_failed_together_do_not_come_back_together() {
        let repos = (0..64).map(|number| pause(9, &format!("repo-{number}"), 1_000));
        let distinct: std::collections::BTreeSet<Duration> = repos.collect();
        assert!(distinct.len() > 32, "{distinct:?}");
        let moments: std::collections::BTreeSet<Duration> =
            (0..64).map(|now| pause(9, "work", now)).collect();
        assert!(moments.len() > 32, "{moments:?}");
    }
}
