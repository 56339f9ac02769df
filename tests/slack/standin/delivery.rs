//! Envelopes on their way to the app: sent, acknowledged, sent again, lost.
//!
//! Slack waits three seconds for an acknowledgement and then sends the event again: at once, after a
//! minute, after five; then it is lost, and only `conversations.history` still knows the message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::shared::Shared;
use super::world::World;

/// Deliveries that are remembered; older ones are forgotten.
const RECORDS_MAX: usize = 50_000;

/// What a connection is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Sends a text frame.
    Say(String),
    /// Says goodbye and closes.
    Close,
    /// Breaks off in the middle, without a goodbye.
    Drop,
}

/// Something to deliver.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    kind: &'static str,
    payload: Value,
    event_id: Option<String>,
}

impl Envelope {
    /// An event, which is sent again until it is acknowledged.
    pub(crate) fn event(id: &str, payload: Value) -> Self {
        Self {
            kind: "events_api",
            payload,
            event_id: Some(id.to_owned()),
        }
    }

    /// What a person waits for: it is tried once.
    pub(crate) fn once(kind: &'static str, payload: Value) -> Self {
        Self {
            kind,
            payload,
            event_id: None,
        }
    }
}

/// A connection of the app.
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    /// A connection that was warned is sent nothing any more while there is another.
    pub(crate) leaving: bool,
}

/// How one envelope fared.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) event_id: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) event_type: String,
    /// Each attempt: the connection it went to, or none when there was none.
    pub(crate) attempts: Vec<Option<u64>>,
    /// `waiting`, `acknowledged` or `lost`.
    pub(crate) state: &'static str,
    /// What came back with the acknowledgement.
    pub(crate) response: Value,
}

/// Everything about delivery.
#[derive(Default)]
pub(crate) struct Delivery {
    pub(crate) connections: Vec<Connection>,
    pub(crate) records: BTreeMap<u64, Record>,
    /// Acknowledgements still to be ignored, as though they had got lost on their way.
    pub(crate) swallow_acks: u64,
    /// Envelopes are held back while this is set, as though Slack were slow.
    pub(crate) is_held: bool,
    /// Events that happen now are lost, as in an outage of Slack's.
    pub(crate) is_lossy: bool,
    /// The whole events of before, to be sent once more.
    past: BTreeMap<String, Envelope>,
    queued: Vec<Envelope>,
    unacknowledged: BTreeMap<String, (u64, oneshot::Sender<Value>)>,
    recorded: u64,
    minted: u64,
    turn: usize,
}

impl Delivery {
    /// Takes an envelope to be sent when the world is left alone again.
    pub(crate) fn queue(&mut self, envelope: Envelope) {
        if self.is_lossy {
            self.record(&envelope, "lost");
            return;
        }
        if let Some(id) = &envelope.event_id {
            self.past.insert(id.clone(), envelope.clone());
            if self.past.len() > RECORDS_MAX {
                self.past.pop_first();
            }
        }
        self.queued.push(envelope);
    }

    /// Queues an event of before once more; says whether there was one.
    pub(crate) fn again(&mut self, event_id: &str) -> bool {
        let envelope = self.past.get(event_id).cloned();
        self.queued.extend(envelope.clone());
        envelope.is_some()
    }

    /// Queues the events of before that told of a message once more.
    pub(crate) fn message_again(&mut self, channel: &str, ts: &str) {
        let tells = |envelope: &&Envelope| {
            let event = &envelope.payload["event"];
            event["ts"] == ts && event["channel"] == channel
        };
        let told = self.past.values().filter(tells).cloned();
        let told: Vec<Envelope> = told.collect();
        self.queued.extend(told);
    }

    fn record(&mut self, envelope: &Envelope, state: &'static str) -> u64 {
        let body = &envelope.payload["event"];
        let kind = body["type"]
            .as_str()
            .or_else(|| envelope.payload["type"].as_str());
        let record = Record {
            event_id: envelope.event_id.clone(),
            kind: envelope.kind,
            event_type: kind.unwrap_or_default().to_owned(),
            attempts: Vec::new(),
            state,
            response: Value::Null,
        };
        self.recorded += 1;
        self.records.insert(self.recorded, record);
        if self.records.len() > RECORDS_MAX {
            self.records.pop_first();
        }
        self.recorded
    }

