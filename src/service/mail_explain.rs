//! What Airut makes of a mail, told without doing anything: the very judgement that the service
//! makes, and beside it what can be said of the mail alone. It takes the judgement as an argument
//! and knows neither mailbox nor network.

use serde::Serialize;

use crate::config::types::{Email, Verify};
use crate::events::Recorded;
use crate::events::id::{ChannelKind, ConversationId, RepoId};
use crate::events::message::{HintSource, ReplyAddress};
use crate::handlers::channels::email::headers::{self, Headers};
use crate::handlers::channels::email::imap::MAIL_BYTES_MAX;
use crate::handlers::channels::email::{self, EmailChannel, parse, thread, too_long};
use crate::handlers::channels::{Attachment, Channel as _, Triage, Triaged};
use crate::handlers::intake::command;
use crate::handlers::intake::decide::find_conversation;
use crate::projections::Projection as _;
use crate::projections::conversations::Conversations;

/// A mail in the form in which the service keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    raw: Vec<u8>,
}

impl Kept {
    /// Takes a mail as a file holds it: without the line that mailbox files begin with, and of one
    /// that is longer than the service takes in, the header only. `bytes` is its length.
    pub fn of(mut raw: Vec<u8>, bytes: u64) -> Self {
        if raw.starts_with(b"From ") {
            let end = raw.iter().position(|byte| *byte == b'\n');
            raw.drain(..end.map_or(0, |end| end + 1));
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let raw = if bytes > MAIL_BYTES_MAX {
            too_long::kept(headers::head(&raw), bytes)
        } else {
            too_long::kept_whole(raw)
        };
        Self { raw }
    }

    /// Judges it as the service would. Where the mailbox verifies senders itself, names are asked
    /// for as the service asks for them.
    ///
    /// # Errors
    /// What could not be found out.
    pub async fn judge(&self, repo: &RepoId, email: &Email) -> Result<Triage, String> {
        if matches!(email.auth.verify, Verify::Header) {
            return Ok(email::triage(&self.raw, email, None));
        }
        let channel = EmailChannel::new(repo.clone(), email.clone());
        let channel = channel.map_err(|error| error.to_string())?;
        let evidence = channel.find_out(&self.raw).await?;
        Ok(channel.triage(&self.raw, evidence.as_ref()))
    }
}

/// The judgement that there is, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// A repository's mailbox judged it.
    By(RepoId, Triage),
    /// Nobody did, for this reason.
    Not(String),
}

impl Judged {
    /// Returns whether the mail may continue a conversation: only then it matters which there are.
    pub fn points_at_any(&self) -> bool {
        let Self::By(_, Triage::Accepted(triaged) | Triage::Declined(triaged)) = self else {
            return false;
        };
        let is_in_thread = matches!(
            &triaged.reply_to,
            ReplyAddress::Email { references, .. } if !references.is_empty()
        );
        triaged.conversation_hint.is_some() || is_in_thread
    }
}

/// The conversations that the log knows, folded from its records.
#[derive(Debug, Default)]
pub struct Known(Conversations);

impl Known {
    /// Takes the next record in.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.0.apply(recorded);
    }
}

/// What Airut makes of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `accepted`, `declined`, `rejected` or `not_judged`.
    pub verdict: &'static str,
    /// Of a rejected mail, the kind of reason.
    pub reason: Option<String>,
    /// Of a mail that was rejected or not judged, why.
    pub detail: Option<String>,
    /// The repository whose mailbox judged it.
    pub repo: Option<String>,
    /// Who it is from, once that is proven and permitted.
    pub identity: Option<Identity>,
    /// Who it claims to be from; not verified.
    pub claimed_sender: String,
    /// The decoded subject.
    pub subject: String,
    /// The conversation it names, or whose thread it stands in.
    pub conversation: Option<Continued>,
    /// The model it asks for.
    pub model_hint: Option<String>,
    /// What its first line asks of Airut itself.
    pub command: Option<String>,
    /// Its text after quotes were removed, the command included; of a declined mail, the answer.
    pub body: String,
    /// Its files.
    pub attachments: Vec<File>,
    /// Its own `Message-ID`.
    pub message_id: Option<String>,
}

/// A proven identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The verified address.
    pub address: String,
    /// How it was proven.
    pub method: String,
    /// What proved it.
    pub evidence: String,
    /// The rule that permits it, as configured.
    pub rule: String,
}

