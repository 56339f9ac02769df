//! Who may use a repository over Slack (spec rows SLK-08 and SLK-09): Slack's own word for its user,
//! and the rules of the configuration, of which the first that matches permits. Pure; it asks nobody.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::types::SlackRule;
use crate::events::message::RejectionReason;

/// Slack's own assistant, which its API does not call a bot.
const SLACKBOT: &str = "USLACKBOT";

/// A user (`users.info`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    /// Their id.
    pub id: String,
    /// Their workspace.
    pub team_id: String,
    /// Their short name.
    pub name: String,
    /// Their full name.
    pub real_name: Option<String>,
    /// Whether they are deactivated.
    pub deleted: bool,
    /// Whether it is a bot.
    pub is_bot: bool,
    /// Whether it is a workflow.
    pub is_workflow_bot: bool,
    /// Whether they are of another workspace, in a channel that two share.
    pub is_stranger: bool,
    /// Whether they are a guest of several channels.
    pub is_restricted: bool,
    /// Whether they are a guest of one channel.
    pub is_ultra_restricted: bool,
    /// Whether they were invited and have not come yet.
    pub is_invited_user: bool,
    /// What they say of themselves.
    pub profile: Profile,
}

/// What a user says of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// What they want to be called.
    pub display_name: Option<String>,
    /// Their full name.
    pub real_name: Option<String>,
}

impl User {
    /// Returns what they are called.
    pub fn called(&self) -> &str {
        let profile = &self.profile;
        let names = [&profile.display_name, &self.real_name, &profile.real_name];
        let mut names = names.into_iter().flatten().map(|name| name.trim());
        names
            .find(|name| !name.is_empty())
            .unwrap_or(self.name.as_str())
    }

    fn is_guest(&self) -> bool {
        self.is_restricted || self.is_ultra_restricted || self.is_invited_user
    }
}

/// Members of the user groups that rules name, by handle; a group that cannot be asked for has words
/// that say why.
pub type Groups = BTreeMap<String, Result<Vec<String>, String>>;

/// Why a user may not use a repository.
pub type Refusal = (RejectionReason, String);

/// Returns why Slack's word for a user is not enough, whatever the rules say.
///
/// # Errors
/// [`Refusal`].
pub fn check_standing(user: &User, team: &str) -> Result<(), Refusal> {
    let refused = |what: &str| {
        let detail = format!("{} {what}", user.id);
        Err((RejectionReason::NotAuthorized, detail))
    };
    if user.is_bot || user.is_workflow_bot || user.id == SLACKBOT {
        return refused("is a bot");
    }
    if user.deleted {
        return refused("is deactivated");
    }
    if user.is_stranger || user.team_id != team {
        return refused("is of another workspace");
    }
    Ok(())
}

/// Returns the first rule that permits a user, in words.
///
/// # Errors
/// [`Refusal`], which says which groups could not be asked for.
pub fn rule_for(user: &User, rules: &[SlackRule], groups: &Groups) -> Result<String, Refusal> {
    let mut unknown = Vec::new();
    for rule in rules {
        let permits = match rule {
            SlackRule::WorkspaceMembers(members) => *members && !user.is_guest(),
            SlackRule::UserId(id) => *id == user.id,
            SlackRule::UserGroup(handle) => match groups.get(handle) {
                Some(Ok(members)) => members.contains(&user.id),
                Some(Err(words)) => {
                    unknown.push(format!("{handle}: {words}"));
                    false
                }
                None => false,
            },
        };
        if permits {
            return Ok(words(rule));
        }
    }
    let mut detail = format!("{} matches no rule of authorized", user.id);
    if !unknown.is_empty() {
        detail = format!("{detail}; {}", unknown.join("; "));
    }
    Err((RejectionReason::NotAuthorized, detail))
}

/// Returns the handles of the groups that must be asked for, before it is known whether a user is
/// permitted: none after a rule that permits them already.
pub fn groups_needed<'a>(user: &User, rules: &'a [SlackRule]) -> Vec<&'a str> {
    let mut needed = Vec::new();
    for rule in rules {
        match rule {
            SlackRule::UserGroup(handle) => needed.push(handle.as_str()),
            SlackRule::WorkspaceMembers(true) if !user.is_guest() => break,
            SlackRule::UserId(id) if *id == user.id => break,
            SlackRule::WorkspaceMembers(_) | SlackRule::UserId(_) => {}
        }
    }
    needed
}

