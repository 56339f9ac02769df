//! Finding out what a message does not say: who its sender is, and, only once they are permitted,
//! what is called how, what was written before, and the files. It judges nothing itself.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::handlers::channels::Attachment;
use crate::handlers::channels::slack::SlackChannel;
use crate::handlers::channels::slack::authorize::{Groups, User, groups_needed};
use crate::handlers::channels::slack::history::History;
use crate::handlers::channels::slack::judge::{Brought, Findings, Sender, permitted};
use crate::handlers::channels::slack::mentions_in::{Names, unnamed};
use crate::handlers::channels::slack::parse::{Message, SharedFile, Told, payload};
use crate::handlers::channels::slack::web::WebError;
use crate::handlers::channels::slack::web::reading::{Own, Span};
use crate::projections::slack_threads::Heard;

/// Longest time that finding out may take; then it is done another time.
pub const FIND_OUT_TIME_MAX: Duration = Duration::from_secs(300);

/// Names asked for, for one message; the others stay ids.
pub const NAMES_MAX: usize = 50;

/// Pages of 200 messages that are read of a thread for its replay; what is newer than these is left
/// out of it.
pub const REPLAY_PAGES_MAX: usize = 10;

/// Files of a message that are fetched; the others are told as missing.
pub const FILES_MAX: usize = 20;

/// Longest file that is fetched, in bytes (spec row SLK-23); a longer one is told as missing.
pub const FILE_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Most bytes of all files of a message; those after it are told as missing.
pub const FILES_BYTES_MAX: usize = 200 * 1024 * 1024;

/// Codes that say that there is no such user, for ever.
const NO_SUCH_USER: [&str; 3] = ["user_not_found", "user_not_visible", "users_not_found"];

impl SlackChannel {
    /// Finds out about a payload.
    ///
    /// # Errors
    /// Words, when Slack may say it another time.
    pub(super) async fn findings(&self, raw: &[u8]) -> Result<Findings, String> {
        let finding = tokio::time::timeout(FIND_OUT_TIME_MAX, Box::pin(self.find(raw)));
        let found = finding.await;
        found.unwrap_or_else(|_| Err("asking Slack about the message took too long".to_owned()))
    }

    async fn find(&self, raw: &[u8]) -> Result<Findings, String> {
        let words = |error: WebError| error.to_string();
        let own: Own = self.people.own(&self.web).await.map_err(words)?;
        let told = std::str::from_utf8(raw).map(payload);
        let (user, message) = match told {
            Ok((_, Told::Said(message))) => {
                let user = message.user.clone().filter(|_| message.bot_id.is_none());
                (user, Some(message))
            }
            Ok((_, Told::Pressed(press))) => (Some(press.user), None),
            _ => (None, None),
        };
        let sender = self.sender(user).await?;
        let mut findings = Findings {
            own,
            groups: Groups::new(),
            sender,
            names: Names::default(),
            history: None,
            files: vec![],
        };
        if let Sender::Known(user) = &findings.sender {
            findings.groups = self.groups_for(user).await?;
        }
        let is_permitted = permitted(&findings, &self.settings.authorized).is_ok();
        if let Some(message) = message.filter(|_| is_permitted) {
            findings.history = self.replay(&message).await?;
            findings.names = self.names_in(&message, findings.history.as_ref()).await;
            findings.files = self.bring(&message).await;
        }
        Ok(findings)
    }

    async fn sender(&self, user: Option<String>) -> Result<Sender, String> {
        let Some(id) = user else {
            return Ok(Sender::NoUser);
        };
        match self.people.user(&self.web, &id).await {
            Ok(user) => Ok(Sender::Known(Box::new(user))),
            Err(error) => match error.code() {
                Some(code) if NO_SUCH_USER.contains(&code) => Ok(Sender::Unknown {
                    id,
                    code: code.to_owned(),
                }),
                Some(_) | None => Err(error.to_string()),
            },
        }
    }

    /// A group that Slack refuses to tell permits nobody; one that cannot be asked for now is asked
    /// for later, so that no outage refuses its members.
    async fn groups_for(&self, user: &User) -> Result<Groups, String> {
        let mut groups = Groups::new();
        for handle in groups_needed(user, &self.settings.authorized) {
            let members = match self.people.members(&self.web, handle).await {
                Ok(members) => Ok(members),
                Err(error) if error.is_permanent() => {
                    Err(error.code().unwrap_or_default().to_owned())
                }
                Err(error) => return Err(error.to_string()),
            };
            groups.insert(handle.to_owned(), members);
        }
        Ok(groups)
    }

