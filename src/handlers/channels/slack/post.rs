//! Posting an answer into its thread, and looking for what of it is there already. Before an answer is
//! posted once more, its thread is read: what is there is not posted again. What an answer is made of
//! it does not know, nor when it is tried again.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::events::delivery::{AnswerTone, DeliveryKind, DeliveryTarget};
use crate::handlers::barrier;
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::outgoing::{Found, Posting, about_files, posting, thread};
use crate::handlers::channels::slack::refusals::{Fate, fate, remedy};
use crate::handlers::channels::slack::upload::Uploaded;
use crate::handlers::channels::slack::web::WebError;
use crate::handlers::channels::slack::web::reading::Span;
use crate::handlers::channels::{OutboundMessage, SendOutcome, Trace};

/// Most pages of a thread that are read; of a longer one the rest is not looked at, which is said.
const PAGES_MAX: usize = 10;

/// Longest time that all marks of an answer may take; those that are missing then stay missing.
const MARKS_TIME_MAX: Duration = Duration::from_secs(60);

/// What `chat.postMessage` answers, as far as it is used.
#[derive(Debug, Deserialize)]
pub(super) struct Posted {
    /// The message's name in its channel.
    pub(super) ts: String,
}

/// What became of a look into a thread.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    /// Slack did not give it.
    #[error(transparent)]
    Web(#[from] WebError),
    /// It is too long.
    #[error("the thread has more messages than are read")]
    TooLong,
}

impl SlackChannel {
    /// Posts what is missing of an answer, then sets its marks.
    pub(super) async fn post(&self, message: &OutboundMessage) -> SendOutcome {
        // Nothing of the first attempt can be there; a thread that cannot be read may hold anything.
        let found = if message.attempt > 1 {
            match self.found(message).await {
                Ok(found) => Some(found),
                Err(LookError::Web(error)) if !error.is_permanent() => {
                    return not_posted(&error);
                }
                Err(_) => None,
            }
        } else {
            Some(Found::default())
        };
        let names = self.names(message).await;
        let posting = posting(message, &names, found.is_none());
        let found = found.unwrap_or_default();
        match self.post_missing(message, &posting, &found).await {
            Ok(receipt) => {
                self.mark(message).await;
                SendOutcome::Accepted { receipt }
            }
            Err(outcome) => outcome,
        }
    }

    /// Posts the parts that are missing; returns the `ts` of the first part.
    async fn post_missing(
        &self,
        message: &OutboundMessage,
        posting: &Posting,
        found: &Found,
    ) -> Result<String, SendOutcome> {
        let mut receipt = found.first().map(str::to_owned);
        for (index, body) in posting.messages.iter().enumerate() {
            if found.has_message(index) {
                continue;
            }
            let posted: Posted = self.call_post("chat.postMessage", body).await?;
            barrier::barrier("slack-posted");
            receipt.get_or_insert(posted.ts);
        }
        let mut failed = Vec::new();
        for upload in &posting.uploads {
            if found.has_upload(upload) {
                continue;
            }
            match self.upload(thread(message), upload, message.attempt).await {
                Uploaded::Whole => barrier::barrier("slack-uploaded"),
                Uploaded::Failed(why) => failed.push((upload.name.clone(), why)),
                Uploaded::Ended(outcome) => return Err(outcome),
            }
        }
        if !failed.is_empty() {
            let about = about_files(message, &failed);
            let _posted: Posted = self.call_post("chat.postMessage", &about).await?;
        }
        Ok(receipt.unwrap_or_default())
    }

    async fn call_post(&self, method: &str, body: &Value) -> Result<Posted, SendOutcome> {
        self.web.post(method, body).await.map_err(outcome)
    }

    /// Looks for an answer in its thread; sets its marks where it is.
    pub(super) async fn look_for(&self, message: &OutboundMessage) -> Trace {
        let found = match self.found(message).await {
            Ok(found) => found,
            Err(error) => {
                return Trace::Unsearchable {
                    error: error.to_string(),
                };
            }
        };
        let (channel, thread) = thread(message);
        let absent = Trace::Absent {
            searched: format!("thread {thread} of {channel}"),
        };
        let Some(ts) = found.first() else {
            return absent;
        };
        let names = self.names(message).await;
        if !found.is_whole(&posting(message, &names, false)) {
            return absent;
        }
        self.mark(message).await;
        Trace::Found {
            receipt: format!("{ts} is in thread {thread} of {channel}"),
        }
    }

