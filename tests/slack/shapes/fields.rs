//! Fields that each answer and event always has, as facts: those that Slack's OpenAPI description
//! (slackapi/slack-api-specs, web-api, of 2021) and its schema of the events' wrapper require, where
//! they are not superseded since. A path names a field within; `[]` stands for each item of a list,
//! and a list must have one.

use serde_json::Value;

use super::seen;

const ANSWERS: &[(&str, &[&str])] = &[
    (
        "auth.test",
        &["ok", "team", "team_id", "url", "user", "user_id"],
    ),
    (
        "bots.info",
        &[
            "ok",
            "bot.app_id",
            "bot.deleted",
            "bot.icons.image_36",
            "bot.icons.image_48",
            "bot.icons.image_72",
            "bot.id",
            "bot.name",
            "bot.updated",
        ],
    ),
    (
        "team.info",
        &[
            "ok",
            "team.domain",
            "team.email_domain",
            "team.icon",
            "team.id",
            "team.name",
        ],
    ),
    ("users.info", USER),
    (
        "users.list",
        &[
            "ok",
            "cache_ts",
            "members[].id",
            "members[].profile.real_name",
        ],
    ),
    (
        "usergroups.list",
        &[
            "ok",
            "usergroups[].auto_provision",
            "usergroups[].auto_type",
            "usergroups[].created_by",
            "usergroups[].date_create",
            "usergroups[].date_delete",
            "usergroups[].date_update",
            "usergroups[].deleted_by",
            "usergroups[].description",
            "usergroups[].enterprise_subteam_id",
            "usergroups[].handle",
            "usergroups[].id",
            "usergroups[].is_external",
            "usergroups[].is_subteam",
            "usergroups[].is_usergroup",
            "usergroups[].name",
            "usergroups[].prefs.channels",
            "usergroups[].prefs.groups",
            "usergroups[].team_id",
            "usergroups[].updated_by",
        ],
    ),
    ("usergroups.users.list", &["ok", "users"]),
    ("users.conversations", &["ok", "channels[].id"]),
    ("conversations.list", &["ok", "channels[].id"]),
    (
        "conversations.info",
        &[
            "ok",
            "channel.created",
            "channel.id",
            "channel.is_im",
            "channel.is_org_shared",
        ],
    ),
    (
        "conversations.members",
        &["ok", "members", "response_metadata.next_cursor"],
    ),
    ("conversations.open", &["ok", "channel.id"]),
    (
        "conversations.history",
        &[
            "ok",
            "channel_actions_count",
            "channel_actions_ts",
            "has_more",
            "pin_count",
            "messages[].text",
            "messages[].ts",
            "messages[].type",
        ],
    ),
    (
        "conversations.replies",
        &["ok", "messages[].text", "messages[].ts", "messages[].type"],
    ),
    (
        "chat.postMessage",
        &[
            "ok",
            "channel",
            "ts",
            "message.text",
            "message.ts",
            "message.type",
        ],
    ),
    (
        "chat.update",
        &["ok", "channel", "text", "ts", "message.text"],
    ),
    ("chat.delete", &["ok", "channel", "ts"]),
    ("chat.getPermalink", &["ok", "channel", "permalink"]),
    ("chat.postEphemeral", &["ok", "message_ts"]),
    ("reactions.add", &["ok"]),
    (
        "reactions.get",
        &[
            "ok",
            "channel",
            "type",
            "message.text",
            "message.ts",
            "message.type",
        ],
    ),
    ("reactions.remove", &["ok"]),
    (
        "files.info",
        &[
            "ok",
            "comments",
            "file.id",
            "file.created",
            "file.url_private",
        ],
    ),
    ("files.delete", &["ok"]),
];

const USER: &[&str] = &[
    "ok",
    "user.id",
    "user.is_app_user",
    "user.is_bot",
    "user.name",
    "user.updated",
    "user.profile.avatar_hash",
    "user.profile.display_name",
    "user.profile.display_name_normalized",
    "user.profile.fields",
    "user.profile.phone",
    "user.profile.real_name",
    "user.profile.real_name_normalized",
    "user.profile.skype",
    "user.profile.status_emoji",
    "user.profile.status_text",
    "user.profile.title",
];

/// Of a channel that is no direct conversation, beside what each has.
const CHANNEL: &[&str] = &[
    "creator",
    "is_archived",
    "is_channel",
    "is_general",
    "is_group",
    "is_mpim",
    "is_private",
    "is_shared",
    "name",
    "name_normalized",
    "purpose.value",
    "topic.value",
];

/// `authed_users`, which the schema of 2021 requires too, has given way to `authorizations`.
const WRAPPER: &[&str] = &[
    "token",
    "team_id",
    "api_app_id",
    "event.type",
    "event.event_ts",
    "type",
    "event_id",
    "event_time",
    "authorizations[].user_id",
];

/// Of a message of a thread that is shown in its channel too, beside what each message has
/// (slackapi/java-slack-sdk, json-logs, and the types of Slack's client for Node).
const BROADCAST: &[&str] = &[
    "root.text",
    "root.ts",
    "root.thread_ts",
    "root.reply_count",
    "root.reply_users_count",
    "root.latest_reply",
    "root.reply_users",
];

/// Returns whether a path leads to a field everywhere; its value may be null.
fn has(value: &Value, path: &str) -> bool {
    let (step, rest) = path
        .split_once('.')
        .map_or((path, ""), |(step, rest)| (step, rest));
    let each = step.strip_suffix("[]");
    let Some(found) = value.get(each.unwrap_or(step)) else {
        return false;
    };
    match (each, rest) {
        (_, "") => true,
        (None, rest) => has(found, rest),
        (Some(_), rest) => {
            let items = found.as_array().filter(|items| !items.is_empty());
            items.is_some_and(|items| items.iter().all(|item| has(item, rest)))
        }
    }
}

#[tokio::test]
async fn every_answer_and_event_has_the_fields_that_slacks_descriptions_require() {
    let seen = seen().await;
    let mut missing = Vec::new();
    for (method, fields) in ANSWERS {
        let answers = seen.answers.iter().filter(|(called, _)| called == method);
        let answers: Vec<&Value> = answers.map(|(_, answer)| answer).collect();
        assert!(!answers.is_empty(), "{method} was not called");
        for answer in answers {
            let lacking = fields.iter().filter(|field| !has(answer, field));
            missing.extend(lacking.map(|field| format!("{method}: {field}")));
        }
    }
    for (method, answer) in &seen.answers {
        let channel = &answer["channel"];
        if method == "conversations.info" && channel["is_im"] == false {
            let lacking = CHANNEL.iter().filter(|field| !has(channel, field));
            missing.extend(lacking.map(|field| format!("{method}: {field}")));
        }
    }
    for frame in seen
        .frames
        .iter()
        .filter(|frame| frame["type"] == "events_api")
    {
        let event = &frame["payload"]["event"];
        let kind = &event["type"];
        if event["subtype"] == "thread_broadcast" {
            let lacking = BROADCAST.iter().filter(|field| !has(event, field));
            missing.extend(lacking.map(|field| format!("a broadcast: {field}")));
        }
        let lacking = WRAPPER
            .iter()
            .filter(|field| !has(&frame["payload"], field));
        missing.extend(lacking.map(|field| format!("event {kind}: {field}")));
    }
    assert_eq!(missing, Vec::<String>::new());
}
