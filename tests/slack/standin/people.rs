//! Who and what the workspace begins with, and how Slack describes a person and a group.
//!
//! | id | who |
//! |---|---|
//! | `U0ALICE001` | member, owner and admin |
//! | `U0BOB00001` | member |
//! | `U0GUEST001` | guest of several channels (`is_restricted`) |
//! | `U0SINGLE01` | guest of one channel (`is_ultra_restricted`) |
//! | `U0GONE0001` | deactivated (`deleted`) |
//! | `U0ROBOT001` | another app's bot |
//! | `U0STRANGE1` | of another workspace, through Slack Connect (`is_stranger`) |
//! | `U0HERALD01` | the app's own bot |
//!
//! Channels: `C0GENERAL1` (everybody and the app), `C0PRIVATE1` (private: Alice, Bob and the app),
//! `C0WITHOUT1` (the app is not in it), `C0ARCHIVE1` (archived), `C0HIDDEN01` (private, without the
//! app). Group `S0CREW0001`, `@crew`: Alice and Bob.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::world::{APP, BOT, BOT_USER, Kind, TEAM, World};

/// A person or a bot. What the control API may set of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) team_id: String,
    pub(crate) name: String,
    pub(crate) real_name: String,
    pub(crate) display_name: String,
    pub(crate) deleted: bool,
    pub(crate) is_admin: bool,
    pub(crate) is_bot: bool,
    pub(crate) is_restricted: bool,
    pub(crate) is_ultra_restricted: bool,
    pub(crate) is_stranger: bool,
}

impl Default for User {
    fn default() -> Self {
        Self {
            id: String::new(),
            team_id: TEAM.to_owned(),
            name: String::new(),
            real_name: String::new(),
            display_name: String::new(),
            deleted: false,
            is_admin: false,
            is_bot: false,
            is_restricted: false,
            is_ultra_restricted: false,
            is_stranger: false,
        }
    }
}

impl User {
    /// The `user` object. What Slack leaves out of a deactivated or foreign person, it leaves out.
    pub(crate) fn to_json(&self) -> Value {
        let mut user = json!({
            "id": self.id, "team_id": self.team_id, "name": self.name, "deleted": self.deleted,
            "profile": self.profile(), "is_bot": self.is_bot, "updated": 1_700_000_000,
            "is_app_user": false,
        });
        if self.is_stranger {
            user["is_stranger"] = true.into();
        }
        if !self.deleted {
            user["color"] = "9f69e7".into();
            user["real_name"] = self.real_name.clone().into();
            user["tz"] = "Europe/Helsinki".into();
            user["tz_label"] = "Eastern European Time".into();
            user["tz_offset"] = 7_200.into();
            user["is_admin"] = self.is_admin.into();
            user["is_owner"] = self.is_admin.into();
            user["is_primary_owner"] = self.is_admin.into();
            user["is_restricted"] = (self.is_restricted || self.is_ultra_restricted).into();
            user["is_ultra_restricted"] = self.is_ultra_restricted.into();
            user["is_email_confirmed"] = true.into();
            user["who_can_share_contact_card"] = "EVERYONE".into();
        }
        user
    }

    fn profile(&self) -> Value {
        let mut profile = json!({
            "title": "", "phone": "", "skype": "",
            "real_name": self.real_name, "real_name_normalized": self.real_name,
            "display_name": self.display_name, "display_name_normalized": self.display_name,
            "fields": {}, "status_text": "", "status_emoji": "", "status_expiration": 0,
            "status_emoji_display_info": [], "status_text_canonical": "",
            "avatar_hash": "g0123456789a", "team": self.team_id,
            "first_name": self.real_name.split(' ').next(),
            "last_name": self.real_name.split(' ').nth(1).unwrap_or_default(),
        });
        for size in [24, 32, 48, 72, 192, 512] {
            let image = format!("https://avatars.slack-edge.com/none_{size}.png");
            profile[format!("image_{size}")] = image.into();
        }
        if self.is_bot {
            let is_ours = self.id == BOT_USER;
            profile["api_app_id"] = if is_ours { APP } else { "A0ROBOT001" }.into();
            profile["bot_id"] = if is_ours { BOT } else { "B0ROBOT001" }.into();
            profile["always_active"] = true.into();
        }
        profile
    }
}

/// A user group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) handle: String,
    pub(crate) name: String,
    pub(crate) users: Vec<String>,
    pub(crate) disabled: bool,
}

