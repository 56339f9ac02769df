//! Methods that write messages.

use serde_json::{Value, json};

use super::super::answer::{Answer, Refusal};
use super::super::args::Args;
use super::super::message::Message;
use super::super::world::{BOT, BOT_USER, World};
use super::super::{blocks, events};

/// Characters of a text that is posted.
const TEXT_CHARS_MAX: usize = 40_000;
/// Bytes of a text that another is changed into. The reference of `chat.update` says 4,000 characters;
/// where it was tried, Slack counted bytes of UTF-8, so that is the stricter reading of both.
const UPDATE_BYTES_MAX: usize = 4_000;
/// Characters of `markdown_text`.
const MARKDOWN_CHARS_MAX: usize = 12_000;
/// Attachments of a message.
const ATTACHMENTS_MAX: usize = 100;
/// Bytes of a message's metadata, as JSON.
const METADATA_BYTES_MAX: usize = 16_000;

/// What a message is to say.
struct Content {
    text: String,
    blocks: Option<Value>,
    attachments: Option<Value>,
    metadata: Option<Value>,
}

impl Content {
    fn of(world: &mut World, args: &Args) -> Result<Self, Refusal> {
        let markdown = args.text("markdown_text");
        let text = args.text("text");
        let mut blocks = args.structure("blocks")?;
        if markdown.is_some() && (text.is_some() || blocks.is_some()) {
            return Err(Refusal::new("markdown_text_conflict"));
        }
        let too_long = |text: &Option<String>, max| {
            text.as_ref().is_some_and(|text| text.chars().count() > max)
        };
        if too_long(&text, TEXT_CHARS_MAX) || too_long(&markdown, MARKDOWN_CHARS_MAX) {
            return Err(Refusal::new("msg_too_long"));
        }
        if let Some(given) = &blocks {
            blocks::check(given)?;
        }
        let attachments = args.structure("attachments")?;
        let count = attachments
            .as_ref()
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        if count > ATTACHMENTS_MAX {
            return Err(Refusal::new("too_many_attachments"));
        }
        let metadata = args.structure("metadata")?;
        if let Some(metadata) = &metadata {
            check_metadata(metadata)?;
        }
        if let Some(markdown) = &markdown {
            blocks = Some(json!([{ "type": "markdown", "text": markdown }]));
        }
        let blocks = blocks.map(|given| blocks::with_ids(given, || world.id("b")));
        let text = text.or(markdown).unwrap_or_default();
        Ok(Self {
            text,
            blocks,
            attachments,
            metadata,
        })
    }

    fn is_empty(&self) -> bool {
        let is_empty = |list: &Option<Value>| {
            list.as_ref()
                .and_then(Value::as_array)
                .is_none_or(Vec::is_empty)
        };
        self.text.is_empty() && is_empty(&self.blocks) && is_empty(&self.attachments)
    }
}

fn check_metadata(metadata: &Value) -> Result<(), Refusal> {
    let has_type = metadata["event_type"]
        .as_str()
        .is_some_and(|kind| !kind.is_empty());
    if !has_type || !metadata["event_payload"].is_object() {
        return Err(Refusal::new("invalid_metadata_format"));
    }
    if metadata.to_string().len() > METADATA_BYTES_MAX {
        return Err(Refusal::new("metadata_too_large"));
    }
    Ok(())
}

/// `chat.postMessage`.
pub(super) fn post(world: &mut World, args: &Args) -> Answer {
    let channel = target(world, args)?;
    let content = Content::of(world, args)?;
    if content.is_empty() {
        return Err(Refusal::new("no_text"));
    }
    let thread = thread(world, &channel, args)?;
    let is_broadcast = thread.is_some() && args.flag("reply_broadcast");
    let message = Message {
        ts: world.ts(),
        user: Some(BOT_USER.to_owned()),
        bot_id: Some(BOT.to_owned()),
        subtype: is_broadcast.then(|| "thread_broadcast".to_owned()),
        text: content.text,
        thread_ts: thread,
        blocks: content.blocks,
        attachments: content.attachments,
        metadata: content.metadata,
        ..Message::default()
    };
    let message = said(world, &channel, message);
    let mut shown = message.to_json(world);
    if let Some(found) = world.channels.get(&channel) {
        message.add_thread(&mut shown, found);
    }
    if let Some(metadata) = &message.metadata {
        shown["metadata"] = metadata.clone();
    }
    Ok(json!({ "channel": channel, "ts": message.ts, "message": shown }))
}

/// Puts a message of the app's into its channel: its thread counts it, a status ends, and the app
/// is told of its own message too.
pub(super) fn said(world: &mut World, channel: &str, message: Message) -> Message {
    let message = world.put(channel, message);
    if let Some(root) = message.thread_ts.clone() {
        if let Some(found) = world.channels.get_mut(channel) {
            found.mark_thread(&root);
        }
        if let Some(thread) = world.threads.get_mut(&(channel.to_owned(), root)) {
            thread.status.clear();
        }
    }
    events::posted(world, channel, &message);
    message
}

