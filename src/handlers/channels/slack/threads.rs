//! What the channel knows of its threads, read along with the log: up to date at every look, so that
//! a message is judged after all that was kept before it.

use std::sync::{Mutex, PoisonError};

use crate::events::id::RepoId;
use crate::events::log::Subscription;
use crate::projections::Projection as _;
use crate::projections::slack_threads::{Heard, SlackThreads};

/// The threads of all repositories, and the log from there on.
#[derive(Default)]
pub struct Threads(Mutex<ReadAlong>);

#[derive(Default)]
struct ReadAlong {
    known: SlackThreads,
    log: Option<Subscription>,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Threads")
    }
}

impl Threads {
    /// Returns what is known, to be read along from there.
    pub fn following(known: SlackThreads, log: Subscription) -> Self {
        let log = Some(log);
        Self(Mutex::new(ReadAlong { known, log }))
    }

    /// Looks at what is known of a repository's app, everything that is durable taken in.
    pub fn look<R>(&self, repo: &RepoId, see: impl FnOnce(&Heard) -> R) -> R {
        let mut along = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        along.read_on();
        match along.known.of(repo) {
            Some(heard) => see(heard),
            None => see(&Heard::default()),
        }
    }
}

impl ReadAlong {
    /// A log that does not read ends the service elsewhere.
    fn read_on(&mut self) {
        let Some(log) = &mut self.log else {
            return;
        };
        loop {
            match log.try_next() {
                Ok(Some(recorded)) => self.known.apply(&recorded),
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "the log does not read");
                    return;
                }
            }
        }
    }
}
