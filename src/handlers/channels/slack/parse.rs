//! What arrives over a socket: frames, and the events in them, with as much of their shape as is
//! used (<https://api.slack.com/events>, <https://api.slack.com/apis/socket-mode>). Pure; it knows no
//! user and no thread.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::handlers::replies::address::is_direct;

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The connection is ready.
    Hello,
    /// Slack ends the connection, for example to refresh it.
    Disconnect {
        /// Slack's word for why.
        reason: String,
    },
    /// Something happened; Slack waits for an acknowledgement of the envelope.
    Envelope {
        /// What the acknowledgement names.
        id: String,
        /// What happened, byte for byte.
        payload: String,
    },
    /// It is none of these: it waits for an acknowledgement if it has an id.
    Other {
        /// What the acknowledgement names.
        id: Option<String>,
    },
}

#[derive(Deserialize)]
struct RawFrame<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    envelope_id: Option<String>,
    #[serde(default, borrow)]
    payload: Option<&'a RawValue>,
}

/// Reads a frame.
pub fn frame(text: &str) -> Frame {
    let Ok(raw) = serde_json::from_str::<RawFrame<'_>>(text) else {
        return Frame::Other { id: None };
    };
    match (raw.kind.as_str(), raw.envelope_id, raw.payload) {
        ("hello", _, _) => Frame::Hello,
        ("disconnect", _, _) => Frame::Disconnect { reason: raw.reason },
        ("events_api" | "interactive", Some(id), Some(payload)) => Frame::Envelope {
            id,
            payload: payload.get().to_owned(),
        },
        (_, id, _) => Frame::Other { id },
    }
}

/// A file of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SharedFile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Media type as declared.
    pub mimetype: Option<String>,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Where its bytes are.
    pub url_private_download: Option<String>,
    /// Where it can be looked at.
    pub url_private: Option<String>,
    /// Slack's word for what is known of it, for example `tombstone` for a deleted one.
    pub mode: Option<String>,
}

/// A message as Slack has it: in an event, or in a channel's history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Message {
    /// Its kind within messages; none for what a person writes.
    pub subtype: Option<String>,
    /// The channel; not in a history.
    pub channel: String,
    /// `im`, `mpim`, `channel` or `group`; not in a mention.
    pub channel_type: Option<String>,
    /// Its name within the channel.
    pub ts: String,
    /// Its thread's first message; nothing when it is in no thread.
    pub thread_ts: Option<String>,
    /// Who wrote it.
    pub user: Option<String>,
    /// The bot that wrote it.
    pub bot_id: Option<String>,
    /// Its text, in Slack's markup.
    pub text: String,
    /// Its files.
    pub files: Vec<SharedFile>,
    /// Of a root in a history: when it was answered last.
    pub latest_reply: Option<String>,
    /// Of a change: the message as it is now.
    pub message: Option<Box<Self>>,
    /// Of a change: the message as it was.
    pub previous_message: Option<Box<Self>>,
    /// Of a deletion: the message's `ts`.
    pub deleted_ts: Option<String>,
    /// Of a changed message: by whom and when.
    pub edited: Option<serde_json::Value>,
}

impl Message {
    /// Returns the `ts` of its thread's first message: its own when it begins one.
    pub fn thread(&self) -> &str {
        self.thread_ts.as_deref().unwrap_or(&self.ts)
    }

    /// Returns whether it was written to Airut alone.
    pub fn is_direct(&self) -> bool {
        is_direct(&self.channel)
    }

    /// Returns whether it is one of the kinds that people write: their words, with files or without,
    /// in a thread or from it to the whole channel.
    pub fn is_of_a_person(&self) -> bool {
        let kind = self.subtype.as_deref();
        let is_content = matches!(kind, None | Some("file_share" | "thread_broadcast"));
        is_content && self.user.is_some() && self.bot_id.is_none() && !self.ts.is_empty()
    }
}

/// A button that somebody pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// Who.
    pub user: String,
    /// Which button.
    pub action: String,
    /// When, as Slack numbers it.
    pub at: String,
    /// Where the message with the button stands.
    pub channel: String,
    /// The message with the button.
    pub message: String,
    /// The thread it stands in.
    pub thread: String,
}

