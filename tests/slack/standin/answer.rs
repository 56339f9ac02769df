//! What a call is answered: `ok`, or Slack's error envelope.

use serde_json::{Value, json};

/// An answer or a refusal.
pub(crate) type Answer = Result<Value, Refusal>;

/// Why a call is refused; the name is Slack's.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    error: String,
    more: Value,
}

impl Refusal {
    /// A refusal by name alone.
    pub(crate) fn new(error: &str) -> Self {
        Self {
            error: error.to_owned(),
            more: json!({}),
        }
    }

    /// A refusal that says more.
    pub(crate) fn with(error: &str, more: Value) -> Self {
        Self {
            error: error.to_owned(),
            more,
        }
    }

    /// An argument is not there.
    pub(crate) fn missing(name: &str) -> Self {
        Self::arguments(&format!("[ERROR] missing required field: {name}"))
    }

    /// The arguments are wrong, as the message says.
    pub(crate) fn arguments(message: &str) -> Self {
        Self::with(
            "invalid_arguments",
            json!({ "response_metadata": { "messages": [message] } }),
        )
    }

    /// The envelope as it goes out.
    pub(crate) fn into_json(self) -> Value {
        let mut envelope = json!({ "ok": false, "error": self.error });
        merge(&mut envelope, self.more);
        envelope
    }
}

/// Adds the fields of one object to another.
pub(crate) fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// An answer of `ok` alone.
pub(crate) fn done() -> Answer {
    Ok(json!({}))
}
