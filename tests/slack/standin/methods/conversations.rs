//! Methods about channels and what was said in them.

use serde_json::{Value, json};

use super::super::answer::{Answer, Refusal};
use super::super::args::Args;
use super::super::message::Message;
use super::super::paging;
use super::super::web::missing_scope;
use super::super::world::{BOT_USER, Channel, Kind, TEAM, World};

/// Messages of a page of a channel, unless more are asked for.
const HISTORY_DEFAULT: u64 = 100;
/// Messages of a page of a thread, unless fewer are asked for.
const REPLIES_DEFAULT: u64 = 1_000;

/// `conversations.info`.
pub(super) fn info(world: &mut World, args: &Args) -> Answer {
    let id = args
        .text("channel")
        .ok_or_else(|| Refusal::new("channel_not_found"))?;
    needs(world, world.channel(&id)?.kind, "read")?;
    let mut shown = world.channel(&id)?.to_json();
    if args.flag("include_num_members") {
        shown["num_members"] = world.channel(&id)?.members.len().into();
    }
    Ok(json!({ "channel": shown }))
}

/// `conversations.list`: the channels that the app may know of, in pages.
pub(super) fn list(world: &mut World, args: &Args) -> Answer {
    listed(world, args, "public_channel", |_| true)
}

/// `users.conversations`: those that the app itself is in.
///
/// Whose they are is known, so they do not say again whether somebody is in them.
pub(super) fn of_user(world: &mut World, args: &Args) -> Answer {
    let user = args.text("user").unwrap_or_else(|| BOT_USER.to_owned());
    let mut answer = listed(world, args, "public_channel", |channel| {
        channel.members.contains(&user)
    })?;
    let channels = answer["channels"].as_array_mut();
    for channel in channels.into_iter().flatten() {
        if let Some(channel) = channel.as_object_mut() {
            channel.remove("is_member");
        }
    }
    Ok(answer)
}

fn listed(
    world: &World,
    args: &Args,
    types_default: &str,
    wanted: impl Fn(&Channel) -> bool,
) -> Answer {
    let types = args
        .text("types")
        .unwrap_or_else(|| types_default.to_owned());
    let mut kinds = Vec::new();
    for name in types.split(',').map(str::trim) {
        let kind = match name {
            "public_channel" => Kind::Public,
            "private_channel" => Kind::Private,
            "im" => Kind::Direct,
            "mpim" => continue,
            _ => return Err(Refusal::new("invalid_types")),
        };
        needs(world, kind, "read")?;
        kinds.push(kind);
    }
    let without_archived = args.flag("exclude_archived");
    let visible = world.channels.values().filter(|channel| {
        kinds.contains(&channel.kind)
            && world.channel(&channel.id).is_ok()
            && !(without_archived && channel.archived)
            && wanted(channel)
    });
    let visible: Vec<Value> = visible.map(Channel::to_json).collect();
    let (channels, cursor) = paging::page(visible, args, 100)?;
    Ok(json!({ "channels": channels, "response_metadata": paging::metadata(&cursor) }))
}

/// `conversations.members`.
pub(super) fn members(world: &mut World, args: &Args) -> Answer {
    let channel = world.channel(&args.needed("channel")?)?;
    needs(world, channel.kind, "read")?;
    let members: Vec<String> = channel.members.iter().cloned().collect();
    let (members, cursor) = paging::page(members, args, 100)?;
    Ok(json!({ "members": members, "response_metadata": paging::metadata(&cursor) }))
}

/// `conversations.open`: the conversation with one person.
pub(super) fn open(world: &mut World, args: &Args) -> Answer {
    let users = args
        .text("users")
        .ok_or_else(|| Refusal::new("users_list_not_supplied"))?;
    if !world.users.contains_key(&users) {
        return Err(Refusal::new("user_not_found"));
    }
    let id = world.direct(&users);
    Ok(json!({ "channel": { "id": id } }))
}

/// `conversations.history`: newest first, without what stands only in threads.
pub(super) fn history(world: &mut World, args: &Args) -> Answer {
    let channel = readable(world, args)?;
    let within = Range::of(args);
    let messages = channel.messages.values().rev();
    let messages: Vec<&Message> = messages
        .filter(|message| message.is_top_level() && within.has(&message.ts))
        .collect();
    let (messages, cursor) = paging::page(messages, args, HISTORY_DEFAULT)?;
    let metadata = args.flag("include_all_metadata");
    let shown = messages
        .iter()
        .map(|message| message.to_history(world, channel, metadata));
    let mut answer = json!({
        "messages": shown.collect::<Value>(), "has_more": !cursor.is_empty(), "pin_count": 0,
        "channel_actions_ts": null, "channel_actions_count": 0,
    });
    add_cursor(&mut answer, &cursor);
    if let Some(latest) = args.text("latest") {
        answer["latest"] = latest.into();
    }
    if let Some(oldest) = args.text("oldest") {
        answer["oldest"] = oldest.into();
    }
    Ok(answer)
}