/// The conversation that a mail continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Continued {
    /// Its id.
    pub id: ConversationId,
    /// Where it was found: `in_reply_to`, `references`, `subject_tag` or `thread`.
    pub found_in: String,
    /// `continued`, `new` (it is not there, so that the mail begins another one), `forgotten` (the
    /// same, for that reason) or `not_looked_up`.
    pub state: &'static str,
}

/// A file of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Its safe name.
    pub name: String,
    /// Its declared type.
    pub media_type: String,
    /// Its length.
    pub bytes: usize,
}

/// Explains a mail; without `known` no conversation is looked up.
pub fn explain(kept: &Kept, judged: Judged, known: Option<&Known>) -> Explanation {
    let (_, mail) = too_long::split(&kept.raw);
    let headers = Headers::of(mail);
    let mut explanation = alone(mail, &headers);
    let (repo, triage) = match judged {
        Judged::By(repo, triage) => (repo, triage),
        Judged::Not(why) => {
            explanation.detail = Some(why);
            return explanation;
        }
    };
    explanation.repo = Some(repo.0.clone());
    match triage {
        Triage::Rejected { reason, detail } => {
            explanation.verdict = "rejected";
            explanation.reason = Some(word(&reason));
            explanation.detail = Some(detail);
        }
        Triage::Declined(triaged) => {
            explanation.verdict = "declined";
            explanation.command = None;
            explanation.body.clone_from(&triaged.body);
            explanation.judged(&repo, *triaged, known);
        }
        Triage::Accepted(triaged) => {
            explanation.verdict = "accepted";
            explanation.judged(&repo, *triaged, known);
        }
    }
    explanation
}

impl Explanation {
    fn judged(&mut self, repo: &RepoId, triaged: Triaged, known: Option<&Known>) {
        let found = known.and_then(|known| {
            find_conversation(&known.0, repo, ChannelKind::Email, &triaged)
                .map(|found| continued(found, "continued"))
        });
        let named = triaged.conversation_hint.clone();
        self.conversation = found.or_else(|| named.map(|named| missed(named, known)));
        self.attachments = files(&triaged.attachments);
        self.identity = Some(Identity {
            address: triaged.identity,
            method: word(&triaged.method),
            evidence: triaged.evidence,
            rule: triaged.rule,
        });
    }
}

/// A conversation that a mail names and that it does not continue, as far as is known.
fn missed(named: (ConversationId, HintSource), known: Option<&Known>) -> Continued {
    let state = match known {
        None => "not_looked_up",
        Some(known) if known.0.is_forgotten(named.0) => "forgotten",
        Some(_) => "new",
    };
    continued(named, state)
}

fn continued((id, source): (ConversationId, HintSource), state: &'static str) -> Continued {
    Continued {
        id,
        found_in: word(&source),
        state,
    }
}

/// What can be said of a mail alone.
fn alone(mail: &[u8], headers: &Headers) -> Explanation {
    let content = parse::content(mail);
    let (command, _) = command::split(&content.body);
    let message_ids = headers.first("message-id").map(headers::message_ids);
    let named = thread::conversation_hint(headers, &content.subject);
    Explanation {
        verdict: "not_judged",
        reason: None,
        detail: None,
        repo: None,
        identity: None,
        claimed_sender: parse::one_line(headers.first("from").unwrap_or_default()),
        conversation: named.map(|named| missed(named, None)),
        model_hint: thread::model_hint(headers),
        command: command.map(|command| command.to_string()),
        body: content.body,
        attachments: files(&content.attachments),
        message_id: message_ids.and_then(|ids| ids.into_iter().next()),
        subject: content.subject,
    }
}

fn files(attachments: &[Attachment]) -> Vec<File> {
    let file = |attachment: &Attachment| File {
        name: attachment.name.clone(),
        media_type: attachment.media_type.clone(),
        bytes: attachment.bytes.len(),
    };
    attachments.iter().map(file).collect()
}

/// Returns the name of a choice as `like_this`.
fn word(choice: &impl Serialize) -> String {
    let name = serde_json::to_value(choice).unwrap_or_default();
    let mut word = String::new();
    for c in name.as_str().unwrap_or_default().chars() {
        if c.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(c.to_ascii_lowercase());
    }
    word
}
