//! The log as an operator reads it: `airut events --json`.

use serde_json::Value;

/// One recorded event.
#[derive(Debug, Clone)]
pub(crate) struct Event(pub(crate) Value);

impl Event {
    /// Reads one line of output.
    #[track_caller]
    pub(crate) fn from_line(line: &str) -> Self {
        let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self(value)
    }

    /// The name of its kind, for example `MessageReceived`.
    pub(crate) fn kind(&self) -> &str {
        self.0["type"].as_str().unwrap_or_default()
    }

    /// Its place in the log.
    pub(crate) fn position(&self) -> u64 {
        self.0["position"].as_u64().unwrap()
    }

    /// What it belongs to.
    pub(crate) fn correlation(&self) -> &str {
        self.0["correlation"].as_str().unwrap_or_default()
    }

    /// A field of its payload.
    pub(crate) fn field(&self, name: &str) -> &Value {
        &self.0["event"][name]
    }

    /// A field of its payload that is text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap_or_default()
    }
}

/// Stops the test when positions do not count 1, 2, 3, …
#[track_caller]
pub(crate) fn assert_gapless(events: &[Event]) {
    for (event, expected) in events.iter().zip(1..) {
        assert_eq!(event.position(), expected, "the log has a gap");
    }
}

/// How many events of a kind there are.
pub(crate) fn count(events: &[Event], kind: &str) -> usize {
    events.iter().filter(|event| event.kind() == kind).count()
}
