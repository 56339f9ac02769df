//! What Slack's answers mean for whoever sets an app up: each thing that is wrong, and the place in
//! Slack's pages where it is put right. Pure.

use crate::config::types::{Slack, SlackRule};
use crate::handlers::channels::slack::authorize::{User, check_standing};
use crate::handlers::channels::slack::check::NAMED_MAX;
use crate::handlers::channels::slack::needs::{self, EVENTS, Need};
use crate::handlers::channels::slack::web::WebError;
use crate::handlers::channels::slack::web::standing::{Place, Standing};

/// Where an app's pages are.
const PAGES: &str = "https://api.slack.com/apps";

/// Handles of groups that are named as a hint; of more, these.
const HINTS_MAX: usize = 20;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It is as it should be.
    Good,
    /// Somebody should look at it.
    Note,
    /// Something will not work.
    Bad,
}

/// One thing that is known of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// A sentence for the operator, without its beginning and its final period.
    pub words: String,
}

impl Finding {
    fn good(words: String) -> Self {
        let weight = Weight::Good;
        Self { weight, words }
    }

    fn note(words: String) -> Self {
        let weight = Weight::Note;
        Self { weight, words }
    }

    /// Returns a finding that something will not work.
    pub fn bad(words: String) -> Self {
        let weight = Weight::Bad;
        Self { weight, words }
    }
}

/// A group by its handle, with the number of its members if a rule names it.
pub type Counted = (String, Option<usize>);

/// What Slack answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whose bot token it is.
    pub bot: Result<Standing, WebError>,
    /// Which app the app-level token is of.
    pub app: Result<Standing, WebError>,
    /// Whether a socket could be opened.
    pub socket: Result<(), WebError>,
    /// Which app the bot is of, where that could be asked.
    pub bot_app: Option<String>,
    /// The allowed channels that were asked about, by id.
    pub channels: Vec<(String, Result<Place, WebError>)>,
    /// The workspace's groups; nothing where none was asked for.
    pub groups: Option<Result<Vec<Counted>, WebError>>,
    /// The users that rules name and that were asked about, by id.
    pub users: Vec<(String, Result<User, WebError>)>,
}

/// Returns what is worth saying, in the order in which it is put right.
pub fn findings(facts: &Facts, settings: &Slack) -> Vec<Finding> {
    let mut findings = vec![of_app(facts)];
    match &facts.bot {
        Ok(standing) => {
            findings.extend(of_bot(standing));
            findings.extend(of_apps(facts));
            findings.extend(of_channels(facts, standing, settings));
            findings.extend(of_rules(facts, standing, settings));
        }
        Err(error) => findings.push(of_token(error, "bot_token", BOT_TOKEN_PLACE)),
    }
    findings.push(events());
    findings
}

const BOT_TOKEN_PLACE: &str = "OAuth & Permissions, Bot User OAuth Token";
const APP_TOKEN_PLACE: &str = "Basic Information, App-Level Tokens";

fn of_app(facts: &Facts) -> Finding {
    match &facts.socket {
        Ok(()) => Finding::good("Slack: app_token opens sockets".to_owned()),
        Err(error) if error.code() == Some("missing_scope") => Finding::bad(format!(
            "Slack: app_token lacks the scope connections:write: generate one that has it at {PAGES} \
             ({APP_TOKEN_PLACE})"
        )),
        Err(error) => of_token(error, "app_token", APP_TOKEN_PLACE),
    }
}

/// Returns what is wrong with a token that Slack refuses.
fn of_token(error: &WebError, token: &str, place: &str) -> Finding {
    let code = error.code().unwrap_or_default();
    let what = match code {
        "token_revoked" | "account_inactive" => {
            "was revoked, or the app was removed from the workspace: install the app again and copy \
             the token anew"
        }
        "token_expired" => {
            "has expired: turn token rotation off, which Airut does not take part in, and copy the \
             token anew"
        }
        "invalid_auth" | "not_authed" => "is none that Slack knows: copy it anew and whole",
        "not_allowed_token_type" => "is of the wrong kind: copy the one of this place",
        _ => return Finding::bad(format!("Slack: {token} could not be tested: {error}")),
    };
    Finding::bad(format!(
        "Slack: {token} {what}, from {PAGES} ({place}); Slack says {code}"
    ))
}

fn of_bot(standing: &Standing) -> Vec<Finding> {
    let Standing {
        team, url, user, ..
    } = standing;
    let mut findings = vec![Finding::good(format!(
        "Slack: bot_token is that of {user} in the workspace {team} ({url})"
    ))];
    if standing.bot_id.is_none() {
        findings.push(Finding::bad(
            "Slack: bot_token is that of a person and not of a bot".to_owned(),
        ));
    }
    let missing = needs::missing(&standing.scopes);
    findings.extend(missing.iter().map(of_missing));
    if !missing.is_empty() {
        findings.push(Finding::note(format!(
            "Slack: a scope is added at {PAGES} (OAuth & Permissions, Bot Token Scopes, Add an OAuth \
             Scope), or all at once by pasting config/slack-app-manifest.json (App Manifest); then \
             reinstall the app (Install App)"
        )));
    }
    let all = needs::needs();
    let is_needless = |scope: &&String| all.iter().all(|need| need.scope != scope.as_str());
    let needless: Vec<&str> = standing
        .scopes
        .iter()
        .filter(is_needless)
        .map(String::as_str)
        .collect();
    if !needless.is_empty() {
        let scopes = listed(&needless);
        findings.push(Finding::note(format!(
            "Slack: bot_token may do more than Airut needs; take away {scopes} if nothing else uses it"
        )));
    }
    findings
}

