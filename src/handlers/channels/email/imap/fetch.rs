//! Fetching mails: many short ones with one command, one whole, one in parts. Nothing is marked as seen.

use std::collections::BTreeMap;

use async_imap::types::Fetch;
use futures_util::TryStreamExt as _;

use crate::handlers::channels::email::imap::{
    FETCH_MAX, HEADER_BYTES_MAX, ImapError, MAIL_BYTES_MAX, Mailbox, set, within,
};

/// A mail of so many bytes comes in parts of this length; a shorter one is fetched with one command.
pub const PART_BYTES_MAX: u32 = 1 << 20;

/// A mail that is there, as far as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// All of it, or the header of one that is too long.
    Kept(Kept),
    /// Nothing of it yet: it is to be fetched in parts.
    Long {
        /// Its number in the folder.
        uid: u32,
    },
}

/// A mail as the server keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The folder's `UIDVALIDITY`.
    pub uid_validity: u32,
    /// Its number there.
    pub uid: u32,
    /// Its bytes, or only its header when it is too long.
    pub raw: Vec<u8>,
    /// Its length when it is too long.
    pub too_long: Option<u32>,
}

impl Mailbox {
    /// Fetches a mail, unless it is long; nothing when it has gone meanwhile.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn fetch(&mut self, uid: u32) -> Result<Option<Fetched>, ImapError> {
        let Some(sized) = self.fetch_items(uid, "(UID RFC822.SIZE)").await? else {
            return Ok(None);
        };
        match sized.size.ok_or(ImapError::Missing("size"))? {
            0..PART_BYTES_MAX => {
                let Some(fetched) = self.fetch_items(uid, "(UID BODY.PEEK[])").await? else {
                    return Ok(None);
                };
                let raw = fetched.body().ok_or(ImapError::Missing("message text"))?;
                Ok(Some(Fetched::Kept(self.kept(uid, raw, None))))
            }
            PART_BYTES_MAX..=MAIL_BYTES_MAX => Ok(Some(Fetched::Long { uid })),
            bytes => {
                let header = self.fetch_header(uid, bytes).await?;
                Ok(header.map(Fetched::Kept))
            }
        }
    }

    /// Fetches the header of a mail that is too long; nothing when it has gone meanwhile.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn fetch_header(&mut self, uid: u32, bytes: u32) -> Result<Option<Kept>, ImapError> {
        let items = format!("(UID BODY.PEEK[HEADER]<0.{HEADER_BYTES_MAX}>)");
        let Some(fetched) = self.fetch_items(uid, &items).await? else {
            return Ok(None);
        };
        let raw = fetched.header().ok_or(ImapError::Missing("message text"))?;
        Ok(Some(self.kept(uid, raw, Some(bytes))))
    }

    /// Fetches the part of a mail that begins at an offset (RFC 3501, section 6.4.5); one that is
    /// shorter than [`PART_BYTES_MAX`] is the last. Nothing when the mail has gone meanwhile.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn fetch_part(&mut self, uid: u32, from: u64) -> Result<Option<Vec<u8>>, ImapError> {
        let items = format!("(UID BODY.PEEK[]<{from}.{PART_BYTES_MAX}>)");
        let Some(fetched) = self.fetch_items(uid, &items).await? else {
            return Ok(None);
        };
        let part = fetched.body().ok_or(ImapError::Missing("message text"))?;
        Ok(Some(part.to_vec()))
    }

    fn kept(&self, uid: u32, raw: &[u8], too_long: Option<u32>) -> Kept {
        Kept {
            uid_validity: self.uid_validity,
            uid,
            raw: raw.to_vec(),
            too_long,
        }
    }

    /// Returns the lengths in bytes of the mails that are still there, with one command.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn sizes(&mut self, uids: &[u32]) -> Result<BTreeMap<u32, u32>, ImapError> {
        let fetched = self.fetch_set(&set(uids), "(UID RFC822.SIZE)").await?;
        let sized = fetched.into_iter().map(|fetch| (fetch.uid, fetch.size));
        Ok(sized
            .filter_map(|(uid, size)| Some((uid?, size?)))
            .collect())
    }

    /// Fetches mails with one command, oldest first; what has gone meanwhile, or came without a
    /// text, is left out. All of them are in memory at once, so the caller bounds their length.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn fetch_together(&mut self, uids: &[u32]) -> Result<Vec<Kept>, ImapError> {
        let uid_validity = self.uid_validity;
        let fetched = self.fetch_set(&set(uids), "(UID BODY.PEEK[])").await?;
        let kept = |fetch: &Fetch| {
            Some(Kept {
                uid_validity,
                uid: fetch.uid.filter(|uid| uids.contains(uid))?,
                raw: fetch.body()?.to_vec(),
                too_long: None,
            })
        };
        let mut kept: Vec<Kept> = fetched.iter().filter_map(kept).collect();
        kept.sort_by_key(|kept| kept.uid);
        kept.dedup_by_key(|kept| kept.uid);
        Ok(kept)
    }

    async fn fetch_items(&mut self, uid: u32, items: &str) -> Result<Option<Fetch>, ImapError> {
        let fetched = self.fetch_set(&uid.to_string(), items).await?;
        Ok(fetched.into_iter().find(|fetch| fetch.uid == Some(uid)))
    }

    async fn fetch_set(&mut self, uid_set: &str, items: &str) -> Result<Vec<Fetch>, ImapError> {
        let session = &mut self.session;
        let fetched = async {
            let answers = session.uid_fetch(uid_set, items).await?;
            answers.try_collect::<Vec<Fetch>>().await
        };
        within(FETCH_MAX, "FETCH", fetched).await
    }
}
