//! What an operator reads of answers that no stand-in gives.

use super::*;

fn settings(rules: Vec<SlackRule>, channels: usize) -> Slack {
    let channels = (0..channels).map(|number| format!("C{number:05}"));
    Slack {
        bot_token: "xoxb-1".to_owned().into(),
        app_token: "xapp-1".to_owned().into(),
        authorized: rules,
        allowed_channels: channels.collect(),
        api_url: "https://slack.com/api".to_owned(),
    }
}

fn facts() -> Facts {
    let scopes = needs::needs().into_iter().map(|need| need.scope.to_owned());
    let standing = Standing {
        team: "Herald".to_owned(),
        team_id: "T1".to_owned(),
        url: "https://herald.slack.com/".to_owned(),
        user: "airut".to_owned(),
        bot_id: Some("B1".to_owned()),
        app_id: None,
        scopes: scopes.collect(),
    };
    Facts {
        app: Ok(Standing {
            app_id: Some("A1".to_owned()),
            ..Standing::default()
        }),
        bot: Ok(standing),
        socket: Ok(()),
        bot_app: Some("A1".to_owned()),
        channels: vec![],
        groups: None,
        users: vec![],
    }
}

fn bad(facts: &Facts, settings: &Slack) -> Vec<String> {
    let findings = findings(facts, settings).into_iter();
    let bad = findings.filter(|finding| finding.weight == Weight::Bad);
    bad.map(|finding| finding.words).collect()
}

#[test]
fn tokens_of_two_apps_are_told() {
    let settings = settings(vec![SlackRule::WorkspaceMembers(true)], 0);
    assert!(bad(&facts(), &settings).is_empty());
    let mixed = Facts {
        bot_app: Some("A2".to_owned()),
        ..facts()
    };
    let words = bad(&mixed, &settings).join("\n");
    assert!(
        words.contains("app A1 and bot_token of the app A2"),
        "{words}"
    );
}

#[test]
fn a_person_s_token_is_told_from_a_bot_s() {
    let mut facts = facts();
    facts.bot.as_mut().unwrap().bot_id = None;
    let words = bad(&facts, &settings(vec![], 0)).join("\n");
    assert!(words.contains("of a person"), "{words}");
}

#[test]
fn channels_beyond_the_limit_are_told_as_not_tested() {
    let told = |channels| {
        let settings = settings(vec![], channels);
        let findings = findings(&facts(), &settings);
        findings
            .iter()
            .any(|finding| finding.words.contains("were tested"))
    };
    assert!(!told(NAMED_MAX - 1) && !told(NAMED_MAX) && told(NAMED_MAX + 1));
}

#[test]
fn so_many_groups_are_named_as_a_hint_and_no_more() {
    let settings = settings(vec![SlackRule::UserGroup("deckhands".to_owned())], 0);
    for (groups, named) in [
        (0, 0),
        (HINTS_MAX - 1, HINTS_MAX - 1),
        (HINTS_MAX, HINTS_MAX),
        (HINTS_MAX + 1, HINTS_MAX),
    ] {
        let groups = (0..groups).map(|number| (format!("g{number}"), None));
        let facts = Facts {
            groups: Some(Ok(groups.collect())),
            ..facts()
        };
        let words = bad(&facts, &settings).join("\n");
        assert_eq!(words.matches("@g").count(), named, "{words}");
    }
}

#[test]
fn a_token_that_expires_is_told_what_to_do() {
    let refused = |code| {
        let bot = Err(WebError::of_code("auth.test", code));
        let facts = Facts { bot, ..facts() };
        bad(&facts, &settings(vec![], 0)).join("\n")
    };
    assert!(refused("token_expired").contains("turn token rotation off"));
    assert!(refused("not_allowed_token_type").contains("of the wrong kind"));
    let unknown = refused("team_access_not_granted");
    assert!(unknown.contains("could not be tested"), "{unknown}");
}
