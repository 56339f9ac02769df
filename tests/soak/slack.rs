//! Letters as messages in Slack, through the stand-in: what goes wrong on their way are connections,
//! acknowledgements, events and calls.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::engine::Channel;
use crate::hand::Hand;
use crate::ledger::{Arrival, ArrivalKind};
use crate::letter::{acknowledges, name, named};
use crate::standin::{Options, Standin};

/// How often the channels are looked into.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long nothing may be on its way before nothing counts as being on its way.
const QUIET_FOR: Duration = Duration::from_secs(3);
/// How long messages that Slack does not tell of may wait for the lost connection that shows them.
const UNTOLD_FOR: Duration = Duration::from_secs(2);
/// Messages in a row that Slack does not tell of.
const UNTOLD: u32 = 5;
/// Who writes.
const PEOPLE: [&str; 2] = ["U0ALICE001", "U0BOB00001"];
/// Where they write beside their conversations with the app.
const CHANNELS: [&str; 2] = ["C0GENERAL1", "C0PRIVATE1"];
/// What an answer begins with that may be a copy.
const LABEL: &str = "may be a duplicate";

/// A thread of a channel.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    channel: String,
    root: String,
}

/// The people of a workspace, and the workspace.
pub(crate) struct SlackChannel {
    standin: Standin,
    hand: Hand,
    written: BTreeMap<u32, Thread>,
    /// The newest message that was looked at of each channel.
    seen: BTreeMap<String, String>,
    looked_at: Instant,
    busy_at: Instant,
    untold_left: u32,
    untold_at: Instant,
}

impl SlackChannel {
    /// Starts a workspace whose minutes and seconds are short.
    pub(crate) fn start() -> Self {
        let options = Options {
            ack_deadline_ms: 1_000,
            retry_delays_ms: vec![0, 500, 2_000],
            minute_ms: 3_000,
            post_every_ms: 60,
            ..Options::default()
        };
        let standin = Standin::start(options).unwrap();
        let now = Instant::now();
        Self {
            hand: Hand::of(&standin.api_url()),
            standin,
            written: BTreeMap::new(),
            seen: BTreeMap::new(),
            looked_at: now,
            busy_at: now,
            untold_left: 0,
            untold_at: now,
        }
    }

    /// The lines of the configuration that name this app.
    pub(crate) fn config_lines(&self) -> Vec<String> {
        vec![
            "    slack:".to_owned(),
            "      bot_token: xoxb-standin".to_owned(),
            "      app_token: xapp-1-standin".to_owned(),
            format!("      api_url: {}", self.standin.api_url()),
            "      authorized: [workspace_members: true]".to_owned(),
        ]
    }

    /// Says whether Slack waits for an acknowledgement.
    pub(crate) fn waits(&self) -> bool {
        let deliveries = self.hand.look("deliveries");
        let deliveries = deliveries["deliveries"].as_array().unwrap();
        deliveries.iter().any(|one| one["state"] == "waiting")
    }

    /// Waits until the app is connected.
    #[track_caller]
    pub(crate) fn until_connected(&self) {
        let connected = |seen: &Value| (seen["connections"] != 0).then_some(());
        self.hand.until("sockets", connected);
    }

    fn drop_connections(&mut self) {
        self.untold_left = 0;
        self.hand.act("sockets/drop", &json!({}));
    }

    fn read(&self, channel: &str) -> Vec<Value> {
        let after = self.seen.get(channel).map_or("0", String::as_str);
        let seen = self
            .hand
            .look(&format!("channel?id={channel}&after={after}"));
        seen["messages"].as_array().unwrap().clone()
    }
}

impl Channel for SlackChannel {
    type Thread = Thread;

