//! What people do, when the control API asks them to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, done};
use super::args::Args;
use super::events;
use super::message::Message;
use super::methods::{chat, files, reactions};
use super::world::{AssistantThread, BOT, BOT_USER, TEAM, World};

/// Somebody says something.
pub(crate) fn post(world: &mut World, args: &Args) -> Answer {
    let user = args.needed("user")?;
    let channel = match args.text("channel") {
        Some(channel) => channel,
        None => world.direct(&user),
    };
    if !world.channels.contains_key(&channel) {
        return Err(Refusal::new("there is no such channel"));
    }
    let thread = args.text("thread_ts");
    let given = args.structure("files")?.unwrap_or_else(|| json!([]));
    let mut ids = Vec::new();
    for file in given.as_array().into_iter().flatten() {
        ids.push(attach(world, &user, file)?);
    }
    let subtype = match (ids.is_empty(), args.flag("broadcast")) {
        (false, _) => Some("file_share".to_owned()),
        (true, true) => Some("thread_broadcast".to_owned()),
        (true, false) => None,
    };
    let message = Message {
        ts: world.ts(),
        user: Some(user),
        subtype,
        text: args.text("text").unwrap_or_default(),
        thread_ts: thread,
        files: ids,
        client_msg_id: Some(world.id("00000000-0000-4000-8000-000")),
        ..Message::default()
    };
    files::note_shares(world, &channel, &message);
    let message = put(world, &channel, message, !args.flag("silent"));
    Ok(json!({ "channel": channel, "ts": message.ts }))
}

/// Keeps a message and its thread's count, and tells the app unless it is to go unnoticed.
fn put(world: &mut World, channel: &str, message: Message, tell: bool) -> Message {
    let message = world.put(channel, message);
    if let (Some(root), Some(found)) = (&message.thread_ts, world.channels.get_mut(channel)) {
        found.mark_thread(root);
    }
    if tell {
        events::posted(world, channel, &message);
    }
    message
}

fn attach(world: &mut World, user: &str, file: &Value) -> Result<String, Refusal> {
    let name = file["name"]
        .as_str()
        .ok_or_else(|| Refusal::new("a file needs a name"))?;
    let content = match (file["text"].as_str(), file["base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(encoded)) => {
            let decoded = STANDARD.decode(encoded);
            decoded.map_err(|_| Refusal::new("a file's base64 is none"))?
        }
        (None, None) => Vec::new(),
    };
    Ok(files::add(
        world,
        name,
        user,
        content.len() as u64,
        Some(content),
    ))
}

/// The place that most wishes name.
fn place(world: &World, args: &Args) -> Result<(String, String), Refusal> {
    let (channel, ts) = (args.needed("channel")?, args.needed("ts")?);
    world.message(&channel, &ts)?;
    Ok((channel, ts))
}

/// Somebody edits a message.
pub(crate) fn edit(world: &mut World, args: &Args) -> Answer {
    let (channel, ts) = place(world, args)?;
    let mut message = world.message(&channel, &ts)?.clone();
    let before = message.to_json(world);
    message.text = args.text("text").unwrap_or_default();
    message.edited = Some((args.needed("user")?, world.ts()));
    let message = world.put(&channel, message);
    events::changed(world, &channel, &before, &message);
    done()
}

/// Somebody deletes a message.
pub(crate) fn delete(world: &mut World, args: &Args) -> Answer {
    let (channel, ts) = place(world, args)?;
    chat::remove(world, &channel, &ts);
    done()
}

/// Slack shows what a link leads to: the message is changed, and nobody wrote anything.
pub(crate) fn unfurl(world: &mut World, args: &Args) -> Answer {
    let (channel, ts) = place(world, args)?;
    let before = world.message(&channel, &ts)?.to_json(world);
    let message = world.message_mut(&channel, &ts)?;
    message.attachments = Some(json!([{
        "id": 1, "title": "Example", "fallback": "Example", "from_url": "https://example.com/",
    }]));
    let message = message.clone();
    events::changed(world, &channel, &before, &message);
    done()
}

/// Somebody reacts.
pub(crate) fn react(world: &mut World, args: &Args) -> Answer {
    let (channel, ts) = place(world, args)?;
    reactions::give(
        world,
        &channel,
        &ts,
        &args.needed("name")?,
        &args.needed("user")?,
    )?;
    done()
}