/// `conversations.replies`: oldest first, with the root at the head of each page, also where it is
/// older than what is asked for.
pub(super) fn replies(world: &mut World, args: &Args) -> Answer {
    let channel = readable(world, args)?;
    let ts = args.needed("ts")?;
    let not_found = || Refusal::new("thread_not_found");
    let found = channel.messages.get(&ts).ok_or_else(not_found)?;
    let root = found.thread_ts.clone().unwrap_or(ts);
    let first = channel.messages.get(&root);
    let within = Range::of(args);
    let replies: Vec<&Message> = channel
        .replies(&root)
        .filter(|one| within.has(&one.ts))
        .collect();
    let (replies, cursor) = paging::page(replies, args, REPLIES_DEFAULT)?;
    let metadata = args.flag("include_all_metadata");
    let shown = first.into_iter().chain(replies);
    let shown = shown.map(|message| message.to_history(world, channel, metadata));
    let mut answer = json!({
        "messages": shown.collect::<Value>(), "has_more": !cursor.is_empty(),
    });
    add_cursor(&mut answer, &cursor);
    Ok(answer)
}

/// The last page carries no cursor.
fn add_cursor(answer: &mut Value, cursor: &str) {
    if !cursor.is_empty() {
        answer["response_metadata"] = paging::metadata(cursor);
    }
}

fn readable<'world>(world: &'world World, args: &Args) -> Result<&'world Channel, Refusal> {
    let id = args
        .text("channel")
        .ok_or_else(|| Refusal::new("channel_not_found"))?;
    let channel = world.channel(&id)?;
    needs(world, channel.kind, "history")?;
    if !channel.members.contains(BOT_USER) {
        return Err(Refusal::new("not_in_channel"));
    }
    Ok(channel)
}

fn needs(world: &World, kind: Kind, what: &str) -> Result<(), Refusal> {
    let scope = format!("{}:{what}", kind.scope());
    if world.scopes.contains(&scope) {
        return Ok(());
    }
    Err(missing_scope(world, &scope))
}

/// From when to when; the ends count only with `inclusive`.
struct Range {
    oldest: Option<String>,
    latest: Option<String>,
    inclusive: bool,
}

impl Range {
    fn of(args: &Args) -> Self {
        Self {
            oldest: args.text("oldest").map(|ts| normal(&ts)),
            latest: args.text("latest").map(|ts| normal(&ts)),
            inclusive: args.flag("inclusive"),
        }
    }

    fn has(&self, ts: &str) -> bool {
        let after = |oldest: &String| ts > oldest.as_str() || (self.inclusive && ts == oldest);
        let before = |latest: &String| ts < latest.as_str() || (self.inclusive && ts == latest);
        self.oldest.as_ref().is_none_or(after) && self.latest.as_ref().is_none_or(before)
    }
}

/// Brings `0`, `1700000000` and `1700000000.5` into the form of a `ts`, so that texts compare.
fn normal(ts: &str) -> String {
    let (seconds, micros) = ts.split_once('.').unwrap_or((ts, ""));
    format!("{seconds:0>10}.{micros:0<6}")
}

impl Channel {
    /// The `channel` object.
    pub(crate) fn to_json(&self) -> Value {
        let is_member = self.members.contains(BOT_USER);
        if self.kind == Kind::Direct {
            let other = self.members.iter().find(|member| *member != BOT_USER);
            return json!({
                "id": self.id, "created": self.created, "is_archived": self.archived,
                "is_im": true, "is_org_shared": false, "user": other, "context_team_id": TEAM,
                "updated": self.created * 1_000, "priority": 0, "is_user_deleted": false,
            });
        }
        json!({
            "id": self.id, "name": self.name, "name_normalized": self.name,
            "is_channel": true, "is_group": false, "is_im": false, "is_mpim": false,
            "is_private": self.kind == Kind::Private, "is_archived": self.archived,
            "created": self.created, "updated": self.created * 1_000, "creator": "U0ALICE001",
            "is_general": self.name == "general", "is_member": is_member, "unlinked": 0,
            "is_shared": false, "is_org_shared": false, "is_ext_shared": false,
            "is_pending_ext_shared": false, "pending_shared": [], "parent_conversation": null,
            "shared_team_ids": [TEAM], "pending_connected_team_ids": [], "context_team_id": TEAM,
            "topic": { "value": "", "creator": "", "last_set": 0 },
            "purpose": { "value": "", "creator": "", "last_set": 0 }, "previous_names": [],
        })
    }
}
