//! The methods that tell who somebody is and what was written, with as much of their answers as is
//! used. Shapes: <https://api.slack.com/methods>.

use serde::Deserialize;
use serde_json::Value;

use crate::handlers::channels::slack::authorize::User;
use crate::handlers::channels::slack::web::{Web, WebError};

/// Whose token it is (`auth.test`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Own {
    /// The workspace.
    pub team_id: String,
    /// The bot's user.
    pub user_id: String,
    /// The bot.
    #[serde(default)]
    pub bot_id: Option<String>,
}

/// What `apps.connections.open` answers; the address is a secret, and not looked at.
#[derive(Debug, Deserialize)]
struct Opened {}

/// A user group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// What it is called after `@`.
    pub handle: String,
}

#[derive(Deserialize)]
struct UserAnswer {
    user: User,
}

#[derive(Deserialize)]
struct GroupsAnswer {
    usergroups: Vec<Group>,
}

#[derive(Deserialize)]
struct MembersAnswer {
    users: Vec<String>,
}

#[derive(Deserialize)]
struct ChannelAnswer {
    channel: NamedChannel,
}

#[derive(Deserialize)]
struct NamedChannel {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct ChannelsAnswer {
    channels: Vec<ListedChannel>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct ListedChannel {
    id: String,
}

#[derive(Deserialize)]
struct PageAnswer {
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    next_cursor: String,
}

/// Which messages are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// Only later ones than this `ts`.
    pub oldest: &'a str,
    /// Only earlier ones than this `ts`; empty: up to the newest.
    pub latest: &'a str,
    /// Whether they come with the metadata that apps gave them.
    pub with_metadata: bool,
}

/// Messages, or channels, asked for at once; Slack advises no more than 200.
pub const PAGE_MESSAGES: &str = "200";

impl Web {
    /// Finds out why no socket can be opened: asks for one with the app-level token, as the socket's
    /// own client does.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn try_to_open_a_socket(&self) -> Result<(), WebError> {
        let opened: Result<Opened, WebError> = self.post_for_app("apps.connections.open").await;
        opened.map(|_opened| ())
    }

    /// Asks whose bot token it is.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn auth_test(&self) -> Result<Own, WebError> {
        self.post("auth.test", &serde_json::Map::new()).await
    }

    /// Asks who a user is.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn user(&self, id: &str) -> Result<User, WebError> {
        let answer: UserAnswer = self.get("users.info", &[("user", id)]).await?;
        Ok(answer.user)
    }

    /// Asks for the workspace's user groups.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn groups(&self) -> Result<Vec<Group>, WebError> {
        let answer: GroupsAnswer = self.get("usergroups.list", &[]).await?;
        Ok(answer.usergroups)
    }

    /// Asks for the members of a user group, by its id.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn members(&self, group: &str) -> Result<Vec<String>, WebError> {
        let arguments = [("usergroup", group)];
        let answer: MembersAnswer = self.get("usergroups.users.list", &arguments).await?;
        Ok(answer.users)
    }

    /// Asks what a channel is called.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn channel_name(&self, channel: &str) -> Result<String, WebError> {
        let arguments = [("channel", channel)];
        let answer: ChannelAnswer = self.get("conversations.info", &arguments).await?;
        Ok(answer.channel.name)
    }

    /// Asks for the ids of channels of one type (`public_channel`, `private_channel`, `im`) that the
    /// app is in, and where the next page of them begins.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn own_channels(
        &self,
        kind: &str,
        cursor: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), WebError> {
        let mut arguments = vec![
            ("types", kind),
            ("exclude_archived", "true"),
            ("limit", PAGE_MESSAGES),
        ];
        arguments.extend(cursor.map(|cursor| ("cursor", cursor)));
        let answer: ChannelsAnswer = self.get("users.conversations", &arguments).await?;
        let ids = answer.channels.into_iter().map(|channel| channel.id);
        let next = answer.response_metadata.map(|data| data.next_cursor);
        Ok((ids.collect(), next.filter(|cursor| !cursor.is_empty())))
    }

    /// Asks for messages, at most so many pages of them: those of a thread, oldest first and its first
    /// one included whatever its time is; or those of a channel that are in no thread or begin one,
    /// newest first. Returns them, and whether these are all.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn messages(
        &self,
        channel: &str,
        thread: Option<&str>,
        span: Span<'_>,
        pages_max: usize,
    ) -> Result<(Vec<Value>, bool), WebError> {
        let method = match thread {
            Some(_) => "conversations.replies",
            None => "conversations.history",
        };
        let mut arguments = vec![("channel", channel), ("limit", PAGE_MESSAGES)];
        arguments.push(("oldest", span.oldest));
        arguments.extend(thread.map(|thread| ("ts", thread)));
        arguments.extend((!span.latest.is_empty()).then_some(("latest", span.latest)));
        arguments.extend(
            span.with_metadata
                .then_some(("include_all_metadata", "true")),
        );
        let (mut messages, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..pages_max {
            let mut arguments = arguments.clone();
            arguments.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: PageAnswer = self.get(method, &arguments).await?;
            messages.extend(page.messages);
            let next = page.response_metadata.map(|data| data.next_cursor);
            cursor = next.filter(|next| !next.is_empty());
            if cursor.is_none() {
                return Ok((messages, true));
            }
        }
        Ok((messages, false))
    }
}