fn of_missing(need: &Need) -> Finding {
    let uses: Vec<&str> = need.uses.iter().map(String::as_str).collect();
    Finding::bad(format!(
        "Slack: the scope {} is missing, which is needed for {}",
        need.scope,
        listed(&uses)
    ))
}

/// The socket of one app hears nothing of what is said to another.
fn of_apps(facts: &Facts) -> Option<Finding> {
    let of_socket = facts.app.as_ref().ok()?.app_id.as_ref()?;
    let of_bot = facts.bot_app.as_ref()?;
    (of_socket != of_bot).then(|| {
        Finding::bad(format!(
            "Slack: app_token is of the app {of_socket} and bot_token of the app {of_bot}: take both \
             from the same app"
        ))
    })
}

fn of_channels(facts: &Facts, standing: &Standing, settings: &Slack) -> Vec<Finding> {
    let user = &standing.user;
    let judge = |(id, place): &(String, Result<Place, WebError>)| match place {
        Ok(place) if place.is_archived => Finding::bad(format!(
            "Slack: the allowed channel #{} ({id}) is archived",
            place.name
        )),
        Ok(place) if place.is_member => {
            Finding::good(format!("Slack: the app is in #{} ({id})", place.name))
        }
        Ok(place) => Finding::bad(format!(
            "Slack: the app is not in the allowed channel #{} ({id}): write `/invite @{user}` there",
            place.name
        )),
        Err(error) if error.code() == Some("channel_not_found") => Finding::bad(format!(
            "Slack: there is no channel {id}, or it is private and the app is not in it: correct \
             allowed_channels, or write `/invite @{user}` there"
        )),
        Err(error) => Finding::bad(format!(
            "Slack: the channel {id} could not be tested: {error}"
        )),
    };
    let mut findings: Vec<Finding> = facts.channels.iter().map(judge).collect();
    let named = settings.allowed_channels.len();
    if named > NAMED_MAX {
        findings.push(Finding::note(format!(
            "Slack: of {named} allowed channels the first {NAMED_MAX} were tested"
        )));
    }
    findings
}

fn of_rules(facts: &Facts, standing: &Standing, settings: &Slack) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &settings.authorized {
        match rule {
            SlackRule::WorkspaceMembers(true) => {}
            SlackRule::WorkspaceMembers(false) => findings.push(Finding::note(
                "Slack: `workspace_members: false` permits nobody and can be left out".to_owned(),
            )),
            SlackRule::UserGroup(handle) => findings.extend(of_group(handle, facts)),
            SlackRule::UserId(id) => findings.extend(of_user(id, facts, &standing.team_id)),
        }
    }
    findings
}

fn of_group(handle: &str, facts: &Facts) -> Option<Finding> {
    let groups = match facts.groups.as_ref()? {
        Ok(groups) => groups,
        Err(error) => {
            let words = format!("Slack: the group @{handle} could not be tested: {error}");
            return Some(Finding::bad(words));
        }
    };
    let found = groups.iter().find(|(other, _)| other == handle);
    Some(match found {
        Some((_, Some(0))) => Finding::note(format!("Slack: the group @{handle} has no members")),
        Some((_, Some(members))) => {
            Finding::good(format!("Slack: the group @{handle} has {members} members"))
        }
        Some((_, None)) => return None,
        None => {
            let handles: Vec<String> = groups
                .iter()
                .take(HINTS_MAX)
                .map(|(handle, _)| format!("@{handle}"))
                .collect();
            let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
            let there = match handles.len() {
                0 => "the workspace has none".to_owned(),
                _ => format!("the workspace has {}", listed(&handles)),
            };
            Finding::bad(format!(
                "Slack: there is no user group @{handle}, or it is disabled, so its rule permits \
                 nobody; {there}"
            ))
        }
    })
}

fn of_user(id: &str, facts: &Facts, team: &str) -> Option<Finding> {
    let (_, answer) = facts.users.iter().find(|(asked, _)| asked == id)?;
    match answer {
        Ok(user) => {
            let (_, why) = check_standing(user, team).err()?;
            Some(Finding::bad(format!(
                "Slack: the rule for {id} permits nobody: {why}"
            )))
        }
        Err(error) if error.code() == Some("user_not_found") => Some(Finding::bad(format!(
            "Slack: there is no user {id} in this workspace: copy the member ID from their profile"
        ))),
        Err(error) => Some(Finding::bad(format!(
            "Slack: the user {id} could not be tested: {error}"
        ))),
    }
}

/// No method tells which events an app is sent.
fn events() -> Finding {
    let events: Vec<&str> = EVENTS.iter().map(|(event, _)| *event).collect();
    Finding::note(format!(
        "Slack: it does not say which events an app is sent; if messages do not arrive, see at {PAGES} \
         that Socket Mode and Interactivity are on and that Event Subscriptions names {}",
        listed(&events)
    ))
}

fn listed(items: &[&str]) -> String {
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests;
