//! Messages and pressed buttons as the intake takes them in: with what makes them the same when they
//! are met again. Pure.

use serde_json::{Value, json};

use crate::events::id::{ChannelKind, RepoId};
use crate::events::message::MessageSource;
use crate::handlers::channels::Incoming;
use crate::handlers::channels::slack::mentions_in::{Names, resolved};
use crate::handlers::channels::slack::parse::{Message, Press};
use crate::handlers::channels::slack::web::reading::Own;

/// Media type of what Slack told, byte for byte.
pub const MEDIA_TYPE: &str = "application/json";

/// What Slack told, and by which event.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The repository whose app was told.
    pub repo: &'a RepoId,
    /// Who Airut is.
    pub own: &'a Own,
    /// Slack's event id; empty where there is none.
    pub event_id: &'a str,
    /// The payload.
    pub payload: &'a str,
}

/// Returns what makes a message the same, however often and in whatever event an app is told of it;
/// the app of another repository that is mentioned in it is meant, too.
pub fn message_key((repo, own): (&RepoId, &Own), channel: &str, ts: &str) -> String {
    format!("slack:{repo}:{}:{channel}:{ts}", own.team_id)
}

/// Returns a message as it is taken in.
pub fn message(told: Told<'_>, message: &Message) -> Incoming {
    let text = resolved(&message.text, &told.own.user_id, &Names::default());
    let source = MessageSource::Slack {
        event_id: told.event_id.to_owned(),
        channel: message.channel.clone(),
        ts: message.ts.clone(),
        thread: message.thread().to_owned(),
    };
    let claimed = message.user.as_ref().or(message.bot_id.as_ref());
    Incoming {
        dedupe_key: message_key((told.repo, told.own), &message.channel, &message.ts),
        claimed_sender: claimed.cloned().unwrap_or_default(),
        title: text.lines().next().unwrap_or_default().to_owned(),
        ..incoming(told, source)
    }
}

/// Returns a pressed button as it is taken in: it counts once for each time and person.
pub fn press(told: Told<'_>, press: &Press) -> Incoming {
    let source = MessageSource::Slack {
        event_id: told.event_id.to_owned(),
        channel: press.channel.clone(),
        ts: press.at.clone(),
        thread: press.thread.clone(),
    };
    let (repo, team, at, user) = (told.repo, &told.own.team_id, &press.at, &press.user);
    Incoming {
        dedupe_key: format!("slack:{repo}:{team}:action:{at}:{user}"),
        claimed_sender: user.clone(),
        title: press.action.clone(),
        ..incoming(told, source)
    }
}

fn incoming(told: Told<'_>, source: MessageSource) -> Incoming {
    Incoming {
        repo: told.repo.clone(),
        channel: ChannelKind::Slack,
        source,
        dedupe_key: String::new(),
        raw: told.payload.as_bytes().to_vec(),
        media_type: MEDIA_TYPE.to_owned(),
        claimed_sender: String::new(),
        title: String::new(),
    }
}

/// Returns a message of a channel's history as the event that was missed.
pub fn as_event(channel: &str, message: &Value) -> String {
    let mut event = message.clone();
    event["type"] = "message".into();
    event["channel"] = channel.into();
    json!({ "type": "event_callback", "event": event }).to_string()
}

/// Returns a message as it is after a change, as though it had been written like that.
pub fn as_changed(channel: &str, payload: &str) -> String {
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    as_event(channel, &payload["event"]["message"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::channels::slack::parse::{self, payload};

    fn own() -> Own {
        Own {
            team_id: "T1".to_owned(),
            user_id: "UBOT".to_owned(),
            bot_id: None,
        }
    }

    fn taken(payload_text: &str) -> Incoming {
        taken_by("work", payload_text)
    }

    fn taken_by(repo: &str, payload_text: &str) -> Incoming {
        let (event_id, told) = payload(payload_text);
        let parse::Told::Said(said) = told else {
            panic!("{told:?}");
        };
        let repo = RepoId(repo.to_owned());
        let told = Told {
            repo: &repo,
            own: &own(),
            event_id: &event_id,
            payload: payload_text,
        };
        message(told, &said)
    }

    #[test]
    fn slk_07_a_mention_a_message_and_the_history_tell_of_the_same_message() {
        let event = |kind: &str, id: &str| {
            format!(
                r#"{{"type":"event_callback","event_id":"{id}","event":{{"type":"{kind}",
                "channel":"C1","ts":"1.000001","user":"U1","text":"<@UBOT> do\nit"}}}}"#
            )
        };
        let mention = taken(&event("app_mention", "Ev1"));
        let told = taken(&event("message", "Ev2"));
        let history = json!({"type": "message", "ts": "1.000001", "user": "U1", "text": "x"});
        let missed = taken(&as_event("C1", &history));
        assert_eq!(mention.dedupe_key, "slack:work:T1:C1:1.000001");
        assert_eq!(mention.dedupe_key, told.dedupe_key);
        assert_eq!(mention.dedupe_key, missed.dedupe_key);
        assert_eq!(
            (mention.title.as_str(), mention.claimed_sender.as_str()),
            ("do", "U1")
        );
        assert_ne!(mention.source, told.source);
        let other = taken_by("other", &event("app_mention", "Ev3"));
        assert_ne!(other.dedupe_key, mention.dedupe_key, "its app is another");
    }
}
