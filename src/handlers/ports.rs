//! What effects act through: the log, the bodies, the channels and the sandbox. It holds no state
//! of the work itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::types::Config;
use crate::events::id::{ChannelKind, RepoId};
use crate::events::log::{Append, AppendError, Log, ReadError};
use crate::handlers::barrier;
use crate::handlers::bodies::{Bodies, BodyError};
use crate::handlers::channels::Channel;

/// Why an effect did not come to its end; it is tried again after a pause.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// Its outcome could not be recorded.
    #[error("the log refused: {0}")]
    Append(#[from] AppendError),
    /// The log could not be read.
    #[error("the log does not read: {0}")]
    Read(#[from] ReadError),
    /// A body could not be kept or read.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// Something else that may pass.
    #[error("{0}")]
    Later(String),
    /// The service ends; whatever was begun is taken up at the next start.
    #[error("the service ends")]
    Ending,
}

/// The channels by repository and kind; the local one serves all repositories.
#[derive(Default, Clone)]
pub struct Channels {
    local: Option<Arc<dyn Channel>>,
    by_repo: BTreeMap<(RepoId, ChannelKind), Arc<dyn Channel>>,
}

impl Channels {
    /// Returns no channels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the channel of all repositories.
    #[must_use]
    pub fn with_local(mut self, channel: Arc<dyn Channel>) -> Self {
        self.local = Some(channel);
        self
    }

    /// Adds a repository's channel.
    #[must_use]
    pub fn with(mut self, repo: RepoId, channel: Arc<dyn Channel>) -> Self {
        self.by_repo.insert((repo, channel.kind()), channel);
        self
    }

    /// Returns a channel.
    pub fn get(&self, repo: &RepoId, kind: ChannelKind) -> Option<Arc<dyn Channel>> {
        match kind {
            ChannelKind::Local => self.local.clone(),
            ChannelKind::Email | ChannelKind::Slack => {
                self.by_repo.get(&(repo.clone(), kind)).cloned()
            }
        }
    }
}

/// Everything effects act through.
#[derive(Clone)]
pub struct Ports {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The log.
    pub log: Log,
    /// Bodies outside the log.
    pub bodies: Bodies,
    /// The channels.
    pub channels: Channels,
    /// Where repositories and conversations have their directories.
    pub state_dir: PathBuf,
    /// Cancelled when running tasks must be cut off because the service ends.
    pub cut_off: CancellationToken,
}

impl Ports {
    /// Appends; an append that was made before under the same key changes nothing.
    ///
    /// # Errors
    /// [`EffectError::Append`] when nothing was recorded.
    pub async fn append(&self, append: Append) -> Result<(), EffectError> {
        let names: Vec<&'static str> = append
            .events
            .iter()
            .map(|(_, event)| event.name())
            .collect();
        match self.log.append(append).await {
            Ok(_appended) => names.into_iter().for_each(barrier::appended),
            // Somebody recorded another outcome under this key first, and that one stands.
            Err(AppendError::KeyReused { first }) => {
                tracing::debug!(position = first.0, "an outcome was recorded before");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