/// Where to: a channel, `#name`, or a person.
fn target(world: &mut World, args: &Args) -> Result<String, Refusal> {
    let given = args
        .text("channel")
        .ok_or_else(|| Refusal::new("channel_not_found"))?;
    if world.users.contains_key(&given) {
        return Ok(world.direct(&given));
    }
    let name = given.trim_start_matches('#');
    let named = world
        .channels
        .values()
        .find(|one| !one.name.is_empty() && one.name == name);
    let id = named.map_or(given, |channel| channel.id.clone());
    Ok(world.writable(&id)?.id.clone())
}

/// The thread to answer in. Slack takes the root of a reply's thread for the reply, and lets a
/// message be written under a root that is gone.
fn thread(world: &World, channel: &str, args: &Args) -> Result<Option<String>, Refusal> {
    let Some(ts) = args.text("thread_ts") else {
        return Ok(None);
    };
    let is_ts = ts.split_once('.').is_some_and(|(seconds, micros)| {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        seconds.len() == 10 && micros.len() == 6 && is_number(seconds) && is_number(micros)
    });
    if !is_ts {
        return Err(Refusal::new("invalid_thread_ts"));
    }
    let root = world.message(channel, &ts).ok();
    let subtype = root.and_then(|root| root.subtype.as_deref());
    if matches!(subtype, Some("channel_join" | "channel_leave")) {
        return Err(Refusal::new("cannot_reply_to_message"));
    }
    Ok(Some(
        root.and_then(|root| root.thread_ts.clone()).unwrap_or(ts),
    ))
}

/// `chat.postEphemeral`: seen by one person, kept by nobody.
pub(super) fn post_ephemeral(world: &mut World, args: &Args) -> Answer {
    let channel = target(world, args)?;
    let user = args.needed("user")?;
    if Content::of(world, args)?.is_empty() {
        return Err(Refusal::new("no_text"));
    }
    if !world.writable(&channel)?.members.contains(&user) {
        return Err(Refusal::new("user_not_in_channel"));
    }
    Ok(json!({ "message_ts": world.ts() }))
}

/// `chat.update`: a text alone takes the blocks away; blocks alone keep the text.
pub(super) fn update(world: &mut World, args: &Args) -> Answer {
    let channel = world.writable(&args.needed("channel")?)?.id.clone();
    let ts = args.needed("ts")?;
    let text = args.text("text");
    if text.is_some_and(|text| text.len() > UPDATE_BYTES_MAX) {
        return Err(Refusal::new("msg_too_long"));
    }
    let content = Content::of(world, args)?;
    if content.is_empty() {
        return Err(Refusal::new("no_text"));
    }
    if !world.message(&channel, &ts)?.is_own() {
        return Err(Refusal::new("cant_update_message"));
    }
    if !world.options.edits {
        return Err(Refusal::new("edit_window_closed"));
    }
    let before = world.message(&channel, &ts)?.to_json(world);
    let edited = world.ts();
    let mut after = world.message(&channel, &ts)?.clone();
    if !content.text.is_empty() {
        after.text = content.text;
        after.blocks = content.blocks;
        after.edited = Some((BOT_USER.to_owned(), edited));
    } else if content.blocks.is_some() {
        after.blocks = content.blocks;
    }
    after.attachments = content.attachments.or(after.attachments);
    after.metadata = content.metadata.or(after.metadata);
    let after = world.put(&channel, after);
    events::changed(world, &channel, &before, &after);
    let mut shown = after.to_json(world);
    if let Some(metadata) = &after.metadata {
        shown["metadata"] = metadata.clone();
    }
    // Its name stands beside it here, and not within.
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("ts");
    }
    Ok(json!({ "channel": channel, "ts": ts, "text": after.text, "message": shown }))
}

/// `chat.delete`.
pub(super) fn delete(world: &mut World, args: &Args) -> Answer {
    let channel = world.writable(&args.needed("channel")?)?.id.clone();
    let ts = args.needed("ts")?;
    if !world.message(&channel, &ts)?.is_own() {
        return Err(Refusal::new("cant_delete_message"));
    }
    remove(world, &channel, &ts);
    Ok(json!({ "channel": channel, "ts": ts }))
}

/// Takes a message away. The root of a thread with replies leaves a stone in its place.
pub(crate) fn remove(world: &mut World, channel: &str, ts: &str) {
    let Ok(message) = world.message(channel, ts).cloned() else {
        return;
    };
    let before = message.to_json(world);
    let Some(found) = world.channels.get_mut(channel) else {
        return;
    };
    if found.replies(ts).next().is_some() {
        let stone = Message {
            ts: ts.to_owned(),
            user: Some("USLACKBOT".to_owned()),
            subtype: Some("tombstone".to_owned()),
            text: "This message was deleted.".to_owned(),
            thread_ts: Some(ts.to_owned()),
            ..Message::default()
        };
        let stone = world.put(channel, stone);
        events::changed(world, channel, &before, &stone);
        return;
    }
    found.messages.remove(ts);
    if let Some(root) = &message.thread_ts {
        found.mark_thread(root);
    }
    events::deleted(world, channel, ts, &before);
}

/// `chat.getPermalink`.
pub(super) fn permalink(world: &mut World, args: &Args) -> Answer {
    let channel = args.needed("channel")?;
    let ts = args.needed("message_ts")?;
    world.channel(&channel)?;
    world.message(&channel, &ts)?;
    let digits = ts.replace('.', "");
    let permalink = format!("https://herald.slack.com/archives/{channel}/p{digits}");
    Ok(json!({ "channel": channel, "permalink": permalink }))
}