fn words(rule: &SlackRule) -> String {
    match rule {
        SlackRule::WorkspaceMembers(members) => format!("workspace_members: {members}"),
        SlackRule::UserGroup(handle) => format!("user_group: {handle}"),
        SlackRule::UserId(id) => format!("user_id: {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(change: impl FnOnce(&mut User)) -> User {
        let mut user = User {
            id: "U1".to_owned(),
            team_id: "T1".to_owned(),
            name: "alice".to_owned(),
            ..User::default()
        };
        change(&mut user);
        user
    }

    #[test]
    fn m4_slk_09_bots_deactivated_users_and_strangers_are_refused_whatever_the_rules_say() {
        let check = |change: fn(&mut User), expected: &str| {
            let (reason, detail) = check_standing(&user(change), "T1").unwrap_err();
            assert_eq!(reason, RejectionReason::NotAuthorized);
            assert!(detail.contains(expected), "{detail}");
        };
        check(|user| user.is_bot = true, "U1 is a bot");
        check(|user| user.is_workflow_bot = true, "U1 is a bot");
        check(|user| user.id = SLACKBOT.to_owned(), "USLACKBOT is a bot");
        check(|user| user.deleted = true, "deactivated");
        check(|user| user.is_stranger = true, "another workspace");
        check(|user| user.team_id = "T2".to_owned(), "another workspace");
        check(|user| user.team_id = String::new(), "another workspace");
        check_standing(&user(|_| {}), "T1").unwrap();
    }

    fn permits(user: &User, rules: &[SlackRule], groups: &Groups) -> Option<String> {
        rule_for(user, rules, groups).ok()
    }

    #[test]
    fn slk_08_the_first_rule_that_matches_permits() {
        let group = || SlackRule::UserGroup("crew".to_owned());
        let id = |id: &str| SlackRule::UserId(id.to_owned());
        let members = SlackRule::WorkspaceMembers(true);
        let with = |members: &[&str]| {
            let members = members.iter().map(|id| (*id).to_owned()).collect();
            Groups::from([("crew".to_owned(), Ok(members))])
        };
        let alice = user(|_| {});
        let rules = [id("U2"), group(), members.clone()];
        let by = |groups| permits(&alice, &rules, &groups);
        assert_eq!(by(with(&["U1"])).unwrap(), "user_group: crew");
        assert_eq!(by(with(&["U9"])).unwrap(), "workspace_members: true");
        assert_eq!(
            permits(&alice, &[id("U1"), members], &with(&[])).unwrap(),
            "user_id: U1"
        );
        let nobody = SlackRule::WorkspaceMembers(false);
        assert_eq!(permits(&alice, &[nobody], &with(&[])), None);
        assert_eq!(
            permits(&alice, &[id("U11"), group()], &with(&["U11"])),
            None
        );
    }

    #[test]
    fn m4_a_guest_is_no_member_but_may_be_named() {
        let rules = [SlackRule::WorkspaceMembers(true)];
        let none = Groups::new();
        for change in [
            (|user: &mut User| user.is_restricted = true) as fn(&mut User),
            |user| user.is_ultra_restricted = true,
            |user| user.is_invited_user = true,
        ] {
            let guest = user(change);
            assert_eq!(permits(&guest, &rules, &none), None);
            let named = [SlackRule::UserId("U1".to_owned())];
            assert!(permits(&guest, &named, &none).is_some());
        }
    }

    #[test]
    fn a_group_that_cannot_be_asked_for_permits_nobody_and_is_told() {
        let groups = Groups::from([("crew".to_owned(), Err("missing_scope".to_owned()))]);
        let rules = [SlackRule::UserGroup("crew".to_owned())];
        let (_, detail) = rule_for(&user(|_| {}), &rules, &groups).unwrap_err();
        assert!(detail.contains("crew: missing_scope"), "{detail}");
    }

    #[test]
    fn groups_are_asked_for_only_where_they_decide() {
        let group = |handle: &str| SlackRule::UserGroup(handle.to_owned());
        let rules = [group("a"), SlackRule::WorkspaceMembers(true), group("b")];
        assert_eq!(groups_needed(&user(|_| {}), &rules), ["a"]);
        let guest = user(|user| user.is_restricted = true);
        assert_eq!(groups_needed(&guest, &rules), ["a", "b"]);
    }

    #[test]
    fn slk_27_a_user_is_called_as_they_want_to_be() {
        let display = |name: &str| {
            let name = Some(name.to_owned());
            user(|user| user.profile.display_name = name)
        };
        assert_eq!(display("Ali").called(), "Ali");
        assert_eq!(display(" ").called(), "alice");
        let real = user(|user| user.real_name = Some("Alice Smith".to_owned()));
        assert_eq!(real.called(), "Alice Smith");
    }
}
