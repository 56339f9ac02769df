//! A connection to the mailbox: always over verified TLS, every step bounded in time. Nothing is
//! marked as seen, and everything that is not deleted counts as work, seen or not.

use std::collections::BTreeSet;
use std::time::Duration;

use async_imap::types::{Fetch, NameAttribute, UnsolicitedResponse};
use futures_util::TryStreamExt as _;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::config::types::Email;
use crate::handlers::channels::email::sign_in::SignIn;
use crate::handlers::channels::email::tls::Trust;

mod connect;
mod fetch;
pub mod folder;

use connect::{connect, sign_in};
pub use fetch::{Fetched, Kept, PART_BYTES_MAX};

/// How long connecting and signing in may take, each.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// How long one command may take.
const COMMAND_MAX: Duration = Duration::from_secs(60);
/// How long one message may take to come.
const FETCH_MAX: Duration = Duration::from_secs(300);
/// Longest mail that is taken in whole; of a longer one only the header is, and a permitted sender
/// is told.
pub const MAIL_BYTES_MAX: u32 = 50 << 20;
/// Longest header that is taken in of a mail that is too long; the rest of the header is left out.
pub const HEADER_BYTES_MAX: u32 = 256 << 10;
/// The folder that answers are looked for in, beside what the server calls sent.
const INBOX: &str = "INBOX";