    async fn found(&self, message: &OutboundMessage) -> Result<Found, LookError> {
        let own = self.people.own(&self.web).await?;
        let (channel, thread) = thread(message);
        // An answer comes after what it answers.
        let oldest = match &message.target {
            DeliveryTarget::Slack { answered, .. } => answered.last(),
            DeliveryTarget::Email { .. } | DeliveryTarget::Local => None,
        };
        let oldest = oldest.map_or(thread, String::as_str);
        let messages = self.thread_after(channel, thread, oldest).await?;
        Ok(Found::of(&messages, message, &own.user_id))
    }

    /// Reads a thread with the metadata of its messages, oldest first, from `oldest` on.
    ///
    /// # Errors
    /// [`LookError`].
    pub(super) async fn thread_after(
        &self,
        channel: &str,
        thread: &str,
        oldest: &str,
    ) -> Result<Vec<Value>, LookError> {
        let span = Span {
            oldest,
            latest: "",
            with_metadata: true,
        };
        match self
            .web
            .messages(channel, Some(thread), span, PAGES_MAX)
            .await?
        {
            (messages, true) => Ok(messages),
            (_, false) => Err(LookError::TooLong),
        }
    }

    /// Sets the last marks: in a channel on the messages that are answered, in a direct message the
    /// thread's title. They are set anew however often, and missing ones hold nothing up.
    async fn mark(&self, message: &OutboundMessage) {
        if message.kind != DeliveryKind::Reply {
            return;
        }
        let marking = tokio::time::timeout(MARKS_TIME_MAX, self.mark_all(&message.target));
        if marking.await.is_err() {
            tracing::warn!(delivery = %message.delivery, "not all marks were set in time");
        }
    }

    async fn mark_all(&self, target: &DeliveryTarget) {
        let DeliveryTarget::Slack {
            channel,
            thread,
            answered,
            tone,
            is_direct,
            title,
        } = target
        else {
            return;
        };
        if *is_direct {
            if !title.is_empty() {
                let body = json!({"channel_id": channel, "thread_ts": thread, "title": title});
                self.decorate("assistant.threads.setTitle", &body).await;
            }
            return;
        }
        let mark = match tone {
            AnswerTone::Good => "white_check_mark",
            AnswerTone::Failed | AnswerTone::Broken => "x",
        };
        for ts in answered {
            let body = |name: &str| json!({"channel": channel, "timestamp": ts, "name": name});
            self.decorate("reactions.remove", &body(SEEN)).await;
            self.decorate("reactions.add", &body(mark)).await;
        }
    }

    /// Calls a method whose failure is worth a line for the operator and no more; returns whether it
    /// did what it is for, which it also has where it had been done before.
    pub(super) async fn decorate(&self, method: &str, body: &Value) -> bool {
        let called: Result<Value, WebError> = self.web.post(method, body).await;
        match called {
            Ok(_) => true,
            Err(error) if matches!(error.code(), Some("already_reacted" | "no_reaction")) => true,
            Err(error) => {
                tracing::warn!(repo = %self.repo, %error, "a mark or title could not be set");
                false
            }
        }
    }
}

/// The mark of a message that was seen.
pub(super) const SEEN: &str = "eyes";

/// Returns what a failed call means for the message that it was to post.
pub(super) fn outcome(error: WebError) -> SendOutcome {
    let words = error.to_string();
    match error {
        WebError::Refused { error, .. } => match fate(&error) {
            Fate::Unknown => SendOutcome::Unknown { detail: words },
            known => SendOutcome::Refused {
                error: match remedy(&error) {
                    Some(remedy) => format!("{words}: {remedy}"),
                    None => words,
                },
                permanent: known == Fate::Never,
            },
        },
        WebError::Unknown { .. } | WebError::Unreadable { .. } => {
            SendOutcome::Unknown { detail: words }
        }
        WebError::RateLimited { .. } | WebError::Unreachable { .. } => not_posted(&error),
    }
}

/// Returns the outcome of an attempt that ended before anything was posted.
pub(super) fn not_posted(error: &WebError) -> SendOutcome {
    let words = error.to_string();
    match error {
        WebError::RateLimited { retry_after } => SendOutcome::Postponed {
            error: words,
            wait_ms: u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX),
        },
        WebError::Refused { .. }
        | WebError::Unreachable { .. }
        | WebError::Unknown { .. }
        | WebError::Unreadable { .. } => SendOutcome::Refused {
            error: words,
            permanent: false,
        },
    }
}
