//! The methods of the Web API: what each may, costs and takes. One file a family.

mod assistant;
pub(crate) mod chat;
mod conversations;
pub(crate) mod files;
mod people;
pub(crate) mod reactions;

pub(crate) use self::people::app_test;

use super::answer::Answer;
use super::args::Args;
use super::limits::Tier;
use super::world::World;

/// A method.
pub(crate) struct Method {
    name: &'static str,
    /// Whether arguments may come as JSON; what reads takes forms only.
    pub(crate) takes_json: bool,
    /// Whether it wants the app's token rather than the bot's.
    pub(crate) is_for_app: bool,
    /// How often it may be called.
    pub(crate) tier: Tier,
    /// Any of these will do; none where it depends on the arguments.
    pub(crate) scopes: &'static [&'static str],
    /// What it does.
    pub(crate) run: fn(&mut World, &Args) -> Answer,
}

/// A method of the bot that takes forms and JSON.
const fn writes(
    name: &'static str,
    tier: Tier,
    scopes: &'static [&'static str],
    run: fn(&mut World, &Args) -> Answer,
) -> Method {
    Method {
        name,
        takes_json: true,
        is_for_app: false,
        tier,
        scopes,
        run,
    }
}

/// A method of the bot that takes forms only.
const fn reads(
    name: &'static str,
    tier: Tier,
    scopes: &'static [&'static str],
    run: fn(&mut World, &Args) -> Answer,
) -> Method {
    Method {
        takes_json: false,
        ..writes(name, tier, scopes, run)
    }
}

const ASSISTANT: &[&str] = &["assistant:write"];
const CHAT: &[&str] = &["chat:write"];
const REACT: &[&str] = &["reactions:write"];
const USERS: &[&str] = &["users:read"];
const GROUPS: &[&str] = &["usergroups:read"];

static METHODS: [Method; 31] = [
    writes("api.test", Tier::Four, &[], people::api_test),
    writes("auth.test", Tier::Special(600), &[], people::auth_test),
    Method {
        name: "apps.connections.open",
        takes_json: true,
        is_for_app: true,
        tier: Tier::Special(60),
        scopes: &[],
        run: people::connections_open,
    },
    reads("bots.info", Tier::Three, USERS, people::bots_info),
    reads("team.info", Tier::Three, &["team:read"], people::team_info),
    reads("users.info", Tier::Four, USERS, people::users_info),
    reads("users.list", Tier::Two, USERS, people::users_list),
    reads(
        "users.conversations",
        Tier::Three,
        &[],
        conversations::of_user,
    ),
    reads("usergroups.list", Tier::Two, GROUPS, people::groups_list),
    reads(
        "usergroups.users.list",
        Tier::Two,
        GROUPS,
        people::group_users,
    ),
    reads("conversations.info", Tier::Three, &[], conversations::info),
    reads("conversations.list", Tier::Two, &[], conversations::list),
    reads(
        "conversations.members",
        Tier::Four,
        &[],
        conversations::members,
    ),
    reads(
        "conversations.history",
        Tier::Three,
        &[],
        conversations::history,
    ),
    reads(
        "conversations.replies",
        Tier::Three,
        &[],
        conversations::replies,
    ),
    writes(
        "conversations.open",
        Tier::Three,
        &["im:write"],
        conversations::open,
    ),
    writes("chat.postMessage", Tier::Posting, CHAT, chat::post),
    writes("chat.postEphemeral", Tier::Four, CHAT, chat::post_ephemeral),
    writes("chat.update", Tier::Three, CHAT, chat::update),
    writes("chat.delete", Tier::Three, CHAT, chat::delete),
    reads(
        "chat.getPermalink",
        Tier::Special(600),
        &[],
        chat::permalink,
    ),
    writes("reactions.add", Tier::Three, REACT, reactions::add),
    writes("reactions.remove", Tier::Two, REACT, reactions::remove),
    reads(
        "reactions.get",
        Tier::Three,
        &["reactions:read"],
        reactions::get,
    ),
    reads(
        "files.getUploadURLExternal",
        Tier::Four,
        &["files:write"],
        files::announce,
    ),
    writes(
        "files.completeUploadExternal",
        Tier::Four,
        &["files:write"],
        files::complete,
    ),
    reads("files.info", Tier::Four, &["files:read"], files::info),
    writes("files.delete", Tier::Three, &["files:write"], files::delete),
    writes(
        "assistant.threads.setStatus",
        Tier::Special(600),
        CHAT,
        assistant::set_status,
    ),
    writes(
        "assistant.threads.setTitle",
        Tier::Four,
        ASSISTANT,
        assistant::set_title,
    ),
    writes(
        "assistant.threads.setSuggestedPrompts",
        Tier::Four,
        ASSISTANT,
        assistant::set_prompts,
    ),
];

/// Returns the method of a name.
pub(crate) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}
