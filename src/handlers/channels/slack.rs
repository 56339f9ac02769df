//! The Slack channel: an app of one workspace, heard over Socket Mode and answered through the Web
//! API. What an event says and who it is from is judged by pure files beside it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::types::Slack;
use crate::events::id::{ChannelKind, RepoId};
use crate::events::message::RejectionReason;
use crate::handlers::channels::{
    BoxFuture, Channel, Company, Evidence, OutboundMessage, SendOutcome, Trace, Triage,
};
use crate::handlers::intake::Intake;

mod accompany;
pub mod authorize;
pub mod backfill;
pub mod blocks;
mod candidates;
pub mod check;
pub mod engage;
pub mod find_out;
pub mod greet;
mod hear;
pub mod history;
pub mod incoming;
pub mod judge;
pub mod listen;
pub mod mentions_in;
pub mod mentions_out;
pub mod metadata;
pub mod mrkdwn;
pub mod needs;
pub mod outgoing;
pub mod parse;
pub mod people;
pub mod plan;
mod post;
pub mod progress;
pub mod refusals;
pub mod socket;
pub mod threads;
mod upload;
pub mod web;

use people::People;
use threads::Threads;
use web::{Web, WebSetupError};

/// A repository's Slack app.
#[derive(Debug)]
pub struct SlackChannel {
    repo: RepoId,
    settings: Slack,
    web: Web,
    people: People,
    threads: Arc<Threads>,
}

impl SlackChannel {
    /// Returns the channel of a repository's app; it does not connect yet.
    ///
    /// # Errors
    /// [`WebSetupError`] when nobody could be trusted.
    pub fn new(repo: RepoId, settings: Slack) -> Result<Self, WebSetupError> {
        let web = Web::new(&settings)?;
        Ok(Self {
            repo,
            settings,
            web,
            people: People::default(),
            threads: Arc::default(),
        })
    }

    /// Returns it with what is known of its threads; without, it takes part in none yet.
    #[must_use]
    pub fn with_threads(self, threads: Arc<Threads>) -> Self {
        Self { threads, ..self }
    }
}

impl Channel for SlackChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Slack
    }

    fn listen(self: Arc<Self>, intake: Intake, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.listen_for_ever(&intake, &stop).await })
    }

    fn find_out<'a>(&'a self, raw: &'a [u8]) -> BoxFuture<'a, Result<Option<Evidence>, String>> {
        Box::pin(async move {
            let findings = self.findings(raw).await?;
            Ok(Some(Evidence::Slack(Box::new(findings))))
        })
    }

    fn triage(&self, raw: &[u8], evidence: Option<&Evidence>) -> Triage {
        match evidence {
            Some(Evidence::Slack(findings)) => {
                judge::judge(raw, &self.settings.authorized, findings)
            }
            Some(Evidence::Mail(_)) | None => Triage::Rejected {
                reason: RejectionReason::NotAuthenticated,
                detail: "Slack was not asked who it is from".to_owned(),
            },
        }
    }

    fn send(&self, message: OutboundMessage) -> BoxFuture<'_, SendOutcome> {
        Box::pin(async move { self.post(&message).await })
    }

    fn search(&self, message: OutboundMessage) -> BoxFuture<'_, Trace> {
        Box::pin(async move { self.look_for(&message).await })
    }

    fn accompany(
        self: Arc<Self>,
        company: Company,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.show_progress(&company, &stop).await })
    }
}