/// Why the mailbox could not be used; it is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum ImapError {
    /// The server cannot be reached, or is not who it should be.
    #[error("{server} cannot be reached: {error}")]
    Connect {
        /// `host:port`.
        server: String,
        /// Why.
        error: String,
    },
    /// Name or password are wrong, most likely.
    #[error("{server} refuses the sign-in of {username}: {error}")]
    SignIn {
        /// `host:port`.
        server: String,
        /// Who.
        username: String,
        /// Why.
        error: String,
    },
    /// The server does not let the folder be read: there is none of this name, most likely.
    #[error("the mailbox has no folder {folder:?} (imap.folder): {error}")]
    Folder {
        /// Its configured name.
        folder: String,
        /// What the server says.
        error: String,
    },
    /// A command failed, or the connection broke.
    #[error("IMAP: {0}")]
    Command(#[from] async_imap::error::Error),
    /// A step took too long.
    #[error("{0} took too long")]
    Slow(&'static str),
    /// The server did not send what was asked for.
    #[error("the server sent no {0}")]
    Missing(&'static str),
}

impl ImapError {
    /// Says whether the connection can be used after it: the server refused the one command.
    pub fn leaves_connection(&self) -> bool {
        use async_imap::error::Error;
        matches!(
            self,
            Self::Missing(_) | Self::Command(Error::No(_) | Error::Bad(_))
        )
    }
}

type Session = async_imap::Session<TlsStream<TcpStream>>;

/// A signed-in connection with the folder selected.
#[derive(Debug)]
pub struct Mailbox {
    session: Session,
    uid_validity: u32,
    has_idle: bool,
    has_uid_expunge: bool,
    /// What this connection flagged as deleted.
    flagged: BTreeSet<u32>,
}

async fn within<T, E>(
    limit: Duration,
    what: &'static str,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, ImapError>
where
    ImapError: From<E>,
{
    let done = tokio::time::timeout(limit, step).await;
    Ok(done.map_err(|_| ImapError::Slow(what))??)
}

impl Mailbox {
    /// Connects, signs in and selects the folder.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn open(email: &Email, trust: &Trust, means: &SignIn) -> Result<Self, ImapError> {
        let client = within(CONNECT_MAX, "connecting", connect(email, trust)).await?;
        let signed_in = Box::pin(sign_in(email, means, client));
        let mut session = within(CONNECT_MAX, "signing in", signed_in).await?;
        let able = within(COMMAND_MAX, "CAPABILITY", session.capabilities()).await?;
        let folder = folder::on_the_wire(&email.imap.folder);
        let selected = within(COMMAND_MAX, "SELECT", session.select(&folder)).await;
        let selected = selected.map_err(|error| match error {
            ImapError::Command(async_imap::error::Error::No(error)) => ImapError::Folder {
                folder: email.imap.folder.clone(),
                error,
            },
            other => other,
        })?;
        Ok(Self {
            has_idle: able.has_str("IDLE"),
            has_uid_expunge: able.has_str("UIDPLUS"),
            uid_validity: selected.uid_validity.unwrap_or(0),
            flagged: BTreeSet::new(),
            session,
        })
    }

    /// Says whether the server pushes news.
    pub fn has_idle(&self) -> bool {
        self.has_idle
    }

    /// Returns the folder's `UIDVALIDITY`: numbers mean other mails once it changes.
    pub fn uid_validity(&self) -> u32 {
        self.uid_validity
    }

    /// Returns the numbers of all mails that are not flagged as deleted.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn uids(&mut self) -> Result<BTreeSet<u32>, ImapError> {
        let found = within(COMMAND_MAX, "SEARCH", self.session.uid_search("UNDELETED")).await?;
        Ok(found.into_iter().collect())
    }

    /// Returns the numbers of the mails that are flagged as deleted and still there.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn flagged_uids(&mut self) -> Result<BTreeSet<u32>, ImapError> {
        let found = within(COMMAND_MAX, "SEARCH", self.session.uid_search("DELETED")).await?;
        Ok(found.into_iter().collect())
    }

    /// Deletes mails, and nothing but them: where the server can only remove everything that is
    /// flagged, and somebody else has flagged mail too, ours stay flagged until theirs is gone.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn delete(&mut self, uids: &[u32]) -> Result<(), ImapError> {
        let uid_set = set(uids);
        let session = &mut self.session;
        let stored = async {
            let answers = session
                .uid_store(&uid_set, "+FLAGS.SILENT (\\Deleted)")
                .await?;
            answers.try_collect::<Vec<Fetch>>().await
        };
        within(COMMAND_MAX, "STORE", stored).await?;
        self.flagged.extend(uids);
        if self.has_uid_expunge {
            let session = &mut self.session;
            let expunged = async {
                session
                    .uid_expunge(&uid_set)
                    .await?
                    .try_collect::<Vec<_>>()
                    .await
            };
            within(COMMAND_MAX, "UID EXPUNGE", expunged).await?;
        } else if self.flagged_uids().await?.is_subset(&self.flagged) {
            let session = &mut self.session;
            let expunged = async { session.expunge().await?.try_collect::<Vec<_>>().await };
            within(COMMAND_MAX, "EXPUNGE", expunged).await?;
        }
        Ok(())
    }

    /// Says whether mail came while something else was done.
    pub fn has_news(&mut self) -> bool {
        is_news_among(|| self.session.unsolicited_responses.try_recv())
    }

    /// Waits until the server has news, or `limit` has passed.
    ///
    /// # Errors
    /// [`ImapError`]; the connection is gone then.
    pub async fn idle(self, limit: Duration) -> Result<Self, ImapError> {
        let Self {
            session,
            uid_validity,
            has_idle,
            has_uid_expunge,
            flagged,
        } = self;
        let news = session.unsolicited_responses.clone();
        let mut idle = session.idle();
        within(COMMAND_MAX, "IDLE", idle.init()).await?;
        // Mail that came while IDLE was asked for is not announced a second time.
        if !is_news_among(|| news.try_recv()) {
            let (wait, _interrupt) = idle.wait_with_timeout(limit);
            // Each sign of life from the server begins that wait anew; this limit is the real one.
            if let Ok(ended) = tokio::time::timeout(limit, wait).await {
                ended?;
            }
        }
        let session = within(COMMAND_MAX, "DONE", idle.done()).await?;
        Ok(Self {
            session,
            uid_validity,
            has_idle,
            has_uid_expunge,
            flagged,
        })
    }

    /// Asks the server for news.
    ///
    /// # Errors
    /// [`ImapError`]; the connection is gone then.
    pub async fn poll(&mut self) -> Result<(), ImapError> {
        within(COMMAND_MAX, "NOOP", self.session.noop()).await
    }

    /// Looks for a mail by its `Message-ID`, in the inbox and in what the server calls sent;
    /// returns the folder it is in, or the folders that were searched.
    ///
    /// # Errors
    /// [`ImapError`].
    pub async fn find(
        &mut self,
        message_id: &str,
    ) -> Result<Result<String, Vec<String>>, ImapError> {
        let mut folders = vec![INBOX.to_owned()];
        folders.extend(self.sent_folders().await?);
        let id = message_id.replace(['"', '\\', '\r', '\n'], "");
        for folder in &folders {
            within(COMMAND_MAX, "EXAMINE", self.session.examine(folder)).await?;
            let query = format!("HEADER Message-ID \"{id}\"");
            let found = within(COMMAND_MAX, "SEARCH", self.session.uid_search(query)).await?;
            if !found.is_empty() {
                return Ok(Ok(folder.clone()));
            }
        }
        Ok(Err(folders))
    }

    async fn sent_folders(&mut self) -> Result<Vec<String>, ImapError> {
        let session = &mut self.session;
        let listed = async {
            session
                .list(Some(""), Some("*"))
                .await?
                .try_collect::<Vec<_>>()
                .await
        };
        let listed = within(COMMAND_MAX, "LIST", listed).await?;
        let is_sent = |name: &&async_imap::types::Name| {
            name.attributes().contains(&NameAttribute::Sent)
                || name.name().eq_ignore_ascii_case("sent")
        };
        Ok(listed
            .iter()
            .filter(is_sent)
            .map(|name| name.name().to_owned())
            .collect())
    }
}

/// Writes numbers as a command names them (RFC 3501, section 9, sequence-set).
fn set(uids: &[u32]) -> String {
    let words: Vec<String> = uids.iter().map(u32::to_string).collect();
    words.join(",")
}

/// Reads all that the server said unasked; says whether mail came.
fn is_news_among<E>(mut next: impl FnMut() -> Result<UnsolicitedResponse, E>) -> bool {
    let mut news = false;
    while let Ok(response) = next() {
        news |= matches!(response, UnsolicitedResponse::Exists(_));
    }
    news
}
