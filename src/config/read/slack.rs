//! `repos.<id>.slack`: a Slack app and who may write to it (spec `config.md`). Pure.

use std::net::IpAddr;

use http::Uri;
use secrecy::SecretString;

use crate::config::section::{Scalar, Section};
use crate::config::types::{Slack, SlackRule};
use crate::config::yaml::{Problem, Value};

/// Where Slack's Web API is.
const API_URL: &str = "https://slack.com/api";

/// What bot tokens begin with.
const BOT_PREFIX: &str = "xoxb-";

/// What app-level tokens begin with.
const APP_PREFIX: &str = "xapp-";

/// Most rules of `authorized`; more are an error.
const RULES_MAX: usize = 1_000;

/// Reads a Slack app.
pub(super) fn slack(mut section: Section) -> Result<Slack, Problem> {
    let api_url = section.scalar("api_url")?;
    let slack = Slack {
        bot_token: token(&section.required("bot_token")?, BOT_PREFIX)?,
        app_token: token(&section.required("app_token")?, APP_PREFIX)?,
        authorized: rules(&mut section)?,
        allowed_channels: channels(&mut section)?,
        api_url: api_url.map_or_else(|| Ok(API_URL.to_owned()), |at| api_url_of(&at))?,
    };
    section.end()?;
    Ok(slack)
}

/// The two tokens are easily mistaken for one another, and Slack's own error does not say so.
fn token(scalar: &Scalar, prefix: &str) -> Result<SecretString, Problem> {
    let token = scalar.text.trim();
    let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
    let other = match prefix {
        BOT_PREFIX => (
            APP_PREFIX,
            "an app-level token, which belongs into app_token",
        ),
        _ => (BOT_PREFIX, "a bot token, which belongs into bot_token"),
    };
    if token.starts_with(other.0) {
        let what = format!("begins with {prefix}; this is {}", other.1);
        return Err(scalar.problem(&format!("must be a token that {what}")));
    }
    if !token.starts_with(prefix) || !printable {
        return Err(scalar.problem(&format!("must be a token that begins with {prefix}")));
    }
    Ok(token.to_owned().into())
}

/// The tokens go there: over https, or to this very machine, where tests have their stand-in.
fn api_url_of(scalar: &Scalar) -> Result<String, Problem> {
    let expected = "an https address such as https://slack.com/api";
    let url = scalar.text.trim().trim_end_matches('/');
    let uri = url
        .parse::<Uri>()
        .map_err(|_| scalar.problem(&format!("must be {expected}")))?;
    let host = uri.host().unwrap_or_default();
    let is_safe = match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_loopback(host),
        Some(_) | None => false,
    };
    if !is_safe || uri.query().is_some() || url.contains('@') {
        return Err(scalar.problem(&format!("must be {expected}")));
    }
    Ok(url.to_owned())
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn rules(section: &mut Section) -> Result<Vec<SlackRule>, Problem> {
    let (place, path) = (section.place(), section.path_of("authorized"));
    let missing = || Problem::at(place, format!("{path} must be a list of at least one rule"));
    let node = section.take("authorized").ok_or_else(missing)?;
    let place = node.place;
    let Value::List(items) = node.value else {
        return Err(Problem::at(
            place,
            format!("{path} must be a list of rules"),
        ));
    };
    let present = items.into_iter().filter(|item| item.value != Value::Absent);
    let read = |item| rule(Section::new(&path, item)?);
    let rules: Vec<SlackRule> = present.map(read).collect::<Result<_, _>>()?;
    match rules.len() {
        0 => Err(missing()),
        1..=RULES_MAX => Ok(rules),
        _ => {
            let what = format!("{path} has more than {RULES_MAX} rules; use a user_group");
            Err(Problem::at(place, what))
        }
    }
}

/// Reads one rule: a mapping with exactly one key (spec row SLK-08).
fn rule(mut section: Section) -> Result<SlackRule, Problem> {
    let place = section.place();
    let members = section.scalar("workspace_members")?;
    let group = section.scalar("user_group")?;
    let user = section.scalar("user_id")?;
    section.end()?;
    match (members, group, user) {
        (Some(members), None, None) => Ok(SlackRule::WorkspaceMembers(members.boolean()?)),
        (None, Some(group), None) => group_of(&group).map(SlackRule::UserGroup),
        (None, None, Some(user)) => id_of(&user, "UW").map(SlackRule::UserId),
        _ => {
            let what = "each rule of authorized has exactly one of workspace_members, user_group \
                        and user_id";
            Err(Problem::at(place, what.to_owned()))
        }
    }
}

/// Reads a group's handle, with or without its `@`.
fn group_of(scalar: &Scalar) -> Result<String, Problem> {
    let handle = scalar.text.trim().trim_start_matches('@');
    if handle.is_empty() || handle.contains(char::is_whitespace) {
        return Err(scalar.problem("must be a group's handle, for example deckhands"));
    }
    Ok(handle.to_owned())
}

fn id_of(scalar: &Scalar, kinds: &str) -> Result<String, Problem> {
    let id = scalar.text.trim();
    let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    if id.len() < 2 || !id.starts_with(|c| kinds.contains(c)) || !id.chars().all(is_plain) {
        let kind = kinds.chars().next().unwrap_or_default();
        let what = format!(
            "names {id:?}, which is no id of Slack's; it looks like {kind}0123ABCD and stands in \
             Slack's own details of it"
        );
        return Err(scalar.problem(&what));
    }
    Ok(id.to_owned())
}

fn channels(section: &mut Section) -> Result<Vec<String>, Problem> {
    let channels = section.scalars("allowed_channels")?.unwrap_or_default();
    let id = |channel: &Scalar| id_of(channel, "CG");
    channels.iter().map(id).collect()
}

#[cfg(test)]
mod tests;
