//! Taking in long mails: they come in parts, into a spool on the disk, and are never in memory whole.
//! Whether the mailbox is at fault or the mail is judged elsewhere.

use crate::events::blobs::Spool;
use crate::handlers::bodies::BodyError;
use crate::handlers::channels::Incoming;
use crate::handlers::channels::email::drain::{counts_alike, described, source};
use crate::handlers::channels::email::identity::Identity;
use crate::handlers::channels::email::imap::{
    Fetched, HEADER_BYTES_MAX, MAIL_BYTES_MAX, Mailbox, PART_BYTES_MAX,
};
use crate::handlers::channels::email::listen::ListenError;
use crate::handlers::channels::email::{EmailChannel, too_long};
use crate::handlers::intake::{Intake, IntakeError};
use crate::tasks;

/// A mail that was met in the mailbox.
pub(super) struct Met {
    /// What is known of it.
    pub(super) incoming: Incoming,
    /// Its bytes, where they are not in `incoming`.
    pub(super) spool: Option<Spool>,
    /// Whether only its header is there.
    pub(super) is_too_long: bool,
}

/// What has come of a long mail.
struct Gathered {
    spool: Spool,
    /// Nothing before the first part.
    begun: Option<Begun>,
}

struct Begun {
    beginning: Vec<u8>,
    identity: Identity,
}

impl EmailChannel {
    /// Fetches a mail, however long it is; nothing when it has gone meanwhile.
    pub(super) async fn meet(
        &self,
        mailbox: &mut Mailbox,
        intake: &Intake,
        uid: u32,
    ) -> Result<Option<Met>, ListenError> {
        let kept = match mailbox.fetch(uid).await? {
            None => return Ok(None),
            Some(Fetched::Kept(kept)) => kept,
            Some(Fetched::Long { uid }) => match self.gather(mailbox, intake, uid).await? {
                Gathering::Gone => return Ok(None),
                Gathering::Met(met) => return Ok(Some(*met)),
                Gathering::TooMuch { bytes } => match mailbox.fetch_header(uid, bytes).await? {
                    None => return Ok(None),
                    Some(kept) => kept,
                },
            },
        };
        let is_too_long = kept.too_long.is_some();
        Ok(Some(Met {
            incoming: self.incoming(kept).await?,
            spool: None,
            is_too_long,
        }))
    }

    /// Fetches a long mail part by part. Its end is where a part is short: some servers only guess a
    /// mail's length.
    async fn gather(
        &self,
        mailbox: &mut Mailbox,
        intake: &Intake,
        uid: u32,
    ) -> Result<Gathering, ListenError> {
        let mut gathered = Gathered {
            spool: intake.spool().await?,
            begun: None,
        };
        let counts_alike = counts_alike(&self.email);
        loop {
            let from = gathered.spool.bytes();
            let Some(part) = mailbox.fetch_part(uid, from).await? else {
                return Ok(Gathering::Gone);
            };
            let is_last = part.len() < PART_BYTES_MAX as usize;
            let bytes = from + part.len() as u64;
            if bytes > u64::from(MAIL_BYTES_MAX) {
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                return Ok(Gathering::TooMuch { bytes });
            }
            let added = tasks::apart(move || gathered.add(part, counts_alike));
            gathered = added.await.map_err(|_| ListenError::Defect)??;
            if is_last {
                break;
            }
        }
        let (repo, email) = (self.repo.clone(), self.email.clone());
        let source = source(&self.email, mailbox.uid_validity(), uid);
        let described = tasks::apart(move || {
            let begun = gathered.begun?;
            let incoming = described(repo, &email, source, &begun.beginning, begun.identity);
            Some((incoming, gathered.spool))
        });
        let described = described.await.map_err(|_| ListenError::Defect)?;
        let (incoming, spool) = described.ok_or(ListenError::Defect)?;
        Ok(Gathering::Met(Box::new(Met {
            incoming,
            spool: Some(spool),
            is_too_long: false,
        })))
    }
}

/// What became of a long mail.
enum Gathering {
    Met(Box<Met>),
    Gone,
    /// It is longer than the server said.
    TooMuch {
        bytes: u32,
    },
}

impl Gathered {
    fn add(mut self, mut part: Vec<u8>, counts_alike: bool) -> Result<Self, IntakeError> {
        match &mut self.begun {
            Some(begun) => begun.identity.read(&part),
            None => {
                let header = part.len().min(HEADER_BYTES_MAX as usize);
                self.begun = Some(Begun {
                    beginning: part[..header].to_vec(),
                    identity: Identity::new(&part, counts_alike),
                });
                part = too_long::kept_whole(part);
            }
        }
        let written = self.spool.write(&part);
        written.map_err(BodyError::from)?;
        Ok(self)
    }
}
