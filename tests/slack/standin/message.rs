//! A message, and how Slack shows it in answers and events.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::blocks;
use super::world::{APP, BOT, BOT_USER, Channel, TEAM, World};

/// A message as it is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) ts: String,
    /// Who wrote it; a foreign bot's message has none.
    pub(crate) user: Option<String>,
    pub(crate) bot_id: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) subtype: Option<String>,
    pub(crate) text: String,
    pub(crate) thread_ts: Option<String>,
    pub(crate) blocks: Option<Value>,
    pub(crate) attachments: Option<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) edited: Option<(String, String)>,
    pub(crate) files: Vec<String>,
    /// In the order in which the first of each came: name and who.
    pub(crate) reactions: Vec<(String, Vec<String>)>,
    pub(crate) client_msg_id: Option<String>,
    /// What only the root of a thread of the app's own surface has.
    pub(crate) assistant_title: Option<String>,
}

impl Message {
    /// Whether it stands in the channel itself rather than only in a thread.
    pub(crate) fn is_top_level(&self) -> bool {
        let is_root = self.thread_ts.as_ref().is_none_or(|root| *root == self.ts);
        is_root || self.subtype.as_deref() == Some("thread_broadcast")
    }

    /// Whether the app itself wrote it.
    pub(crate) fn is_own(&self) -> bool {
        self.bot_id.as_deref() == Some(BOT)
    }

    /// The message as answers and events have it, without what belongs to its thread.
    pub(crate) fn to_json(&self, world: &World) -> Value {
        let mut shown = json!({ "type": "message", "ts": self.ts, "text": self.text });
        let texts = [
            ("user", &self.user),
            ("subtype", &self.subtype),
            ("username", &self.username),
            ("client_msg_id", &self.client_msg_id),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                shown[name] = value.clone().into();
            }
        }
        if self.subtype.as_deref() != Some("bot_message") {
            shown["team"] = TEAM.into();
        }
        if let Some(bot) = &self.bot_id {
            let app = if self.is_own() { APP } else { "A0ROBOT001" };
            shown["bot_id"] = bot.clone().into();
            shown["app_id"] = app.into();
            shown["bot_profile"] = bot_profile(bot, app);
        }
        if let Some(blocks) = self.shown_blocks() {
            shown["blocks"] = blocks;
        }
        if let Some(attachments) = &self.attachments {
            shown["attachments"] = attachments.clone();
        }
        if let Some((user, ts)) = &self.edited {
            shown["edited"] = json!({ "user": user, "ts": ts });
        }
        if !self.files.is_empty() {
            let files = self.files.iter().filter_map(|id| world.files.get(id));
            shown["files"] = files.map(|file| file.to_json(world)).collect();
            shown["upload"] = false.into();
            shown["display_as_bot"] = false.into();
        }
        if let Some(title) = &self.assistant_title {
            shown["assistant_app_thread"] =
                json!({ "title": title, "title_blocks": [], "artifacts": [] });
        }
        shown
    }

    /// The message as `conversations.history` and `.replies` have it.
    pub(crate) fn to_history(&self, world: &World, channel: &Channel, metadata: bool) -> Value {
        let mut shown = self.to_json(world);
        if metadata && let Some(metadata) = &self.metadata {
            shown["metadata"] = metadata.clone();
        }
        if !self.reactions.is_empty() {
            shown["reactions"] = self.reactions_json();
        }
        self.add_thread(&mut shown, channel);
        shown
    }

    /// The reactions, each with who gave it.
    pub(crate) fn reactions_json(&self) -> Value {
        let shown = |(name, users): &(String, Vec<String>)| json!({ "name": name, "users": users, "count": users.len() });
        self.reactions.iter().map(shown).collect()
    }

    /// Adds what belongs to the thread: its count at the root, its root at a reply.
    pub(crate) fn add_thread(&self, shown: &mut Value, channel: &Channel) {
        let Some(root) = &self.thread_ts else {
            return;
        };
        shown["thread_ts"] = root.clone().into();
        let first = channel.messages.get(root);
        if *root != self.ts {
            if let Some(user) = first.and_then(|first| first.user.clone()) {
                shown["parent_user_id"] = user.into();
            }
            return;
        }
        let replies: Vec<&Self> = channel.replies(root).collect();
        let mut users: BTreeMap<&str, usize> = BTreeMap::new();
        for reply in &replies {
            let next = users.len();
            users
                .entry(reply.user.as_deref().unwrap_or(BOT_USER))
                .or_insert(next);
        }
        let mut reply_users: Vec<_> = users.iter().collect();
        reply_users.sort_by_key(|(_, order)| **order);
        let reply_users: Vec<_> = reply_users.iter().map(|(user, _)| **user).collect();
        shown["reply_count"] = replies.len().into();
        shown["reply_users_count"] = reply_users.len().into();
        shown["latest_reply"] = replies
            .last()
            .map_or_else(|| "".into(), |last| last.ts.clone().into());
        shown["reply_users"] = reply_users.into();
        shown["is_locked"] = false.into();
        shown["subscribed"] = false.into();
    }

    /// The blocks as given; a plain text is shown as the rich text that Slack makes of it.
    fn shown_blocks(&self) -> Option<Value> {
        let is_plain = self.subtype.is_none() || self.subtype.as_deref() == Some("file_share");
        match &self.blocks {
            Some(Value::Array(blocks)) if blocks.is_empty() => None,
            Some(blocks) => Some(blocks.clone()),
            None if is_plain && !self.text.is_empty() => Some(blocks::rich_text(&self.text)),
            None => None,
        }
    }
}

impl Channel {
    /// The replies of a thread, oldest first, without its root.
    pub(crate) fn replies(&self, root: &str) -> impl DoubleEndedIterator<Item = &Message> {
        let root = root.to_owned();
        self.messages
            .values()
            .filter(move |message| message.thread_ts.as_ref() == Some(&root) && message.ts != root)
    }

    /// Notes at the root that it has replies, so that it is shown as a thread; and that it has none
    /// any more, when the last is gone.
    pub(crate) fn mark_thread(&mut self, root: &str) {
        let has_replies = self.replies(root).next().is_some();
        if let Some(first) = self.messages.get_mut(root) {
            let stays = has_replies || first.assistant_title.is_some();
            first.thread_ts = stays.then(|| root.to_owned());
        }
    }
}

/// The profile of a bot beside its messages.
pub(crate) fn bot_profile(bot: &str, app: &str) -> Value {
    json!({
        "id": bot, "app_id": app, "team_id": TEAM, "deleted": false,
        "name": if app == APP { "Airut" } else { "Robot" }, "updated": 1_700_000_000,
        "icons": {
            "image_36": "https://a.slack-edge.com/36.png",
            "image_48": "https://a.slack-edge.com/48.png",
            "image_72": "https://a.slack-edge.com/72.png",
        },
    })
}