    /// Notes how an envelope fared, unless it is forgotten already.
    fn note(&mut self, record: u64, note: impl FnOnce(&mut Record)) {
        if let Some(record) = self.records.get_mut(&record) {
            note(record);
        }
    }

    /// Chooses the connection whose turn it is; one that is leaving only where there is no other.
    fn choose(&mut self) -> Option<&Connection> {
        let staying = self.connections.iter().filter(|one| !one.leaving);
        let staying: Vec<u64> = staying.map(|one| one.number).collect();
        let all: Vec<u64> = self.connections.iter().map(|one| one.number).collect();
        let numbers = if staying.is_empty() { all } else { staying };
        let number = *numbers.get(self.turn.checked_rem(numbers.len())?)?;
        self.turn += 1;
        self.connections.iter().find(|one| one.number == number)
    }

    /// Sends an envelope, and returns where its acknowledgement will come.
    fn send(
        &mut self,
        envelope: &Envelope,
        record: u64,
        attempt: usize,
    ) -> Option<oneshot::Receiver<Value>> {
        let chosen = self.choose().map(|one| (one.number, one.orders.clone()));
        let number = chosen.as_ref().map(|(number, _)| *number);
        self.note(record, |record| record.attempts.push(number));
        let (number, orders) = chosen?;
        self.minted += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", self.minted);
        let frame = frame(envelope, &id, attempt);
        orders.send(Order::Say(frame)).ok()?;
        let (acknowledge, acknowledged) = oneshot::channel();
        self.unacknowledged.insert(id, (number, acknowledge));
        Some(acknowledged)
    }

    /// Takes an acknowledgement; a late or unknown one changes nothing, as at Slack.
    pub(crate) fn acknowledge(&mut self, envelope_id: &str, response: Value) {
        if self.swallow_acks > 0 {
            self.swallow_acks -= 1;
            return;
        }
        if let Some((_, acknowledge)) = self.unacknowledged.remove(envelope_id) {
            drop(acknowledge.send(response));
        }
    }

    /// Forgets a connection; what it did not acknowledge counts as failed.
    pub(crate) fn gone(&mut self, number: u64) {
        self.connections.retain(|one| one.number != number);
        self.unacknowledged.retain(|_, (on, _)| *on != number);
    }
}

fn frame(envelope: &Envelope, id: &str, attempt: usize) -> String {
    let mut frame = json!({
        "envelope_id": id, "payload": envelope.payload, "type": envelope.kind,
        "accepts_response_payload": envelope.event_id.is_none(),
    });
    if envelope.event_id.is_some() {
        frame["retry_attempt"] = attempt.into();
        frame["retry_reason"] = if attempt == 0 { "" } else { "timeout" }.into();
    }
    frame.to_string()
}

/// Sends what is queued, in order, and sees each envelope through in a task of its own.
pub(crate) fn flush(shared: &Arc<Shared>, world: &mut World) {
    if world.delivery.is_held {
        return;
    }
    for envelope in std::mem::take(&mut world.delivery.queued) {
        let record = world.delivery.record(&envelope, "waiting");
        let sent = world.delivery.send(&envelope, record, 0);
        tokio::spawn(see_through(Arc::clone(shared), envelope, record, sent));
    }
}

async fn see_through(
    shared: Arc<Shared>,
    envelope: Envelope,
    record: u64,
    mut sent: Option<oneshot::Receiver<Value>>,
) {
    for attempt in 1.. {
        let deadline = shared.with(|world| world.options.ack_deadline_ms);
        if let Some(acknowledged) = sent {
            let waited = tokio::time::timeout(Duration::from_millis(deadline), acknowledged).await;
            if let Ok(Ok(response)) = waited {
                let acknowledged = |record: &mut Record| {
                    record.state = "acknowledged";
                    record.response = response;
                };
                shared.with(|world| world.delivery.note(record, acknowledged));
                return;
            }
        }
        let delays = shared.with(|world| world.options.retry_delays_ms.clone());
        let delay = delays
            .get(attempt - 1)
            .filter(|_| envelope.event_id.is_some());
        let Some(delay) = delay else {
            shared.with(|world| world.delivery.note(record, |record| record.state = "lost"));
            return;
        };
        tokio::time::sleep(Duration::from_millis(*delay)).await;
        sent = shared.with(|world| world.delivery.send(&envelope, record, attempt));
    }
}