/// Another app's bot says something.
pub(crate) fn robot(world: &mut World, args: &Args) -> Answer {
    let channel = args.needed("channel")?;
    let message = Message {
        ts: world.ts(),
        bot_id: Some("B0ROBOT001".to_owned()),
        username: Some("Robot".to_owned()),
        subtype: Some("bot_message".to_owned()),
        text: args.needed("text")?,
        thread_ts: args.text("thread_ts"),
        ..Message::default()
    };
    let message = put(world, &channel, message, true);
    Ok(json!({ "channel": channel, "ts": message.ts }))
}

/// Somebody comes into a channel.
pub(crate) fn join(world: &mut World, args: &Args) -> Answer {
    let (user, channel) = (args.needed("user")?, args.needed("channel")?);
    let found = world.channels.get_mut(&channel);
    let found = found.ok_or_else(|| Refusal::new("there is no such channel"))?;
    found.members.insert(user.clone());
    let message = Message {
        ts: world.ts(),
        text: format!("<@{user}> has joined the channel"),
        user: Some(user.clone()),
        subtype: Some("channel_join".to_owned()),
        ..Message::default()
    };
    put(world, &channel, message, true);
    events::joined(world, &channel, &user);
    done()
}

/// Somebody opens a thread of the app's own surface: Slack writes its root in the app's name.
pub(crate) fn assistant(world: &mut World, args: &Args) -> Answer {
    let user = args.needed("user")?;
    let channel = world.direct(&user);
    let ts = world.ts();
    let root = Message {
        ts: ts.clone(),
        user: Some(BOT_USER.to_owned()),
        bot_id: Some(BOT.to_owned()),
        subtype: Some("assistant_app_thread".to_owned()),
        text: "New Assistant Thread".to_owned(),
        thread_ts: Some(ts.clone()),
        assistant_title: Some("New Assistant Thread".to_owned()),
        ..Message::default()
    };
    put(world, &channel, root, true);
    let thread = AssistantThread {
        user: user.clone(),
        ..AssistantThread::default()
    };
    world.threads.insert((channel.clone(), ts.clone()), thread);
    let shown = thread_json(&user, &channel, &ts, args.text("context"));
    events::assistant_thread(world, "assistant_thread_started", &shown);
    Ok(json!({ "channel": channel, "thread_ts": ts }))
}

/// Somebody looks at another channel while the thread is open.
pub(crate) fn context(world: &mut World, args: &Args) -> Answer {
    let (user, channel) = (args.needed("user")?, args.needed("channel")?);
    let shown = thread_json(
        &user,
        &channel,
        &args.needed("thread_ts")?,
        args.text("context"),
    );
    events::assistant_thread(world, "assistant_thread_context_changed", &shown);
    done()
}

fn thread_json(user: &str, channel: &str, root: &str, context: Option<String>) -> Value {
    let context = match context {
        Some(seen) => json!({ "channel_id": seen, "team_id": TEAM, "enterprise_id": null }),
        None => json!({}),
    };
    json!({ "user_id": user, "context": context, "channel_id": channel, "thread_ts": root })
}

/// Somebody presses a button of a message; which, its `action_id` says.
pub(crate) fn press(world: &mut World, args: &Args) -> Answer {
    let (channel, ts) = place(world, args)?;
    let wanted = args.needed("action_id")?;
    let blocks = world
        .message(&channel, &ts)?
        .blocks
        .clone()
        .unwrap_or_default();
    let button = blocks.as_array().into_iter().flatten().find_map(|block| {
        let within = block["elements"].as_array().into_iter().flatten();
        let mut within = within.chain(block.get("accessory"));
        let found = within.find(|one| one["action_id"] == wanted.as_str())?;
        Some((block["block_id"].clone(), found.clone()))
    });
    let (block_id, button) = button.ok_or_else(|| Refusal::new("there is no such button"))?;
    let mut action = json!({
        "action_id": wanted, "block_id": block_id, "type": button["type"], "text": button["text"],
    });
    for name in ["value", "style"] {
        if !button[name].is_null() {
            action[name] = button[name].clone();
        }
    }
    let user = args.needed("user")?;
    let pressed = events::pressed(world, &user, (&channel, &ts), &action);
    let action_ts = pressed.ok_or_else(|| Refusal::new("there is no such person"))?;
    Ok(json!({ "action_ts": action_ts, "value": button["value"] }))
}

/// Somebody gives a slash command.
pub(crate) fn command(world: &mut World, args: &Args) -> Answer {
    let text = args.text("text").unwrap_or_default();
    let (user, channel) = (args.needed("user")?, args.needed("channel")?);
    events::commanded(world, &user, &channel, &args.needed("command")?, &text);
    done()
}
