//! The mail channel: a mailbox that is read over IMAP, answers that go out over SMTP, both over
//! verified TLS. What a mail says and who it is from is judged by pure files beside it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::types::Email;
use crate::events::delivery::DeliveryTarget;
use crate::events::id::{ChannelKind, RepoId};
use crate::events::message::{RejectionReason, ReplyAddress};
use crate::handlers::channels::{
    BoxFuture, Channel, OutboundMessage, SendOutcome, Trace, Triage, Triaged,
};
use crate::handlers::intake::Intake;

pub mod auth;
mod drain;
pub mod filter;
pub mod flowed;
pub mod headers;
pub mod html;
pub mod imap;
pub mod listen;
pub mod notes;
pub mod parse;
pub mod render;
pub mod smtp;
pub mod thread;
pub mod tls;
pub mod too_long;
pub mod unreadable;

use headers::Headers;
use tls::{Trust, TrustError};

/// A repository's mailbox.
#[derive(Debug)]
pub struct EmailChannel {
    repo: RepoId,
    email: Email,
    trust: Trust,
}

impl EmailChannel {
    /// Returns the channel of a repository's mailbox; it does not connect yet.
    ///
    /// # Errors
    /// [`TrustError`] when the operator's authorities cannot be read.
    pub fn new(repo: RepoId, email: Email) -> Result<Self, TrustError> {
        let trust = Trust::load(email.tls_ca_file.as_deref())?;
        Ok(Self { repo, email, trust })
    }

    async fn search_for(&self, message: &OutboundMessage) -> Trace {
        let DeliveryTarget::Email { message_id, .. } = &message.target else {
            return Trace::Absent {
                searched: "nothing: it is no mail".to_owned(),
            };
        };
        let found = async {
            let mut mailbox = imap::Mailbox::open(&self.email, &self.trust).await?;
            mailbox.find(message_id).await
        };
        match found.await {
            Ok(Ok(folder)) => Trace::Found {
                receipt: format!("{message_id} is in {folder}"),
            },
            Ok(Err(folders)) => Trace::Absent {
                searched: folders.join(", "),
            },
            Err(error) => Trace::Unsearchable {
                error: error.to_string(),
            },
        }
    }
}

impl Channel for EmailChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Email
    }

    fn listen(self: Arc<Self>, intake: Intake, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.listen_for_ever(&intake, &stop).await })
    }

    fn triage(&self, raw: &[u8]) -> Triage {
        triage(raw, &self.email)
    }

    fn send(&self, message: OutboundMessage) -> BoxFuture<'_, SendOutcome> {
        Box::pin(async move {
            match render::mail(&message, &self.email.from) {
                Ok(mail) => smtp::send(&self.email, &self.trust, &mail).await,
                Err(error) => SendOutcome::Refused {
                    error: error.to_string(),
                    permanent: true,
                },
            }
        })
    }

    fn search(&self, message: OutboundMessage) -> BoxFuture<'_, Trace> {
        Box::pin(async move { self.search_for(&message).await })
    }
}

/// Longest text of a header that enters an event, in characters; the rest is cut. Events have a
/// limit of their own, and a mail that does not fit into one would never be done with.
const TEXT_CHARS_MAX: usize = 1_000;
/// Most earlier ids that are kept; the first and the newest are.
const REFERENCES_MAX: usize = 40;

fn shortened(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Returns the ids of a field, the first and the newest when there are too many.
fn ids(headers: &Headers, name: &str) -> Vec<String> {
    let mut ids = headers
        .first(name)
        .map(headers::message_ids)
        .unwrap_or_default();
    let surplus = ids.len().saturating_sub(REFERENCES_MAX);
    if surplus > 0 {
        ids.drain(1..=surplus);
    }
    ids
}

/// Judges a mail. Pure.
pub fn triage(raw: &[u8], email: &Email) -> Triage {
    let (length, mail) = too_long::split(raw);
    let headers = Headers::of(mail);
    let rejected = |reason, detail: String| Triage::Rejected {
        reason,
        detail: shortened(&detail),
    };
    if let Some(detail) = filter::reason(&headers, [&email.username, &email.from]) {
        return rejected(RejectionReason::Filtered, detail);
    }
    let sender = match auth::judge(&headers, &email.auth) {
        Ok(sender) => sender,
        Err((reason, detail)) => return rejected(reason, detail),
    };
    let content = match length {
        Some(bytes) => parse::Content {
            subject: parse::subject(mail),
            body: too_long::words(bytes),
            ..parse::Content::default()
        },
        None => parse::content(mail),
    };
    if content.is_calendar_reply {
        let detail = "a calendar wrote it to answer an invitation".to_owned();
        return rejected(RejectionReason::Filtered, detail);
    }
    let triaged = Box::new(triaged(&headers, sender, content));
    match length {
        Some(_) => Triage::Declined(triaged),
        None => Triage::Accepted(triaged),
    }
}

fn triaged(headers: &Headers, sender: auth::Sender, content: parse::Content) -> Triaged {
    let parse::Content {
        subject,
        body,
        attachments,
        is_calendar_reply: _,
    } = content;
    Triaged {
        method: sender.method,
        identity: sender.address.clone(),
        evidence: shortened(&sender.evidence),
        rule: sender.rule,
        body,
        conversation_hint: thread::conversation_hint(headers, &subject),
        model_hint: thread::model_hint(headers),
        attachments,
        reply_to: ReplyAddress::Email {
            to: sender.address,
            message_id: ids(headers, "message-id")
                .into_iter()
                .next()
                .unwrap_or_default(),
            references: ids(headers, "references"),
        },
        subject: shortened(&subject),
    }
}
