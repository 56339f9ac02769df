//! The only file that spawns: every task is owned by a [`TaskSet`], told to stop and awaited.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;

/// Why something that may wait for the disk has no result: it panicked, or the service ends.
#[derive(Debug, thiserror::Error)]
#[error("the thread that worked on it ended early")]
pub struct EndedEarly;

/// Does work that may wait for the disk on a thread for such work; in a simulation on this one, so
/// that a seed always gives the same order.
///
/// # Errors
/// [`EndedEarly`] when it panicked.
pub async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EndedEarly> {
    if clock::is_simulated() {
        tokio::task::yield_now().await;
        return std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| EndedEarly);
    }
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(|_| EndedEarly)
}

/// As [`apart`], for work that waits for other things too.
///
/// # Errors
/// [`EndedEarly`] when it panicked.
pub async fn apart_waiting<F>(work: F) -> Result<F::Output, EndedEarly>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if clock::is_simulated() {
        return Ok(work.await);
    }
    let runtime = tokio::runtime::Handle::current();
    apart(move || runtime.block_on(work)).await
}

/// A set of tasks that end together: a stop signal, then a bounded wait, then abortion.
#[derive(Debug, Clone, Default)]
pub struct TaskSet {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl TaskSet {
    /// Returns an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the token that is cancelled when the set is asked to stop.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Returns a set whose stop signal also comes when this one's does.
    pub fn child(&self) -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: self.stop.child_token(),
        }
    }

    /// Runs `task` until it ends; it should end soon after the stop token is cancelled.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Returns how many tasks are running.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Returns whether no task is running.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Sends the stop signal and waits up to `patience`; returns whether all tasks ended.
    pub async fn stop(&self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait())
            .await
            .is_ok()
    }
}
