//! What is read of people, groups and channels.

use serde_json::{Value, json};

use super::{ALICE, GENERAL, Ground};

#[test]
fn a_person_is_described_as_what_they_are() {
    let ground = Ground::quick();
    let user = |id: &str| ground.call("users.info", &json!({ "user": id }))["user"].clone();
    assert_eq!(user(ALICE)["is_restricted"], false);
    assert_eq!(user("U0GUEST001")["is_restricted"], true);
    assert_eq!(user("U0SINGLE01")["is_ultra_restricted"], true);
    assert_eq!(user("U0GONE0001")["deleted"], true);
    assert_eq!(user("U0ROBOT001")["is_bot"], true);
    assert_eq!(user("U0STRANGE1")["is_stranger"], true);
    assert_ne!(user("U0STRANGE1")["team_id"], user(ALICE)["team_id"]);
    assert_eq!(user("U0NOBODY01"), Value::Null);
}

#[test]
fn a_group_is_found_by_its_handle_and_tells_its_members() {
    let ground = Ground::quick();
    let groups = ground.call("usergroups.list", &json!({}));
    assert_eq!(groups["usergroups"][0]["handle"], "crew");
    let id = &groups["usergroups"][0]["id"];
    let users = ground.call("usergroups.users.list", &json!({ "usergroup": id }));
    assert_eq!(users["users"], json!([ALICE, "U0BOB00001"]));
    let none = ground.call("usergroups.users.list", &json!({ "usergroup": "S0NONE" }));
    assert_eq!(none["error"], "no_such_subteam");
}

#[test]
fn a_channels_history_comes_in_pages_newest_first_and_without_replies() {
    let ground = Ground::quick();
    let all: Vec<String> = (0..5)
        .map(|n| ground.says(GENERAL, &format!("m{n}")))
        .collect();
    let reply = json!({ "user": ALICE, "channel": GENERAL, "text": "r", "thread_ts": all[0] });
    ground.hand.act("post", &reply);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let args = json!({ "channel": GENERAL, "limit": 2, "cursor": cursor });
        let page = ground.call("conversations.history", &args);
        let texts = page["messages"].as_array().unwrap();
        seen.extend(
            texts
                .iter()
                .map(|one| one["text"].as_str().unwrap().to_owned()),
        );
        let next = page["response_metadata"]["next_cursor"]
            .as_str()
            .unwrap_or_default();
        assert_eq!(page["has_more"], !next.is_empty());
        if next.is_empty() {
            break;
        }
        next.clone_into(&mut cursor);
    }
    assert_eq!(seen, ["m4", "m3", "m2", "m1", "m0"]);
    let count = |args: Value| {
        let page = ground.call("conversations.history", &args);
        page["messages"].as_array().unwrap().len()
    };
    assert_eq!(count(json!({ "channel": GENERAL, "oldest": all[3] })), 1);
    assert_eq!(
        count(json!({ "channel": GENERAL, "oldest": all[3], "inclusive": true })),
        2
    );
    assert_eq!(
        count(json!({ "channel": GENERAL, "latest": all[3], "oldest": "0" })),
        3
    );
}

#[test]
fn what_may_be_read_depends_on_the_kind_of_channel() {
    let ground = Ground::quick();
    let error = |method: &str, channel: &str| {
        let answer = ground.call(method, &json!({ "channel": channel }));
        answer["error"].as_str().unwrap_or("ok").to_owned()
    };
    assert_eq!(error("conversations.info", GENERAL), "ok");
    assert_eq!(
        error("conversations.history", "C0HIDDEN01"),
        "channel_not_found"
    );
    assert_eq!(
        error("conversations.history", "C0WITHOUT1"),
        "not_in_channel"
    );
    assert_eq!(error("conversations.history", "C0PRIVATE1"), "ok");
    let direct = ground.hand.act("assistant", &json!({ "user": ALICE }));
    let direct = direct["channel"].as_str().unwrap();
    assert_eq!(error("conversations.info", direct), "ok");
    let names = json!(["channels:read", "groups:read"]);
    ground.hand.act("scopes", &json!({ "names": names }));
    assert_eq!(error("conversations.info", GENERAL), "ok");
    assert_eq!(error("conversations.history", GENERAL), "missing_scope");
    assert_eq!(error("conversations.info", direct), "missing_scope");
    let types = json!({ "types": "public_channel,private_channel", "exclude_archived": true });
    let mine = ground.call("users.conversations", &types);
    let ids: Vec<&str> = mine["channels"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    assert_eq!(ids, [GENERAL, "C0PRIVATE1"]);
}
