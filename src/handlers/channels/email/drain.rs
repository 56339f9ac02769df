//! Emptying the mailbox: each mail is durable first and deleted afterwards, and one that cannot be
//! taken in holds up no other.

use crate::clock;
use crate::config::types::{Email, Verify};
use crate::events::channel::ChannelMailPassedOver;
use crate::events::event::ChannelEvent;
use crate::events::id::{ChannelKind, InboundId, RepoId};
use crate::events::log::AppendError;
use crate::events::message::MessageSource;
use crate::handlers::barrier;
use crate::handlers::channels::Incoming;
use crate::handlers::channels::email::headers::{self, Headers};
use crate::handlers::channels::email::identity::Identity;
use crate::handlers::channels::email::imap::{ImapError, Kept, Mailbox};
use crate::handlers::channels::email::listen::ListenError;
use crate::handlers::channels::email::notes::Notes;
use crate::handlers::channels::email::{EmailChannel, parse, too_long};
use crate::handlers::intake::{Intake, IntakeError};

mod streamed;
mod together;

/// Mails in a row that the server may refuse; then it is the mailbox that is at fault.
const REFUSED_IN_A_ROW_MAX: u32 = 10;
/// Mails flagged as deleted that are looked at on one connection; the rest stay as they are.
const FLAGGED_MAX: usize = 200;

impl EmailChannel {
    /// Takes everything in that lies in the mailbox.
    pub(super) async fn drain(
        &self,
        mailbox: &mut Mailbox,
        intake: &Intake,
        notes: &mut Notes,
    ) -> Result<(), ListenError> {
        let uids = mailbox.uids().await?;
        let due = notes.due(&uids, clock::now());
        for uids in due.chunks(together::MAILS_MAX) {
            let left = self.take_together(mailbox, intake, notes, uids).await?;
            self.take_singly(mailbox, intake, notes, &left).await?;
        }
        Ok(())
    }

