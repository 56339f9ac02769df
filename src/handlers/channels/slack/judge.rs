//! What becomes of a message or a pressed button, once Slack has said who it is from. Pure: the same
//! bytes, findings and rules give the same judgement.

use crate::config::types::SlackRule;
use crate::events::message::{AuthenticationMethod, RejectionReason, ReplyAddress};
use crate::handlers::channels::local::message::make_names_safe;
use crate::handlers::channels::slack::authorize::{
    Groups, Refusal, User, check_standing, rule_for,
};
use crate::handlers::channels::slack::blocks;
use crate::handlers::channels::slack::history::History;
use crate::handlers::channels::slack::mentions_in::{Names, resolved};
use crate::handlers::channels::slack::parse::{Message, Press, Told, payload};
use crate::handlers::channels::slack::web::reading::Own;
use crate::handlers::channels::{Attachment, Triage, Triaged};

/// Who a message is from, as Slack says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// A user.
    Known(Box<User>),
    /// Slack knows no such user.
    Unknown {
        /// The id.
        id: String,
        /// Slack's code.
        code: String,
    },
    /// A bot, or nobody at all.
    NoUser,
}

/// What became of a shared file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    /// It was fetched.
    Fetched(Attachment),
    /// It could not be.
    Missing {
        /// Its name.
        name: String,
        /// Why, for its sender.
        why: String,
    },
}

/// What Slack says about a message beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Who Airut is.
    pub own: Own,
    /// Who it is from.
    pub sender: Sender,
    /// Members of the groups that decide.
    pub groups: Groups,
    /// What those are called that it mentions; asked for only once its sender is permitted.
    pub names: Names,
    /// What was written in its thread before Airut was mentioned there, likewise.
    pub history: Option<History>,
    /// Its files, likewise.
    pub files: Vec<Brought>,
}

/// What stands for a message without words (spec row SLK-26).
const WORDLESS: &str = "(The user mentioned you without further words.)";

/// Returns who is permitted, and by which rule.
///
/// # Errors
/// [`Refusal`].
pub fn permitted<'a>(
    findings: &'a Findings,
    rules: &[SlackRule],
) -> Result<(&'a User, String), Refusal> {
    let refused = |detail: String| Err((RejectionReason::NotAuthorized, detail));
    match &findings.sender {
        Sender::Known(user) => {
            check_standing(user, &findings.own.team_id)?;
            Ok((user, rule_for(user, rules, &findings.groups)?))
        }
        Sender::Unknown { id, code } => refused(format!("Slack does not know {id}: {code}")),
        Sender::NoUser => refused("a bot wrote it".to_owned()),
    }
}

/// Judges a payload.
pub fn judge(raw: &[u8], rules: &[SlackRule], findings: &Findings) -> Triage {
    let told = std::str::from_utf8(raw).map(payload);
    let rejected = |(reason, detail)| Triage::Rejected { reason, detail };
    let (user, rule) = match permitted(findings, rules) {
        Ok(permitted) => permitted,
        Err(refusal) => return rejected(refusal),
    };
    match told {
        Ok((_, Told::Said(message))) => accepted(triaged(&message, user, rule, findings)),
        Ok((_, Told::Pressed(press))) => match command(&press.action) {
            Some(command) => accepted(ordered(&press, command, user, rule, findings)),
            None => rejected((
                RejectionReason::Filtered,
                format!("{} is no button of Airut's", press.action),
            )),
        },
        _ => rejected((
            RejectionReason::Unreadable,
            "it is no message of Slack's".to_owned(),
        )),
    }
}

fn accepted(triaged: Triaged) -> Triage {
    Triage::Accepted(Box::new(triaged))
}

fn command(action: &str) -> Option<&'static str> {
    match action {
        blocks::STOP => Some("/stop"),
        blocks::STATUS => Some("/status"),
        _ => None,
    }
}

fn triaged(message: &Message, user: &User, rule: String, findings: &Findings) -> Triaged {
    let own = &findings.own.user_id;
    let mut attachments = Vec::new();
    let mut missing = Vec::new();
    for brought in &findings.files {
        match brought {
            Brought::Fetched(file) => attachments.push(file.clone()),
            Brought::Missing { name, why } => missing.push(format!("* {name}: {why}")),
        }
    }
    make_names_safe(&mut attachments);
    let mut text = resolved(&message.text, own, &findings.names);
    if text.is_empty() && attachments.is_empty() {
        text = WORDLESS.to_owned();
    }
    if !missing.is_empty() {
        let missing = missing.join("\n");
        text = format!("{text}\n\nThese files came with it and could not be fetched:\n\n{missing}");
    }
    if let Some(history) = &findings.history {
        let history = history.text(own, &findings.names);
        text = format!("{text}\n\nWhat was written in this thread before:\n\n{history}");
    }
    let reply_to = ReplyAddress::Slack {
        channel: message.channel.clone(),
        thread: message.thread().to_owned(),
        message: message.ts.clone(),
    };
    Triaged {
        body: text,
        attachments,
        ..of_user(user, rule, findings, reply_to)
    }
}

/// A pressed button is the command that it stands for; there is no message to mark as answered.
fn ordered(
    press: &Press,
    command: &str,
    user: &User,
    rule: String,
    findings: &Findings,
) -> Triaged {
    let reply_to = ReplyAddress::Slack {
        channel: press.channel.clone(),
        thread: press.thread.clone(),
        message: String::new(),
    };
    Triaged {
        body: command.to_owned(),
        ..of_user(user, rule, findings, reply_to)
    }
}

fn of_user(user: &User, rule: String, findings: &Findings, reply_to: ReplyAddress) -> Triaged {
    Triaged {
        method: AuthenticationMethod::Slack,
        identity: user.id.clone(),
        sender_name: user.called().to_owned(),
        evidence: format!("users.info of the workspace {}", findings.own.team_id),
        rule,
        body: String::new(),
        subject: String::new(),
        conversation_hint: None,
        invites: vec![],
        // Nobody names a model over Slack but with the command (spec row SLK-28).
        model_hint: None,
        attachments: vec![],
        reply_to,
    }
}

#[cfg(test)]
mod tests;
