//! The stand-in's rules, one by one, over its own HTTP and WebSocket.

mod calls;
mod chat;
mod limits;
mod reading;
pub(crate) mod sockets;
mod threads;

use serde_json::{Value, json};

use crate::hand::Hand;
use crate::standin::{Options, Standin};

/// The token of the Web API.
pub(crate) const BOT_TOKEN: &str = "xoxb-standin";
/// The token of Socket Mode.
pub(crate) const APP_TOKEN: &str = "xapp-1-standin";
/// The channel that everybody is in.
pub(crate) const GENERAL: &str = "C0GENERAL1";
/// A member.
pub(crate) const ALICE: &str = "U0ALICE001";

/// A stand-in, a hand in it, and the app's own calls.
pub(crate) struct Ground {
    _standin: Standin,
    pub(crate) hand: Hand,
}

impl Ground {
    /// A workspace in which nothing waits long.
    pub(crate) fn quick() -> Self {
        Self::with(Options {
            ack_deadline_ms: 200,
            retry_delays_ms: vec![0, 50, 100],
            limits: false,
            ..Options::default()
        })
    }

    /// A workspace with these options.
    pub(crate) fn with(options: Options) -> Self {
        let standin = Standin::start(options).unwrap();
        let hand = Hand::of(&standin.api_url());
        Self {
            _standin: standin,
            hand,
        }
    }

    /// Calls a method as the app does, with JSON or, where the method takes none, a form.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, args: &Value) -> Value {
        let (head, body) = self.raw(method, BOT_TOKEN, args);
        assert!(head.contains(" 200 "), "{method}: {head}");
        serde_json::from_str(&body).unwrap()
    }

    /// Calls a method with a token; returns the answer's head and body.
    #[track_caller]
    pub(crate) fn raw(&self, method: &str, token: &str, args: &Value) -> (String, String) {
        let form: Vec<String> = args.as_object().into_iter().flatten().map(field).collect();
        let form = form.join("&");
        let headers = format!(
            "Authorization: Bearer {token}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n",
            form.len()
        );
        let path = format!("/api/{method}");
        self.hand.exchange("POST", &path, &headers, &form).unwrap()
    }

    /// Lets Alice say something, and returns where.
    #[track_caller]
    pub(crate) fn says(&self, channel: &str, text: &str) -> String {
        let said = self.hand.act(
            "post",
            &json!({ "user": ALICE, "channel": channel, "text": text }),
        );
        said["ts"].as_str().unwrap().to_owned()
    }
}

fn field((name, value): (&String, &Value)) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("{name}={encoded}")
}
