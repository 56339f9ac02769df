//! Items of an export: a line of JSON each, or a CloudEvent (version 1.0, structured JSON). Pure.

use serde_json::{Map, Value, json};

use crate::events::Recorded;
use crate::events::codec::{self, StoredRecord};
use crate::events::id::{AtMs, Position, Sha256};
use crate::projections::audit::Entry;
use crate::service::look::when::time;

/// Hexadecimal digits of the first record's digest that name a log.
const NAME_DIGITS: usize = 16;

/// Something that is exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What tells it from every other item of the same log: of an event its position; what depends on
    /// the moment also names that.
    pub id: String,
    /// Where it stands in the log, or up to where it holds.
    pub position: Position,
    /// When it was recorded.
    pub at: AtMs,
    /// What it is, for example `airut.event.MessageReceived.v1`.
    pub kind: String,
    /// What it is about, for example `task:0123456789ab`.
    pub subject: String,
    /// What it says.
    pub data: Value,
    /// What a CloudEvent carries beside the attributes that the standard demands.
    pub extensions: Map<String, Value>,
}

/// Returns what a log is called in CloudEvents: its first record's digest, which never changes.
pub fn source_of(first: &StoredRecord) -> String {
    let digest = Sha256::of(&first.bytes).to_string();
    format!("urn:airut:log:{}", &digest[..NAME_DIGITS])
}

impl Item {
    /// Returns an item of a snapshot, which has no place of its own.
    pub fn snapshot(position: Position, at: AtMs, kind: String, data: Value) -> Self {
        Self {
            id: format!("{kind}@{position}"),
            position,
            at,
            kind,
            subject: String::new(),
            data,
            extensions: Map::new(),
        }
    }

    /// Returns an event.
    pub fn event(recorded: &Recorded) -> serde_json::Result<Self> {
        let (name, kind) = (recorded.event.name(), recorded.event.kind());
        let version = codec::current_version(kind).unwrap_or_default();
        let mut extensions = Map::new();
        // Of a fixed length, so that the order of texts is that of positions.
        let sequence = format!("{:020}", recorded.position.0);
        extensions.insert("sequence".to_owned(), sequence.into());
        extensions.insert("airutactor".to_owned(), recorded.actor.to_string().into());
        if !recorded.correlation.is_empty() {
            let correlation = recorded.correlation.clone();
            extensions.insert("correlationid".to_owned(), correlation.into());
        }
        if let Some(causation) = recorded.causation {
            extensions.insert("causationid".to_owned(), causation.to_string().into());
        }
        Ok(Self {
            id: recorded.position.to_string(),
            position: recorded.position,
            at: recorded.at,
            kind: format!("airut.event.{name}.v{version}"),
            subject: recorded.stream.to_string(),
            data: serde_json::to_value(&recorded.event)?,
            extensions,
        })
    }

    /// Returns an entry of the record of `subject` as it was at a position.
    pub fn entry(entry: &Entry, subject: &str, as_of: Position) -> serde_json::Result<Self> {
        let moment = serde_json::to_value(&entry.moment)?;
        let (name, data) = match moment {
            Value::Object(map) if map.len() == 1 => map.into_iter().next().unwrap_or_default(),
            other => (String::new(), other),
        };
        let mut extensions = Map::new();
        extensions.insert("airutactor".to_owned(), entry.actor.to_string().into());
        Ok(Self {
            id: format!("{subject}/{}@{as_of}", entry.position),
            position: entry.position,
            at: entry.at,
            kind: format!("airut.audit.{name}"),
            subject: subject.to_owned(),
            data,
            extensions,
        })
    }

    /// Returns it as one object for a line of JSON.
    pub fn line(&self) -> Value {
        let mut line = json!({
            "position": self.position,
            "at": time(self.at),
            "type": self.kind,
            "data": self.data,
        });
        if !self.subject.is_empty() {
            line["subject"] = self.subject.clone().into();
        }
        if let Some(actor) = self.extensions.get("airutactor") {
            line["actor"] = actor.clone();
        }
        line
    }

    /// Returns it as a CloudEvent from `source`.
    pub fn cloud_event(&self, source: &str) -> Value {
        let mut event = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": source,
            "type": self.kind,
            "time": time(self.at),
            "datacontenttype": "application/json",
            "data": self.data,
        });
        if !self.subject.is_empty() {
            event["subject"] = self.subject.clone().into();
        }
        for (name, value) in &self.extensions {
            event[name] = value.clone();
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::id::{Actor, StreamId, StreamVersion};
    use crate::events::service::DrainStarted;

    #[test]
    fn an_event_is_a_cloud_event_with_its_position_as_id() {
        let drain = DrainStarted {
            cause: "SIGTERM".to_owned(),
            executing: 1,
            waiting: 0,
        };
        let recorded = Recorded {
            position: Position(7),
            stream: StreamId::service(),
            stream_version: StreamVersion(2),
            at: AtMs(1_795_529_046_007),
            actor: Actor::System,
            causation: Some(Position(6)),
            correlation: String::new(),
            event: drain.into(),
        };
        let event = Item::event(&recorded).unwrap().cloud_event("urn:x");
        let expected = json!({
            "specversion": "1.0",
            "id": "7",
            "source": "urn:x",
            "type": "airut.event.DrainStarted.v1",
            "time": "2026-11-24T14:04:06.007Z",
            "subject": "service",
            "datacontenttype": "application/json",
            "data": {"cause": "SIGTERM", "executing": 1, "waiting": 0},
            "sequence": "00000000000000000007",
            "airutactor": "system",
            "causationid": "6",
        });
        assert_eq!(event, expected);
        // The standard: names of attributes are lower-case letters and digits, at most 20.
        for name in event.as_object().unwrap().keys() {
            let valid = name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            assert!(valid && name.len() <= 20, "{name}");
        }
    }
}