    /// Takes mails in one after the other, each with its own trouble.
    async fn take_singly(
        &self,
        mailbox: &mut Mailbox,
        intake: &Intake,
        notes: &mut Notes,
        uids: &[u32],
    ) -> Result<(), ListenError> {
        let mut refused = 0;
        for uid in uids.iter().copied() {
            let Err(error) = self.take(mailbox, intake, notes, uid).await else {
                notes.settle(uid);
                refused = 0;
                continue;
            };
            if error.is_of_the_service() {
                return Err(error);
            }
            self.note_trouble(mailbox, intake, notes, uid, &error).await;
            refused += 1;
            if !error.leaves_connection() || refused == REFUSED_IN_A_ROW_MAX {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Deletes for good what was flagged when the service or the connection ended; what somebody
    /// else has flagged is not in the log, and stays.
    pub(super) async fn sweep(
        &self,
        mailbox: &mut Mailbox,
        intake: &Intake,
        notes: &mut Notes,
    ) -> Result<(), ListenError> {
        let flagged = mailbox.flagged_uids().await?;
        let due = notes.due(&flagged, clock::now());
        for uid in due.into_iter().take(FLAGGED_MAX) {
            let swept = self.sweep_one(mailbox, intake, notes, uid).await;
            let Err(error) = swept else { continue };
            self.note_trouble(mailbox, intake, notes, uid, &error).await;
            if error.is_of_the_service() || !error.leaves_connection() {
                return Err(error);
            }
        }
        Ok(())
    }

    async fn sweep_one(
        &self,
        mailbox: &mut Mailbox,
        intake: &Intake,
        notes: &mut Notes,
        uid: u32,
    ) -> Result<(), ListenError> {
        let Some(met) = self.meet(mailbox, intake, uid).await? else {
            return Ok(());
        };
        match intake.known(&met.incoming.dedupe_key) {
            Some(inbound) => {
                mailbox.delete(&[uid]).await?;
                self.acknowledge(intake, inbound).await;
            }
            None => notes.leave(uid),
        }
        Ok(())
    }

    /// Takes one mail in. What is too long is recorded and left where it is: it is not ours to
    /// throw away.
    async fn take(
        &self,
        mailbox: &mut Mailbox,
        intake: &Intake,
        notes: &mut Notes,
        uid: u32,
    ) -> Result<(), ListenError> {
        let Some(met) = self.meet(mailbox, intake, uid).await? else {
            return Ok(());
        };
        let receipt = match met.spool {
            Some(spool) => intake.receive_spooled(met.incoming, spool).await?,
            None => intake.receive(met.incoming).await?,
        };
        if met.is_too_long {
            notes.leave(uid);
            return Ok(());
        }
        mailbox.delete(&[uid]).await?;
        barrier::barrier("mail-deleted");
        self.acknowledge(intake, receipt.inbound).await;
        Ok(())
    }

    async fn acknowledge(&self, intake: &Intake, inbound: InboundId) {
        if let Err(error) = intake.source_acknowledged(inbound).await {
            tracing::warn!(repo = %self.repo, %error, "a deletion could not be recorded");
        }
    }

    async fn note_trouble(
        &self,
        mailbox: &Mailbox,
        intake: &Intake,
        notes: &mut Notes,
        uid: u32,
        error: &ListenError,
    ) {
        tracing::warn!(repo = %self.repo, uid, %error, "a mail gives trouble");
        let for_good = error.is_for_good();
        let Some((failures, retry_at)) = notes.trouble(uid, for_good, clock::now()) else {
            return;
        };
        let passed_over = ChannelMailPassedOver {
            repo: self.repo.clone(),
            channel: ChannelKind::Email,
            source: source(&self.email, mailbox.uid_validity(), uid),
            error: error.to_string().chars().take(ERROR_CHARS_MAX).collect(),
            failures,
            retry_at,
        };
        self.report(intake, ChannelEvent::MailPassedOver(passed_over))
            .await;
    }

    /// Reads what is needed of a mail on a thread of its own: a long one takes its time, and one
    /// that makes the reader panic is that mail's trouble alone.
    async fn incoming(&self, kept: Kept) -> Result<Incoming, ListenError> {
        let (repo, email) = (self.repo.clone(), self.email.clone());
        let read = tokio::task::spawn_blocking(move || incoming(repo, &email, kept));
        read.await.map_err(|_| ListenError::Defect)
    }
}

/// Longest error of a mail that is recorded, in characters; the rest is cut.
const ERROR_CHARS_MAX: usize = 1_000;

impl ListenError {
    /// Says whether it has nothing to do with the mail that was being taken in.
    fn is_of_the_service(&self) -> bool {
        matches!(self, Self::Intake(_)) && !self.is_for_good()
    }

    /// Says whether trying the same mail again at once is pointless.
    fn is_for_good(&self) -> bool {
        matches!(
            self,
            Self::Defect | Self::Intake(IntakeError::Log(AppendError::TooLarge { .. }))
        )
    }

    /// Says whether the next mail can be taken in over the same connection.
    fn leaves_connection(&self) -> bool {
        match self {
            Self::Imap(error) => ImapError::leaves_connection(error),
            Self::Intake(_) | Self::Defect => true,
        }
    }
}

fn incoming(repo: RepoId, email: &Email, kept: Kept) -> Incoming {
    let Kept {
        uid_validity,
        uid,
        raw,
        too_long,
    } = kept;
    let identity = Identity::new(&raw, too_long.is_none() && counts_alike(email));
    let source = source(email, uid_validity, uid);
    let incoming = described(repo, email, source, &raw, identity);
    Incoming {
        raw: match too_long {
            Some(bytes) => too_long::kept(&raw, bytes),
            None => too_long::kept_whole(raw),
        },
        ..incoming
    }
}

/// Where Airut itself verifies mails, the route proves a sender: a forged copy that comes first must
/// not make the genuine one its duplicate.
fn counts_alike(email: &Email) -> bool {
    matches!(email.auth.verify, Verify::Header)
}

fn source(email: &Email, uid_validity: u32, uid: u32) -> MessageSource {
    MessageSource::Mailbox {
        folder: email.imap.folder.clone(),
        uid_validity,
        uid,
    }
}

/// Says of a mail what its beginning tells, without its bytes.
fn described(
    repo: RepoId,
    email: &Email,
    source: MessageSource,
    beginning: &[u8],
    identity: Identity,
) -> Incoming {
    let head = headers::head(beginning);
    let headers = Headers::of(head);
    let account = format!("{}@{}", email.username, email.imap.server);
    Incoming {
        repo,
        channel: ChannelKind::Email,
        source,
        // Not the number: a mailbox that was rebuilt gives the same mail another one.
        dedupe_key: identity.key(&account),
        claimed_sender: parse::one_line(headers.first("from").unwrap_or_default()),
        title: parse::subject(head),
        raw: Vec::new(),
        media_type: "message/rfc822".to_owned(),
    }
}
