//! Ids as text and back: what logs, JSON, names of files and the command line show.

use std::fmt;
use std::str::FromStr;

use crate::events::id::{
    Actor, AtMs, ChannelKind, ConversationId, CredentialName, DeliveryId, InboundId, Position,
    RepoId, RequestId, RunId, SessionId, Sha256, StreamId, StreamVersion, TaskId,
};

/// An id whose text could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
}

fn parse_hex(text: &str, digits: usize, expected: &'static str) -> Result<u64, ParseIdError> {
    let valid = text.len() == digits
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let parsed = valid.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    parsed.ok_or_else(|| ParseIdError {
        text: text.to_owned(),
        expected,
    })
}

impl FromStr for ConversationId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let expected = "a conversation id (8 lowercase hexadecimal digits)";
        let value = parse_hex(text, 8, expected)?;
        Ok(Self(
            u32::try_from(value).expect("8 hexadecimal digits fit 32 bits"),
        ))
    }
}

impl FromStr for TaskId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text, 12, "a task id (12 lowercase hexadecimal digits)").map(Self)
    }
}

impl FromStr for DeliveryId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text, 16, "a delivery id (16 lowercase hexadecimal digits)").map(Self)
    }
}

impl FromStr for RunId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let expected = "a run id (a task id, a dot and the attempt's number)";
        let error = || ParseIdError {
            text: text.to_owned(),
            expected,
        };
        let (task, attempt) = text.split_once('.').ok_or_else(error)?;
        let attempt = attempt.parse().map_err(|_| error())?;
        Ok(Self {
            task: task.parse().map_err(|_| error())?,
            attempt,
        })
    }
}

impl FromStr for InboundId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bytes = hex::decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        let expected = "a message id (32 hexadecimal digits)";
        bytes.map(Self).ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            expected,
        })
    }
}

impl FromStr for Sha256 {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bytes = hex::decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        let expected = "a SHA-256 digest (64 hexadecimal digits)";
        bytes.map(Self).ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            expected,
        })
    }
}

impl FromStr for ChannelKind {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text {
            "local" => Ok(Self::Local),
            "email" => Ok(Self::Email),
            "slack" => Ok(Self::Slack),
            _ => Err(ParseIdError {
                text: text.to_owned(),
                expected: "a kind of channel",
            }),
        }
    }
}

impl FromStr for Actor {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError {
            text: text.to_owned(),
            expected: "an actor",
        };
        match text.split_once(':') {
            None if text == "system" => Ok(Self::System),
            None if text == "scheduler" => Ok(Self::Scheduler),
            Some(("channel", channel)) => {
                let (repo, kind) = channel.rsplit_once('/').ok_or_else(error)?;
                Ok(Self::Channel(
                    RepoId(repo.to_owned()),
                    kind.parse().map_err(|_| error())?,
                ))
            }
            Some(("sender", identity)) => Ok(Self::Sender(identity.to_owned())),
            Some(("operator", name)) => Ok(Self::Operator(name.to_owned())),
            Some(("proxy", run)) => run.parse().map(Self::Proxy).map_err(|_| error()),
            _ => Err(error()),
        }
    }
}

/// Implements reading an id from the text that JSON holds.
macro_rules! read_from_text {
    ($($id:ident)*) => {$(
        impl TryFrom<String> for $id {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }
    )*};
}

read_from_text! { InboundId ConversationId TaskId RunId DeliveryId Sha256 Actor }

/// Implements `Display`, and the same text as `String`, which JSON uses.
macro_rules! printed {
    ($($id:ident => |$value:ident, $f:ident| $body:expr;)*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $value = self;
                $body
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.to_string()
            }
        }
    )*};
}

printed! {
    AtMs => |v, f| v.0.fmt(f);
    Position => |v, f| v.0.fmt(f);
    StreamVersion => |v, f| v.0.fmt(f);
    StreamId => |v, f| f.write_str(&v.0);
    RepoId => |v, f| f.write_str(&v.0);
    InboundId => |v, f| f.write_str(&hex::encode(v.0));
    ConversationId => |v, f| write!(f, "{:08x}", v.0);
    TaskId => |v, f| write!(f, "{:012x}", v.0);
    RunId => |v, f| write!(f, "{}.{}", v.task, v.attempt);
    DeliveryId => |v, f| write!(f, "{:016x}", v.0);
    RequestId => |v, f| v.0.fmt(f);
    SessionId => |v, f| f.write_str(&v.0);
    CredentialName => |v, f| f.write_str(&v.0);
    Sha256 => |v, f| f.write_str(&hex::encode(v.0));
    ChannelKind => |v, f| f.write_str(match v {
        ChannelKind::Local => "local",
        ChannelKind::Email => "email",
        ChannelKind::Slack => "slack",
    });
    Actor => |v, f| match v {
        Actor::System => f.write_str("system"),
        Actor::Channel(repo, kind) => write!(f, "channel:{repo}/{kind}"),
        Actor::Sender(identity) => write!(f, "sender:{identity}"),
        Actor::Operator(name) => write!(f, "operator:{name}"),
        Actor::Scheduler => f.write_str("scheduler"),
        Actor::Proxy(run) => write!(f, "proxy:{run}"),
    };
}
