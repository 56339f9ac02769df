//! What was asked, as lines of JSON: the tests' evidence of what left a sandbox.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The files of evidence.
pub(crate) struct Journal {
    requests: Mutex<File>,
    queries: Mutex<File>,
    turns: Mutex<File>,
}

impl Journal {
    /// Opens the files in `work`, appending to what is there.
    pub(crate) fn open(work: &Path) -> std::io::Result<Self> {
        let open = |name| {
            File::options()
                .create(true)
                .append(true)
                .open(work.join(name))
        };
        Ok(Self {
            requests: Mutex::new(open("requests.jsonl")?),
            queries: Mutex::new(open("queries.jsonl")?),
            turns: Mutex::new(open("turns.jsonl")?),
        })
    }

    /// Keeps a request, before it is answered.
    pub(crate) fn request(&self, line: Value) {
        write(&self.requests, line);
    }

    /// Keeps what the model was asked and what it is about to do.
    pub(crate) fn turn(&self, line: Value) {
        write(&self.turns, line);
    }

    /// Keeps a query for a name.
    pub(crate) fn query(&self, name: &str, kind: &str, answer: &str) {
        write(
            &self.queries,
            json!({ "name": name, "type": kind, "answer": answer }),
        );
    }
}

fn write(file: &Mutex<File>, mut line: Value) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    line["at_ms"] = json!(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = writeln!(file, "{line}") {
        eprintln!("test-hosts: the journal cannot be written: {error}");
    }
}
