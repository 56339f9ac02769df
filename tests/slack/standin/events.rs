//! What the app is told of what happens: the events of the Events API, as Slack wraps them.

use serde_json::{Value, json};

use super::answer::merge;
use super::delivery::Envelope;
use super::message::Message;
use super::text;
use super::world::{APP, BOT_USER, Kind, TEAM, World};

/// A new message; whoever mentions the app causes a second event beside it.
pub(crate) fn posted(world: &mut World, channel: &str, message: &Message) {
    let Some(found) = world.channels.get(channel) else {
        return;
    };
    let (kind, is_member) = (found.kind, found.members.contains(BOT_USER));
    let mut event = message.to_json(world);
    message.add_thread(&mut event, found);
    let more = json!({ "channel": channel, "event_ts": message.ts, "channel_type": kind.name() });
    merge(&mut event, more);
    let root = message.thread_ts.as_ref();
    if let Some(root) = root.and_then(|root| found.messages.get(root))
        && message.subtype.as_deref() == Some("thread_broadcast")
    {
        event["root"] = root.to_json(world);
        root.add_thread(&mut event["root"], found);
    }
    if !is_member {
        return;
    }
    let mentions = text::mentions(&message.text, BOT_USER);
    if mentions && kind != Kind::Direct && !message.is_own() && message.subtype.is_none() {
        mentioned(world, channel, event.clone());
    }
    emit(world, message_event(kind), &event);
}

/// The mention has the message's fields, but not the channel's type.
fn mentioned(world: &mut World, channel: &str, mut event: Value) {
    event["type"] = "app_mention".into();
    event["channel"] = channel.into();
    if let Some(event) = event.as_object_mut() {
        event.remove("channel_type");
    }
    emit(world, "app_mention", &event);
}

/// A message that is another now: edited, unfurled, or the root of a deleted thread.
pub(crate) fn changed(world: &mut World, channel: &str, before: &Value, after: &Message) {
    let Some(found) = world.channels.get(channel) else {
        return;
    };
    let mut message = after.to_json(world);
    after.add_thread(&mut message, found);
    message["source_team"] = TEAM.into();
    message["user_team"] = TEAM.into();
    let event = json!({
        "type": "message", "subtype": "message_changed", "message": message,
        "previous_message": before, "hidden": true,
    });
    hidden(world, channel, event);
}

/// A message that is gone.
pub(crate) fn deleted(world: &mut World, channel: &str, ts: &str, before: &Value) {
    let event = json!({
        "type": "message", "subtype": "message_deleted", "previous_message": before,
        "hidden": true, "deleted_ts": ts,
    });
    hidden(world, channel, event);
}

fn hidden(world: &mut World, channel: &str, mut event: Value) {
    let Some(found) = world.channels.get(channel) else {
        return;
    };
    let (kind, is_member) = (found.kind, found.members.contains(BOT_USER));
    let ts = world.ts();
    let more = json!({ "channel": channel, "ts": ts, "event_ts": ts, "channel_type": kind.name() });
    merge(&mut event, more);
    if is_member {
        emit(world, message_event(kind), &event);
    }
}

/// Somebody opened a thread of the app's own surface, or looks at something else meanwhile.
pub(crate) fn assistant_thread(world: &mut World, event: &str, thread: &Value) {
    let ts = world.ts();
    let body = json!({ "type": event, "assistant_thread": thread, "event_ts": ts });
    emit(world, event, &body);
}

/// A reaction came or went.
pub(crate) fn reaction(world: &mut World, event: &str, user: &str, name: &str, item: (&str, &str)) {
    let (channel, ts) = item;
    let author = world.message(channel, ts).ok();
    let author = author.and_then(|message| message.user.clone());
    let event_ts = world.ts();
    let body = json!({
        "type": event, "user": user, "reaction": name, "item_user": author,
        "item": { "type": "message", "channel": channel, "ts": ts }, "event_ts": event_ts,
    });
    emit(world, event, &body);
}

