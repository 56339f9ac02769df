//! Taking in what Slack tells: what is meant for Airut is durable before this returns, and the rest
//! leaves no trace. It does not know over which connection it came.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::events::id::ChannelKind;
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::blocks::{STATUS, STOP};
use crate::handlers::channels::slack::engage::{Circumstances, is_listened_in, is_meant};
use crate::handlers::channels::slack::incoming::{self, Told};
use crate::handlers::channels::slack::parse::{self, Message, Press};
use crate::handlers::channels::slack::web::reading::Own;
use crate::handlers::intake::{Intake, IntakeError, Receipt};
use crate::projections::slack_threads::Heard;

/// A thread with the assistant that somebody opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened {
    /// The channel of their direct messages.
    pub(super) channel: String,
    /// The thread's `ts`.
    pub(super) thread: String,
}

/// Who takes in what one app is told.
pub(super) struct Hearing {
    pub(super) channel: Arc<SlackChannel>,
    pub(super) intake: Intake,
    /// Who Airut is.
    pub(super) own: Own,
    /// Where greetings are asked for; of too many at once, some are left away.
    pub(super) opened: mpsc::Sender<Opened>,
}

impl Hearing {
    /// Takes an envelope in; returns whether it may be acknowledged.
    pub(super) async fn hears(&self, payload: &str) -> bool {
        match self.take_in(payload).await {
            Ok(_) => true,
            Err(error) => {
                let repo = &self.channel.repo;
                tracing::error!(%repo, %error, "what Slack tells is not acknowledged");
                false
            }
        }
    }

    /// Takes in what a payload tells, if it is meant for Airut.
    ///
    /// # Errors
    /// [`IntakeError`]: nothing was promised.
    pub(super) async fn take_in(&self, payload: &str) -> Result<Option<Receipt>, IntakeError> {
        let (event_id, told) = parse::payload(payload);
        let circumstances = Told {
            repo: &self.channel.repo,
            own: &self.own,
            event_id: &event_id,
            payload,
        };
        let incoming = match &told {
            parse::Told::Said(message) if self.is_meant(message) => {
                incoming::message(circumstances, message)
            }
            parse::Told::Pressed(press) if self.is_ours(press) => {
                incoming::press(circumstances, press)
            }
            parse::Told::Opened { channel, thread } => {
                let (channel, thread) = (channel.clone(), thread.clone());
                // Nobody waits for a greeting that comes long after.
                self.opened.try_send(Opened { channel, thread }).ok();
                return Ok(None);
            }
            parse::Told::Changed(message) => {
                let now = incoming::as_changed(&message.channel, payload);
                let place = (message.channel.as_str(), message.ts.as_str());
                self.revise(place, &event_id, Some(now)).await?;
                return Ok(None);
            }
            parse::Told::Deleted { channel, ts } => {
                self.revise((channel, ts), &event_id, None).await?;
                return Ok(None);
            }
            parse::Told::Said(_) | parse::Told::Pressed(_) | parse::Told::Other => {
                return Ok(None);
            }
        };
        self.intake.receive(incoming).await.map(Some)
    }

    async fn revise(
        &self,
        (channel, ts): (&str, &str),
        event_id: &str,
        now: Option<String>,
    ) -> Result<(), IntakeError> {
        let of = (&self.channel.repo, ChannelKind::Slack);
        let key = incoming::message_key((&self.channel.repo, &self.own), channel, ts);
        let now = now.map(|now| (now.into_bytes(), incoming::MEDIA_TYPE));
        self.intake.revise(of, &key, event_id, now).await
    }

    fn is_meant(&self, message: &Message) -> bool {
        let (channel, thread) = (&message.channel, message.thread());
        let is_engaged = |heard: &Heard| heard.is_engaged(channel, thread);
        let circumstances = Circumstances {
            own: &self.own,
            allowed_channels: &self.channel.settings.allowed_channels,
            is_engaged: self.channel.threads.look(&self.channel.repo, is_engaged),
        };
        is_meant(message, circumstances)
    }

    fn is_ours(&self, press: &Press) -> bool {
        let is_known = [STOP, STATUS].contains(&press.action.as_str());
        is_known && is_listened_in(&press.channel, &self.channel.settings.allowed_channels)
    }
}
