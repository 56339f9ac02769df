//! The mail channel: a mailbox that is read over IMAP, answers that go out over SMTP, both over
//! verified TLS. What a mail says and who it is from is judged by pure files beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::types::{Email, Verify};
use crate::events::delivery::DeliveryTarget;
use crate::events::id::{ChannelKind, RepoId};
use crate::events::message::{RejectionReason, ReplyAddress};
use crate::handlers::channels::{
    BoxFuture, Channel, Evidence, OutboundMessage, SendOutcome, Trace, Triage, Triaged,
};
use crate::handlers::intake::Intake;

pub mod auth;
pub mod body;
mod drain;
pub mod filter;
pub mod flowed;
pub mod headers;
pub mod hop;
pub mod html;
pub mod identity;
pub mod imap;
pub mod listen;
pub mod markdown;
pub mod notes;
pub mod oauth;
pub mod parse;
pub mod recipients;
pub mod render;
pub mod results;
pub mod sign_in;
pub mod smtp;
pub mod thread;
pub mod tls;
pub mod too_long;
pub mod unreadable;
pub mod verify;

use headers::Headers;
use sign_in::SignIn;
use tls::{Trust, TrustError};
use verify::{Proof, Verifier};

/// A repository's mailbox.
#[derive(Debug)]
pub struct EmailChannel {
    repo: RepoId,
    email: Email,
    trust: Trust,
    sign_in: SignIn,
    /// Only where Airut verifies mails itself.
    verifier: Option<Verifier>,
}

impl EmailChannel {
    /// Returns the channel of a repository's mailbox; it does not connect yet.
    ///
    /// # Errors
    /// [`TrustError`] when the operator's authorities cannot be read.
    pub fn new(repo: RepoId, email: Email) -> Result<Self, TrustError> {
        let trust = Trust::load(email.tls_ca_file.as_deref())?;
        let sign_in = SignIn::of(&email, &trust);
        let server = &email.auth.trusted_authserv_id;
        let verifier = match email.auth.verify {
            Verify::Header => None,
            Verify::Ourselves { resolver } => {
                let verifier = Verifier::new(resolver, server);
                Some(verifier.map_err(TrustError::Resolver)?)
            }
        };
        Ok(Self {
            repo,
            email,
            trust,
            sign_in,
            verifier,
        })
    }

    /// Sends a mail; where it is too long for the server, without the files that make it so.
    async fn send_fitting(&self, message: &OutboundMessage) -> SendOutcome {
        let refused = |error: String| SendOutcome::Refused {
            error,
            permanent: true,
        };
        let (email, trust, sign_in) = (&self.email, &self.trust, &self.sign_in);
        let at = clock::now();
        let mail = match render::mail(message, &email.from, at) {
            Ok(mail) => mail,
            Err(error) => return refused(error.to_string()),
        };
        let too_long = match smtp::send(email, trust, sign_in, &mail).await {
            Ok(outcome) => return outcome,
            Err(too_long) => too_long,
        };
        let mail = match render::mail_within(message, &email.from, at, too_long.max) {
            Ok(mail) => mail,
            Err(error) => return refused(error.to_string()),
        };
        let sent = smtp::send(email, trust, sign_in, &mail).await;
        sent.unwrap_or_else(|smtp::TooLong { bytes, max }| {
            let server = &email.smtp.server;
            refused(format!(
                "the mail has {bytes} bytes, and {server} takes at most {max}"
            ))
        })
    }

    async fn search_for(&self, message: &OutboundMessage) -> Trace {
        let DeliveryTarget::Email { message_id, .. } = &message.target else {
            return Trace::Absent {
                searched: "nothing: it is no mail".to_owned(),
            };
        };
        match self.find(message_id).await {
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

/// Pauses in seconds between the searches for a mail that may just have been sent: a server accepts it, and puts
/// it into its folder a moment later. Not found after the last of them, it counts as not there.
const SEARCH_PAUSES_S: [u64; 3] = [1, 2, 4];

impl EmailChannel {
    /// Looks for a mail, again and again while it may be under way.
    async fn find(&self, message_id: &str) -> Result<Result<String, Vec<String>>, imap::ImapError> {
        let mut mailbox = imap::Mailbox::open(&self.email, &self.trust, &self.sign_in).await?;
        for pause in SEARCH_PAUSES_S {
            if let Ok(folder) = mailbox.find(message_id).await? {
                return Ok(Ok(folder));
            }
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
        mailbox.find(message_id).await
    }
}

impl Channel for EmailChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::Email
    }

    fn listen(self: Arc<Self>, intake: Intake, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.listen_for_ever(&intake, &stop).await })
    }

    fn find_out<'a>(&'a self, raw: &'a [u8]) -> BoxFuture<'a, Result<Option<Evidence>, String>> {
        Box::pin(async move {
            match &self.verifier {
                Some(verifier) => verifier.verify(raw).await.map(Evidence::Mail).map(Some),
                None => Ok(None),
            }
        })
    }

    fn triage(&self, raw: &[u8], evidence: Option<&Evidence>) -> Triage {
        let proof = match evidence {
            Some(Evidence::Mail(proof)) => Some(proof),
            Some(Evidence::Slack(_)) | None => None,
        };
        triage(raw, &self.email, proof)
    }

    fn send(&self, message: OutboundMessage) -> BoxFuture<'_, SendOutcome> {
        Box::pin(async move { self.send_fitting(&message).await })
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

/// Judges a mail. Pure. `proof` is what was found out about it, where Airut verifies mails itself;
/// else it is not looked at.
pub fn triage(raw: &[u8], email: &Email, proof: Option<&Proof>) -> Triage {
    let (length, mail) = too_long::split(raw);
    let headers = Headers::of(mail);
    let rejected = |reason, detail: String| Triage::Rejected {
        reason,
        detail: shortened(&detail),
    };
    let own = [email.username.as_str(), email.from.as_str()];
    if let Some(detail) = filter::reason(&headers, own) {
        return rejected(RejectionReason::Filtered, detail);
    }
    let sender = match auth::judge(&headers, &email.auth, proof) {
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
    if content.is_of_calendar {
        let detail =
            "a calendar wrote it: an invitation, an answer to one, or a cancellation".to_owned();
        return rejected(RejectionReason::Filtered, detail);
    }
    let triaged = Box::new(triaged(&headers, sender, content, own));
    match length {
        Some(_) => Triage::Declined(triaged),
        None => Triage::Accepted(triaged),
    }
}

fn triaged(
    headers: &Headers,
    sender: auth::Sender,
    content: parse::Content,
    own: [&str; 2],
) -> Triaged {
    let parse::Content {
        subject,
        body,
        attachments,
        is_of_calendar: _,
    } = content;
    Triaged {
        sender_name: String::new(),
        method: sender.method,
        identity: sender.address.clone(),
        evidence: shortened(&sender.evidence),
        rule: sender.rule,
        body,
        conversation_hint: thread::conversation_hint(headers, &subject),
        invites: recipients::others(headers, own),
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
