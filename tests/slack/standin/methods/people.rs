//! Methods about who: the app itself, people, groups, the workspace.

use serde_json::{Value, json};

use super::super::answer::{Answer, Refusal};
use super::super::args::Args;
use super::super::message::bot_profile;
use super::super::paging;
use super::super::world::{APP, BOT, BOT_USER, TEAM, World};

/// `api.test`: says back what it is told.
pub(super) fn api_test(_: &mut World, args: &Args) -> Answer {
    if let Some(error) = args.text("error") {
        return Err(Refusal::with(&error, json!({ "args": args.to_json() })));
    }
    Ok(json!({ "args": args.to_json() }))
}

/// `auth.test`: who the token is.
pub(super) fn auth_test(world: &mut World, _: &Args) -> Answer {
    let name = world.users.get(BOT_USER).map(|user| user.name.clone());
    Ok(json!({
        "url": "https://herald.slack.com/", "team": "Herald", "user": name, "team_id": TEAM,
        "user_id": BOT_USER, "bot_id": BOT, "is_enterprise_install": false,
    }))
}

/// `auth.test` with the app's own token: which app it is.
pub(crate) fn app_test() -> Answer {
    Ok(json!({ "app_id": APP, "app_name": "Airut" }))
}

/// `apps.connections.open`: a ticket to Socket Mode.
pub(super) fn connections_open(world: &mut World, _: &Args) -> Answer {
    let ticket = format!("{}-{}", world.id("ticket"), World::now_ms());
    world.tickets.insert(ticket.clone());
    let address = world.address;
    Ok(json!({ "url": format!("ws://{address}/link/?ticket={ticket}&app_id={APP}") }))
}

/// `bots.info`.
pub(super) fn bots_info(_: &mut World, args: &Args) -> Answer {
    let bot = args.text("bot").unwrap_or_else(|| BOT.to_owned());
    let app = match bot.as_str() {
        BOT => APP,
        "B0ROBOT001" => "A0ROBOT001",
        _ => return Err(Refusal::new("bot_not_found")),
    };
    let mut shown = bot_profile(&bot, app);
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("team_id");
    }
    let user = if app == APP { BOT_USER } else { "U0ROBOT001" };
    shown["user_id"] = user.into();
    Ok(json!({ "bot": shown }))
}

/// `team.info`.
pub(super) fn team_info(_: &mut World, _: &Args) -> Answer {
    let mut icon = json!({ "image_default": true });
    for size in [34, 44, 68, 88, 102, 132, 230] {
        icon[format!("image_{size}")] = format!("https://a.slack-edge.com/{size}.png").into();
    }
    let team = json!({
        "id": TEAM, "name": "Herald", "domain": "herald", "email_domain": "", "icon": icon,
        "url": "https://herald.slack.com/", "is_verified": false, "avatar_base_url": "https://ca.slack-edge.com/",
    });
    Ok(json!({ "team": team }))
}

/// `users.info`.
pub(super) fn users_info(world: &mut World, args: &Args) -> Answer {
    let id = args
        .text("user")
        .ok_or_else(|| Refusal::new("user_not_found"))?;
    let user = world
        .users
        .get(&id)
        .ok_or_else(|| Refusal::new("user_not_found"))?;
    let mut shown = user.to_json();
    if args.flag("include_locale") {
        shown["locale"] = "en-US".into();
    }
    Ok(json!({ "user": shown }))
}

/// `users.list`: those of the workspace, in pages.
pub(super) fn users_list(world: &mut World, args: &Args) -> Answer {
    let members: Vec<Value> = world.users.values().map(|user| user.to_json()).collect();
    let (members, cursor) = paging::page(members, args, 1_000)?;
    Ok(json!({
        "members": members, "cache_ts": World::now_ms() / 1_000,
        "response_metadata": paging::metadata(&cursor),
    }))
}

/// `usergroups.list`.
pub(super) fn groups_list(world: &mut World, args: &Args) -> Answer {
    let with_disabled = args.flag("include_disabled");
    let groups = world
        .groups
        .values()
        .filter(|group| with_disabled || !group.disabled);
    let shown: Value = groups
        .map(|group| group.to_json(args.flag("include_users")))
        .collect();
    Ok(json!({ "usergroups": shown }))
}

/// `usergroups.users.list`.
pub(super) fn group_users(world: &mut World, args: &Args) -> Answer {
    let id = args.needed("usergroup")?;
    let with_disabled = args.flag("include_disabled");
    let group = world
        .groups
        .get(&id)
        .filter(|group| with_disabled || !group.disabled);
    let group = group.ok_or_else(|| Refusal::new("no_such_subteam"))?;
    Ok(json!({ "users": group.users }))
}
