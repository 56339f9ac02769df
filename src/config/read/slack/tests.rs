//! What the keys of a Slack app may be.

use secrecy::ExposeSecret as _;

use crate::config::read::read;
use crate::config::resolve::Variables;
use crate::config::types::{Slack, SlackRule};

const TOKENS: &str = "bot_token: xoxb-1, app_token: xapp-1";

fn load(keys: &str) -> Result<Slack, String> {
    let text = format!("config_version: 5\nrepos: {{a: {{repo_url: x, slack: {{{keys}}}}}}}\n");
    let dns = Some(([127, 0, 0, 1], 53).into());
    let config = read(&text, &Variables::new(), dns).map_err(|problem| problem.to_string())?;
    let (_, repo) = config.repos.into_iter().next().unwrap();
    Ok(repo.slack.unwrap())
}

#[track_caller]
fn refused(keys: &str, expected: &str) {
    let problem = load(keys).unwrap_err();
    assert!(problem.contains(expected), "{problem}");
}

#[test]
fn slk_08_rules_keep_their_order_and_have_one_key_each() {
    let authorized =
        "authorized: [{user_id: U0FERRY01}, {user_group: '@deckhands'}, {workspace_members: yes}]";
    let slack = load(&format!(
        "{TOKENS}, {authorized}, allowed_channels: [C0PIER001]"
    ))
    .unwrap();
    let rules = [
        SlackRule::UserId("U0FERRY01".to_owned()),
        SlackRule::UserGroup("deckhands".to_owned()),
        SlackRule::WorkspaceMembers(true),
    ];
    assert_eq!(slack.authorized, rules);
    assert_eq!(slack.allowed_channels, ["C0PIER001"]);
    assert_eq!(slack.api_url, "https://slack.com/api");
    assert_eq!(slack.bot_token.expose_secret(), "xoxb-1");
    refused(TOKENS, "slack.authorized must be a list of at least one");
    refused(&format!("{TOKENS}, authorized: []"), "at least one rule");
    let two = "authorized: [{user_id: U1, user_group: g}]";
    refused(&format!("{TOKENS}, {two}"), "exactly one of");
    let misspelt = "authorized: [{user_groups: g}]";
    refused(&format!("{TOKENS}, {misspelt}"), "did you mean user_group?");
}

#[test]
fn names_in_place_of_ids_are_refused() {
    refused(
        &format!("{TOKENS}, authorized: [{{user_id: alice}}]"),
        "no id of Slack's",
    );
    let rule = "authorized: [{workspace_members: true}]";
    let channel = "allowed_channels: ['#general']";
    refused(&format!("{TOKENS}, {rule}, {channel}"), "no id of Slack's");
}

#[test]
fn slk_01_tokens_that_are_mixed_up_are_refused_by_their_kind() {
    refused("bot_token: xapp-1, app_token: xapp-1", "begins with xoxb-");
    refused("bot_token: xoxb-1, app_token: xoxb-1", "begins with xapp-");
}

#[test]
fn tokens_go_over_https_or_to_this_machine_only() {
    let with = |url: &str| {
        load(&format!(
            "{TOKENS}, authorized: [{{workspace_members: true}}], api_url: '{url}'"
        ))
    };
    for url in [
        "http://127.0.0.1:9/api",
        "http://[::1]:9/api",
        "https://proxy.example/slack",
    ] {
        assert_eq!(with(url).unwrap().api_url, url);
    }
    for url in [
        "http://slack.com/api",
        "http://localhost.example/api",
        "http://127.0.0.1@slack.example/api",
        "ftp://127.0.0.1/api",
        "https://",
        "slack.com/api",
        "https://slack.com/api?x=1",
    ] {
        assert!(
            with(url)
                .unwrap_err()
                .contains("api_url must be an https address"),
            "{url}"
        );
    }
}
