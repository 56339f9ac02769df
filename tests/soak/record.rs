//! What the log says of a soak when it is over, read as an operator reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::common::Event;
use crate::process::{built, command};

/// What is needed of the log.
#[derive(Debug, Default)]
pub(crate) struct Record {
    counts: BTreeMap<String, u64>,
    ids: BTreeMap<String, String>,
    /// The answers of which it was not known at some time whether they were sent.
    pub(crate) unknown: BTreeSet<String>,
    open: BTreeSet<String>,
}

impl Record {
    /// Reads the log in `dir`, of which no daemon must be running, and verifies it.
    #[track_caller]
    pub(crate) fn read(dir: &Path) -> Self {
        let airut = built("airut");
        let verified = command(&airut, dir).arg("verify").output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success(), "{said}");
        let mut events = command(&airut, dir);
        events
            .args(["events", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut events = events.spawn().unwrap();
        let mut record = Self::default();
        for line in BufReader::new(events.stdout.take().unwrap()).lines() {
            record.apply(&Event::from_line(&line.unwrap()));
        }
        assert!(events.wait().unwrap().success());
        record
    }

    fn apply(&mut self, event: &Event) {
        *self.counts.entry(event.kind().to_owned()).or_default() += 1;
        let delivery = event.text("delivery").to_owned();
        match event.kind() {
            "DeliveryRequested" if event.text("kind") == "reply" => {
                let id = address_of(event.field("target")).unwrap_or_else(|| delivery.clone());
                self.ids.insert(delivery.clone(), id);
                self.open.insert(delivery);
            }
            "DeliverySucceeded" | "DeliveryAbandoned" => {
                self.open.remove(&delivery);
            }
            "DeliveryOutcomeUnknown" => {
                self.unknown.extend(self.ids.get(&delivery).cloned());
            }
            _ => {}
        }
    }

    /// How many events of a kind there are.
    pub(crate) fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }

    /// How many events there are.
    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Answers whose delivery has no end.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }
}

/// Returns what tells an answer from others where it arrives: for a mail its `Message-ID`; elsewhere
/// it is the delivery itself.
fn address_of(target: &serde_json::Value) -> Option<String> {
    let fields = target.as_object().and_then(|target| target.values().next());
    let id = fields.and_then(|fields| fields["message_id"].as_str());
    id.map(str::to_owned)
}