/// Somebody came into a channel: a message of a subtype, and an event.
pub(crate) fn joined(world: &mut World, channel: &str, user: &str) {
    let Some(found) = world.channels.get(channel) else {
        return;
    };
    let kind = if found.kind == Kind::Public { "C" } else { "G" };
    let ts = world.ts();
    let event = json!({
        "type": "member_joined_channel", "user": user, "channel": channel, "channel_type": kind,
        "team": TEAM, "event_ts": ts,
    });
    emit(world, "member_joined_channel", &event);
}

fn message_event(kind: Kind) -> &'static str {
    match kind {
        Kind::Public => "message.channels",
        Kind::Private => "message.groups",
        Kind::Direct => "message.im",
    }
}

/// Wraps an event and hands it to delivery, if the app has subscribed to it.
fn emit(world: &mut World, subscription: &str, event: &Value) {
    if !world.subscribed.contains(subscription) {
        return;
    }
    let id = world.id("Ev0");
    let authorization = json!({
        "enterprise_id": null, "team_id": TEAM, "user_id": BOT_USER, "is_bot": true,
        "is_enterprise_install": false,
    });
    let payload = json!({
        "token": "verification-token", "team_id": TEAM, "api_app_id": APP, "event": event,
        "type": "event_callback", "event_id": id, "event_time": World::now_ms() / 1_000,
        "authorizations": [authorization], "is_ext_shared_channel": false,
        "event_context": format!("4-{id}"), "context_team_id": TEAM, "context_enterprise_id": null,
    });
    world.delivery.queue(Envelope::event(&id, payload));
}

/// A press of a button in a message.
pub(crate) fn pressed(
    world: &mut World,
    user: &str,
    place: (&str, &str),
    action: &Value,
) -> Option<String> {
    let (channel, ts) = place;
    let found = world.channels.get(channel)?;
    let message = found.messages.get(ts)?;
    let mut shown = message.to_json(world);
    message.add_thread(&mut shown, found);
    let channel_name = match found.kind {
        Kind::Direct => "directmessage".to_owned(),
        Kind::Private => "privategroup".to_owned(),
        Kind::Public => found.name.clone(),
    };
    let (thread_ts, name) = (
        message.thread_ts.clone(),
        world.users.get(user)?.name.clone(),
    );
    let action_ts = world.ts();
    let mut action = action.clone();
    action["action_ts"] = action_ts.clone().into();
    let id = world.id("");
    let mut container = json!({
        "type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": false,
    });
    if let Some(thread_ts) = thread_ts {
        container["thread_ts"] = thread_ts.into();
    }
    let payload = json!({
        "type": "block_actions",
        "user": { "id": user, "username": name, "name": name, "team_id": TEAM },
        "api_app_id": APP, "token": "verification-token", "container": container,
        "trigger_id": format!("{id}.{id}.trigger"),
        "team": { "id": TEAM, "domain": "herald" }, "enterprise": null,
        "is_enterprise_install": false,
        "channel": { "id": channel, "name": channel_name }, "message": shown,
        "state": { "values": {} },
        "response_url": format!("http://{}/response/{id}", world.address),
        "actions": [action],
    });
    world.delivery.queue(Envelope::once("interactive", payload));
    Some(action_ts)
}

/// A slash command.
pub(crate) fn commanded(world: &mut World, user: &str, channel: &str, command: &str, text: &str) {
    let id = world.id("");
    let name = world.users.get(user).map(|user| user.name.clone());
    let channel_name = world.channels.get(channel).map(|found| found.name.clone());
    let payload = json!({
        "token": "verification-token", "team_id": TEAM, "team_domain": "herald",
        "channel_id": channel, "channel_name": channel_name, "user_id": user, "user_name": name,
        "command": command, "text": text, "api_app_id": APP, "is_enterprise_install": "false",
        "response_url": format!("http://{}/response/{id}", world.address),
        "trigger_id": format!("{id}.{id}.trigger"),
    });
    world
        .delivery
        .queue(Envelope::once("slash_commands", payload));
}