    /// Returns what others wrote in a thread before Airut was mentioned in it; nothing where Airut
    /// has been all along, or where it may not read.
    async fn replay(&self, message: &Message) -> Result<Option<History>, String> {
        let thread = message.thread();
        if message.is_direct() || thread == message.ts {
            return Ok(None);
        }
        let is_first = |heard: &Heard| heard.is_first(&message.channel, thread, &message.ts);
        if !self.threads.look(&self.repo, is_first) {
            return Ok(None);
        }
        let span = Span {
            oldest: "0",
            latest: &message.ts,
            with_metadata: false,
        };
        let read = self
            .web
            .messages(&message.channel, Some(thread), span, REPLAY_PAGES_MAX);
        let before = match read.await {
            Ok((before, _)) => before,
            Err(error) if error.is_permanent() => {
                tracing::warn!(repo = %self.repo, %error, "a thread is not replayed");
                return Ok(None);
            }
            Err(error) => return Err(error.to_string()),
        };
        let before = before.into_iter();
        let before = before.filter_map(|said| serde_json::from_value::<Message>(said).ok());
        let mut before: Vec<Message> = before.collect();
        before.retain(|said| said.ts < message.ts);
        let history = History::of(before);
        Ok(Some(history).filter(|history| !history.messages.is_empty()))
    }

    /// A name that cannot be had is no reason to wait: its id stands in its place.
    async fn names_in(&self, message: &Message, history: Option<&History>) -> Names {
        let before = history.into_iter().flat_map(|history| &history.messages);
        let (mut users, mut channels) = (BTreeSet::new(), BTreeSet::new());
        for said in before {
            users.extend(said.user.clone());
            let unnamed = unnamed(&said.text);
            users.extend(unnamed.users);
            channels.extend(unnamed.channels);
        }
        let unnamed = unnamed(&message.text);
        // Those of the message itself count first.
        let users = unnamed.users.iter().chain(&users).take(NAMES_MAX);
        let channels = unnamed.channels.iter().chain(&channels).take(NAMES_MAX);
        let mut names = Names::default();
        for id in users {
            if let Ok(user) = self.people.user(&self.web, id).await {
                names.users.insert(id.clone(), user.called().to_owned());
            }
        }
        for id in channels {
            if let Ok(name) = self.people.channel(&self.web, id).await {
                names.channels.insert(id.clone(), name);
            }
        }
        names
    }

    async fn bring(&self, message: &Message) -> Vec<Brought> {
        let (mut brought, mut left) = (Vec::new(), FILES_BYTES_MAX);
        for (number, file) in message.files.iter().enumerate() {
            let name = file.name.clone().unwrap_or_else(|| file.id.clone());
            let fetched = match number < FILES_MAX {
                true => self.bring_one(file, left).await,
                false => Err(format!("a message may have {FILES_MAX} files")),
            };
            brought.push(match fetched {
                Ok(bytes) => {
                    left = left.saturating_sub(bytes.len());
                    Brought::Fetched(Attachment {
                        name,
                        media_type: file.mimetype.clone().unwrap_or_default(),
                        bytes,
                    })
                }
                Err(why) => Brought::Missing { name, why },
            });
        }
        brought
    }

    async fn bring_one(&self, file: &SharedFile, left: usize) -> Result<Vec<u8>, String> {
        let urls = [&file.url_private_download, &file.url_private];
        let url = urls.into_iter().flatten().next();
        let url = url.ok_or_else(|| "Slack gives no address for it".to_owned())?;
        let bytes_max = FILE_BYTES_MAX.min(left);
        let bytes = file.size.and_then(|size| usize::try_from(size).ok());
        if bytes.is_some_and(|bytes| bytes > bytes_max) {
            return Err("it is too large".to_owned());
        }
        let is_page = file.mimetype.as_deref() == Some("text/html");
        let fetched = self.web.fetch(url, bytes_max, is_page).await?;
        Ok(fetched.to_vec())
    }
}