/// What a payload tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A message, perhaps of a kind that is not acted on.
    Said(Box<Message>),
    /// A message is now another.
    Changed(Box<Message>),
    /// A message is gone.
    Deleted {
        /// Its channel.
        channel: String,
        /// Its `ts`.
        ts: String,
    },
    /// Somebody opened a thread with the assistant.
    Opened {
        /// Its channel.
        channel: String,
        /// Its `ts`.
        thread: String,
    },
    /// Somebody pressed a button.
    Pressed(Press),
    /// Something else.
    Other,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    event_id: String,
    #[serde(default)]
    event: serde_json::Value,
}

/// Reads a payload: its event's id, empty when it has none, and what it tells of.
pub fn payload(text: &str) -> (String, Told) {
    let Ok(payload) = serde_json::from_str::<Payload>(text) else {
        return (String::new(), Told::Other);
    };
    match payload.kind.as_str() {
        "event_callback" => (payload.event_id, told(payload.event)),
        "block_actions" => (
            String::new(),
            pressed(text).map_or(Told::Other, Told::Pressed),
        ),
        _ => (payload.event_id, Told::Other),
    }
}

fn told(event: serde_json::Value) -> Told {
    let kind = event["type"].as_str().unwrap_or_default().to_owned();
    if kind == "assistant_thread_started" {
        let thread = &event["assistant_thread"];
        let text = |name: &str| thread[name].as_str().unwrap_or_default().to_owned();
        return Told::Opened {
            channel: text("channel_id"),
            thread: text("thread_ts"),
        };
    }
    if kind != "message" && kind != "app_mention" {
        return Told::Other;
    }
    let Ok(message) = serde_json::from_value::<Message>(event) else {
        return Told::Other;
    };
    match (message.subtype.as_deref(), &message.message) {
        (Some("message_changed"), Some(now)) => changed(&message, now),
        (Some("message_deleted"), _) => Told::Deleted {
            ts: message.deleted_ts.unwrap_or_default(),
            channel: message.channel,
        },
        _ => Told::Said(Box::new(message)),
    }
}

/// A link's preview changes a message too, and says nothing new; a message with answers becomes a
/// tombstone when it is deleted.
fn changed(event: &Message, now: &Message) -> Told {
    if now.subtype.as_deref() == Some("tombstone") {
        return Told::Deleted {
            channel: event.channel.clone(),
            ts: now.ts.clone(),
        };
    }
    let before = event.previous_message.as_ref();
    let is_new = before.is_none_or(|before| before.text != now.text || before.files != now.files);
    if now.edited.is_none() && !is_new {
        return Told::Other;
    }
    let mut message = now.clone();
    message.channel.clone_from(&event.channel);
    message.channel_type.clone_from(&event.channel_type);
    Told::Changed(Box::new(message))
}

#[derive(Deserialize)]
struct RawPress {
    user: Id,
    actions: Vec<RawAction>,
    #[serde(default)]
    channel: Id,
    #[serde(default)]
    message: Message,
    #[serde(default)]
    container: RawContainer,
}

#[derive(Deserialize, Default)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct RawAction {
    action_id: String,
    action_ts: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawContainer {
    channel_id: Option<String>,
    message_ts: Option<String>,
    thread_ts: Option<String>,
}

fn pressed(text: &str) -> Option<Press> {
    let raw: RawPress = serde_json::from_str(text).ok()?;
    let action = raw.actions.into_iter().next()?;
    let container = raw.container;
    let named = |text: String| Some(text).filter(|text| !text.is_empty());
    let message = named(raw.message.ts.clone()).or(container.message_ts)?;
    let thread = raw.message.thread_ts.or(container.thread_ts);
    Some(Press {
        user: raw.user.id,
        action: action.action_id,
        at: action.action_ts,
        channel: named(raw.channel.id).or(container.channel_id)?,
        thread: thread.unwrap_or_else(|| message.clone()),
        message,
    })
}

#[cfg(test)]
mod tests;