impl Group {
    /// The `usergroup` object.
    pub(crate) fn to_json(&self, with_users: bool) -> Value {
        let mut group = json!({
            "id": self.id, "team_id": TEAM, "is_usergroup": true, "is_subteam": true,
            "name": self.name, "description": "", "handle": self.handle, "is_external": false,
            "date_create": 1_700_000_000, "date_update": 1_700_000_000,
            "date_delete": if self.disabled { 1_700_000_001 } else { 0 },
            "auto_type": null, "auto_provision": false, "enterprise_subteam_id": "",
            "created_by": "U0ALICE001", "updated_by": "U0ALICE001", "deleted_by": null,
            "prefs": { "channels": [], "groups": [] },
            "user_count": self.users.len(), "channel_count": 0,
        });
        if with_users {
            group["users"] = self.users.clone().into();
        }
        group
    }
}

/// The people at the beginning.
pub(crate) fn users() -> BTreeMap<String, User> {
    let person = |id: &str, name: &str, real_name: &str, display_name: &str| User {
        id: id.to_owned(),
        name: name.to_owned(),
        real_name: real_name.to_owned(),
        display_name: display_name.to_owned(),
        ..User::default()
    };
    let mut users = vec![
        person("U0ALICE001", "alice", "Alice Example", "alice"),
        person("U0BOB00001", "bob", "Bob Example", ""),
        person("U0GUEST001", "guest", "Gwen Guest", "gwen"),
        person("U0SINGLE01", "single", "Sam Single", "sam"),
        person("U0GONE0001", "gone", "Gina Gone", "gina"),
        person("U0ROBOT001", "robot", "Robot", "robot"),
        person("U0STRANGE1", "stranger", "Sten Stranger", "sten"),
        person(BOT_USER, "airut", "Airut", ""),
    ];
    users[0].is_admin = true;
    users[2].is_restricted = true;
    users[3].is_ultra_restricted = true;
    users[4].deleted = true;
    users[5].is_bot = true;
    "T0ELSE0001".clone_into(&mut users[6].team_id);
    users[6].is_stranger = true;
    users[7].is_bot = true;
    let by_id = users.into_iter().map(|user| (user.id.clone(), user));
    by_id.collect()
}

/// The groups at the beginning.
pub(crate) fn groups() -> BTreeMap<String, Group> {
    let crew = Group {
        id: "S0CREW0001".to_owned(),
        handle: "crew".to_owned(),
        name: "Crew".to_owned(),
        users: vec!["U0ALICE001".to_owned(), "U0BOB00001".to_owned()],
        disabled: false,
    };
    BTreeMap::from([(crew.id.clone(), crew)])
}

/// Makes the channels of the beginning.
pub(crate) fn channels(world: &mut World) {
    let everybody: Vec<String> = world.users.keys().cloned().collect();
    let everybody: Vec<&str> = everybody.iter().map(String::as_str).collect();
    let (alice, bob) = ("U0ALICE001", "U0BOB00001");
    world.open_channel("C0GENERAL1", "general", Kind::Public, &everybody);
    let private = [alice, bob, BOT_USER];
    world.open_channel("C0PRIVATE1", "private", Kind::Private, &private);
    world.open_channel("C0WITHOUT1", "without", Kind::Public, &[alice, bob]);
    world.open_channel("C0ARCHIVE1", "archive", Kind::Public, &[alice, BOT_USER]);
    world.open_channel("C0HIDDEN01", "hidden", Kind::Private, &[alice]);
    if let Some(archive) = world.channels.get_mut("C0ARCHIVE1") {
        archive.archived = true;
    }
}

/// The manifest that an operator makes the app with.
const MANIFEST: &str = include_str!("../../../config/slack-app-manifest.json");

/// The scopes that the bot's token has: those that Airut's own manifest asks for, and no other.
pub(crate) fn scopes() -> BTreeSet<String> {
    of_manifest("/oauth_config/scopes/bot")
}

/// The events that the app is sent: those that Airut's own manifest subscribes to.
pub(crate) fn subscribed() -> BTreeSet<String> {
    of_manifest("/settings/event_subscriptions/bot_events")
}

fn of_manifest(place: &str) -> BTreeSet<String> {
    let manifest: Value = serde_json::from_str(MANIFEST).unwrap_or_default();
    let names = manifest.pointer(place).and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}
