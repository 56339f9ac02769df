//! What effects act through: the log, the bodies, the channels and the sandbox. It holds no state
//! of the work itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::types::Config;
use crate::events::Event;
use crate::events::blobs::BlobError;
use crate::events::id::{Actor, ChannelKind, ConversationId, RepoId, RunId, StreamId};
use crate::events::keys::KeyError;
use crate::events::log::{Append, AppendError, Context, Log, ReadError};
use crate::handlers::barrier;
use crate::handlers::bodies::{Bodies, BodyError};
use crate::handlers::channels::Channel;
use crate::sandbox::mirrors::Mirrors;
use crate::sandbox::port::Sandbox;
use crate::sandbox::recorder::{PortFuture, RecordError, Recorder};

/// Why an effect did not come to its end; what is done about it is decided in
/// [`setback`](crate::handlers::setback).
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
    /// It panicked, and would again.
    #[error("performing it panicked; this is a defect of Airut")]
    Panicked,
    /// The service ends; whatever was begun is taken up at the next start.
    #[error("the service ends")]
    Ending,
}

impl EffectError {
    /// Returns whether the same effect would fail in the same way for ever.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Append(AppendError::TooLarge { .. } | AppendError::Empty) | Self::Panicked => {
                true
            }
            Self::Body(BodyError::Blob(error)) => match error {
                BlobError::Missing(_)
                | BlobError::Erased(_)
                | BlobError::Damaged(_)
                | BlobError::TooLarge { .. } => true,
                BlobError::Key(error) => !matches!(error, KeyError::Disk { .. }),
                BlobError::Disk { .. } => false,
            },
            Self::Append(_)
            | Self::Body(BodyError::Thread)
            | Self::Read(_)
            | Self::Later(_)
            | Self::Ending => false,
        }
    }

    /// Returns whether nothing can be done any more: without its log the service is nothing.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Append(AppendError::Unwritable(_) | AppendError::Closed) | Self::Read(_) => true,
            Self::Append(_) | Self::Body(_) | Self::Later(_) | Self::Panicked | Self::Ending => {
                false
            }
        }
    }
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

    /// Returns all channels, to be listened to.
    pub fn all(&self) -> impl Iterator<Item = Arc<dyn Channel>> {
        self.local.iter().chain(self.by_repo.values()).cloned()
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
    /// What executes runs.
    pub sandbox: Arc<dyn Sandbox>,
    /// The repositories' mirrors.
    pub mirrors: Arc<dyn Mirrors>,
    /// Keys the fingerprints of surrogates.
    pub fingerprint_key: [u8; 32],
    /// Where repositories and conversations have their directories.
    pub state_dir: PathBuf,
    /// Cancelled when running tasks must be cut off because the service ends.
    pub cut_off: CancellationToken,
}

impl Ports {
    /// Returns why nothing can be recorded any more.
    pub fn why_unwritable(&self) -> String {
        let cause = self.log.why_failed();
        cause.unwrap_or_else(|| "the log was closed".to_owned())
    }

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

    /// Returns the recorder of a run's events, and of its proxy's.
    pub fn recorder(&self, run: RunId) -> Arc<dyn Recorder> {
        Arc::new(RunRecorder {
            log: self.log.clone(),
            run: Some(run),
        })
    }

    /// Returns the recorder of what belongs to no run.
    pub fn service_recorder(&self) -> Arc<dyn Recorder> {
        Arc::new(RunRecorder {
            log: self.log.clone(),
            run: None,
        })
    }

    /// Returns the configured `From` of a repository's mails; empty when it has none.
    pub fn mail_from(&self, repo: &RepoId) -> &str {
        let repo = self.config.repos.get(repo);
        let email = repo.and_then(|repo| repo.email.as_ref());
        email.map_or("", |email| &email.from)
    }

    /// Returns the page of a conversation, when messages may link to one.
    pub fn conversation_url(&self, conversation: ConversationId) -> Option<String> {
        let base_url = self.config.dashboard.base_url.as_ref()?;
        let base_url = base_url.trim_end_matches('/');
        Some(format!("{base_url}/conversation/{conversation}"))
    }
}

/// Records what the sandbox reports of one run, each event in the stream it belongs to.
#[derive(Debug)]
struct RunRecorder {
    log: Log,
    run: Option<RunId>,
}

impl RunRecorder {
    fn stream(&self, event: &Event) -> StreamId {
        match (self.run, event) {
            (None, _) => StreamId::service(),
            (Some(run), Event::Proxy(_)) => StreamId::proxy(run),
            (Some(run), Event::Task(_)) => StreamId::task(run.task),
            (
                Some(run),
                Event::Service(_)
                | Event::Schedule(_)
                | Event::Channel(_)
                | Event::Repository(_)
                | Event::Message(_)
                | Event::Conversation(_)
                | Event::Run(_)
                | Event::Container(_)
                | Event::Delivery(_),
            ) => StreamId::run(run),
        }
    }

    fn actor(&self, events: &[Event]) -> Actor {
        let from_proxy = events.iter().all(|event| matches!(event, Event::Proxy(_)));
        match self.run {
            Some(run) if from_proxy => Actor::Proxy(run),
            Some(_) | None => Actor::System,
        }
    }
}

impl Recorder for RunRecorder {
    fn record(&self, events: Vec<Event>) -> PortFuture<'_, Result<(), RecordError>> {
        Box::pin(async move {
            if events.is_empty() {
                return Ok(());
            }
            let names: Vec<&'static str> = events.iter().map(Event::name).collect();
            let context = Context {
                actor: self.actor(&events),
                ..Context::system(clock::now())
            };
            let append = Append {
                expected: vec![],
                events: events
                    .into_iter()
                    .map(|event| (self.stream(&event), event))
                    .collect(),
                key: None,
                context,
            };
            let appended = self.log.append(append).await;
            appended.map_err(|error| RecordError(error.to_string()))?;
            names.into_iter().for_each(barrier::appended);
            Ok(())
        })
    }
}
