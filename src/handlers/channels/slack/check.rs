//! Asking Slack whether an app is set up: tokens, scopes, and the channels, groups and users that its
//! configuration names. Nothing is posted and nothing kept; what the answers mean is said elsewhere.

use std::time::Duration;

use crate::config::types::{Slack, SlackRule};
use crate::handlers::channels::slack::authorize::User;
use crate::handlers::channels::slack::needs;
use crate::handlers::channels::slack::web::standing::Standing;
use crate::handlers::channels::slack::web::{Web, WebError, WebSetupError};

pub mod findings;

pub use findings::{Counted, Facts, Finding, Weight, findings};

/// Longest time that asking about one app may take; then the check says so.
pub const CHECK_TIME_MAX: Duration = Duration::from_secs(120);

/// Most channels and users that are asked about; the others are told as not checked.
pub const NAMED_MAX: usize = 50;

/// Returns what an operator should know of an app.
pub async fn examine(settings: &Slack) -> Vec<Finding> {
    let web = match Web::new(settings) {
        Ok(web) => web,
        Err(error @ WebSetupError::Roots(_)) => return vec![Finding::bad(error.to_string())],
    };
    let asking = tokio::time::timeout(CHECK_TIME_MAX, Box::pin(facts(&web, settings)));
    match asking.await {
        Ok(facts) => findings(&facts, settings),
        Err(_) => {
            let limit = CHECK_TIME_MAX.as_secs();
            let words = format!("Slack did not answer everything within {limit} s: try again");
            vec![Finding::bad(words)]
        }
    }
}

async fn facts(web: &Web, settings: &Slack) -> Facts {
    let bot = web.bot_standing().await;
    let app = web.app_standing().await;
    let socket = web.try_to_open_a_socket().await;
    let mut facts = Facts {
        bot_app: None,
        bot,
        app,
        socket,
        channels: vec![],
        groups: None,
        users: vec![],
    };
    let Ok(standing) = facts.bot.clone() else {
        return facts;
    };
    // What cannot be asked for want of a scope is told as that and not once more.
    if may(&standing, "users.info") {
        if let Some(bot) = &standing.bot_id {
            facts.bot_app = web.app_of(bot).await.ok();
        }
        facts.users = users(web, settings).await;
    }
    if may(&standing, "conversations.info") {
        for channel in settings.allowed_channels.iter().take(NAMED_MAX) {
            let place = web.place(channel).await;
            facts.channels.push((channel.clone(), place));
        }
    }
    let is_group = |rule: &SlackRule| matches!(rule, SlackRule::UserGroup(_));
    if settings.authorized.iter().any(is_group) && may(&standing, "usergroups.list") {
        facts.groups = Some(groups(web, settings).await);
    }
    facts
}

fn may(standing: &Standing, method: &str) -> bool {
    let missing = needs::missing(&standing.scopes);
    let uses = missing.iter().flat_map(|need| &need.uses);
    !uses.into_iter().any(|used| used == method)
}

async fn users(web: &Web, settings: &Slack) -> Vec<(String, Result<User, WebError>)> {
    let ids = settings.authorized.iter().filter_map(|rule| match rule {
        SlackRule::UserId(id) => Some(id),
        SlackRule::WorkspaceMembers(_) | SlackRule::UserGroup(_) => None,
    });
    let mut users = Vec::new();
    for id in ids.take(NAMED_MAX) {
        users.push((id.clone(), web.user(id).await));
    }
    users
}

/// Returns the workspace's groups, by handle, with the number of members of those that rules name.
async fn groups(web: &Web, settings: &Slack) -> Result<Vec<Counted>, WebError> {
    let mut groups = Vec::new();
    for group in web.groups().await? {
        let rule = SlackRule::UserGroup(group.handle.clone());
        let members = match settings.authorized.contains(&rule) {
            true => Some(web.members(&group.id).await?.len()),
            false => None,
        };
        groups.push((group.handle, members));
    }
    Ok(groups)
}