    const TROUBLES: &'static [&'static str] = &[
        "connections were broken off",
        "connections were renewed",
        "acknowledgements got lost",
        "calls were answered with 429",
        "answers of calls got lost",
        "calls got lost",
        "messages were not told",
    ];

    /// New conversations are begun in turn with the app alone and by a mention in a channel.
    fn send(&mut self, number: u32, thread: Option<&Thread>) {
        let person = PEOPLE[number as usize % 2];
        let text = format!("Please echo {}.", name(number));
        let mut said = match (thread, number % 4) {
            (Some(thread), _) => json!({
                "user": person, "channel": thread.channel, "thread_ts": thread.root, "text": text,
            }),
            (None, 0 | 1) => json!({ "user": person, "text": text }),
            (None, turn) => {
                let channel = CHANNELS[turn as usize - 2];
                let text = format!("<@U0HERALD01> {text}");
                json!({ "user": person, "channel": channel, "text": text })
            }
        };
        let is_known = |channel: &Value| {
            channel
                .as_str()
                .is_some_and(|channel| self.seen.contains_key(channel))
        };
        // Where Airut was never spoken to it does not look for what it was not told of.
        if self.untold_left > 0 && is_known(&said["channel"]) {
            said["silent"] = true.into();
            self.untold_left -= 1;
        }
        let said = self.hand.act("post", &said);
        let place = |name: &str| said[name].as_str().unwrap().to_owned();
        let thread = Thread {
            channel: place("channel"),
            root: place("ts"),
        };
        self.written.insert(number, thread);
    }

    /// Slack tells of it once more.
    fn send_again(&mut self, number: u32) {
        let Thread { channel, root } = &self.written[&number];
        let message = json!({ "channel": channel, "ts": root });
        self.hand.act("events/again", &message);
    }

    fn arrived(&mut self) -> Vec<Arrival<Thread>> {
        if self.looked_at.elapsed() < LOOK_EVERY {
            return Vec::new();
        }
        self.looked_at = Instant::now();
        if self.untold_left > 0 && self.untold_at.elapsed() > UNTOLD_FOR {
            self.drop_connections();
        }
        let mut channels: Vec<String> = self
            .written
            .values()
            .map(|thread| thread.channel.clone())
            .collect();
        channels.sort();
        channels.dedup();
        let mut arrivals = Vec::new();
        for channel in channels {
            for message in self.read(&channel) {
                let ts = message["ts"].as_str().unwrap().to_owned();
                arrivals.extend(arrival(&channel, &message));
                self.seen.insert(channel.clone(), ts);
                self.busy_at = Instant::now();
            }
        }
        arrivals
    }

    fn make_trouble(&mut self, index: usize) {
        let hand = &self.hand;
        let faults = |method: &str, kind: &str, times: u32| {
            let fault = json!({
                "method": method, "kind": kind, "times": times, "retry_after": 1,
            });
            hand.act("faults", &fault);
        };
        match index {
            0 => self.drop_connections(),
            1 => {
                let renewed = json!({ "reason": "refresh_requested", "close": true });
                hand.act("sockets/disconnect", &renewed);
            }
            2 => {
                hand.act("acks/swallow", &json!({ "count": 8 }));
            }
            3 => faults("*", "rate_limited", 6),
            4 => faults("chat.postMessage", "lose_answer", 2),
            5 => faults("*", "lose_request", 4),
            _ => {
                self.untold_left = UNTOLD;
                self.untold_at = Instant::now();
            }
        }
    }

    fn is_quiet(&mut self) -> bool {
        if self.waits() {
            self.busy_at = Instant::now();
        }
        self.busy_at.elapsed() > QUIET_FOR
    }
}

/// Reads a message of Airut's; its plans and what people write are none of its answers.
fn arrival(channel: &str, message: &Value) -> Option<Arrival<Thread>> {
    let metadata = &message["metadata"];
    let is_first_part = metadata["event_payload"]["part"] == "1";
    if metadata["event_type"] != "airut_reply" || !is_first_part {
        return None;
    }
    let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let text = field(&message["text"]);
    let kind = match named(&text) {
        Some(letters) => ArrivalKind::Answer(letters),
        None if acknowledges(&text) => ArrivalKind::Acknowledgement,
        None => ArrivalKind::Other(text.clone()),
    };
    Some(Arrival {
        kind,
        id: field(&metadata["event_payload"]["delivery"]),
        handover: field(&message["ts"]),
        is_labelled: text.contains(LABEL),
        thread: Thread {
            channel: channel.to_owned(),
            root: field(&message["thread_ts"]),
        },
    })
}
