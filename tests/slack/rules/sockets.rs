//! Socket Mode: hello, envelopes, acknowledgements, what comes again and what is lost.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{ALICE, APP_TOKEN, GENERAL, Ground};

/// A connection of the app.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    pub(crate) async fn open(ground: &Ground) -> Self {
        let (_, body) = ground.raw("apps.connections.open", APP_TOKEN, &json!({}));
        let body: Value = serde_json::from_str(&body).unwrap();
        let url = body["url"].as_str().unwrap().to_owned();
        let address = url.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (stream, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Self(stream)
    }

    /// The next frame of JSON; null at the end.
    pub(crate) async fn next(&mut self) -> Value {
        while let Some(Ok(frame)) = self.0.next().await {
            match frame {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(_) => break,
                _ => {}
            }
        }
        Value::Null
    }

    pub(crate) async fn acknowledge(&mut self, envelope: &Value) {
        let ack = json!({ "envelope_id": envelope["envelope_id"] }).to_string();
        self.0.send(Message::text(ack)).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_is_greeted_and_told_what_is_said() {
    let ground = Ground::quick();
    let mut socket = Socket::open(&ground).await;
    let hello = socket.next().await;
    assert_eq!(
        (&hello["type"], &hello["num_connections"]),
        (&json!("hello"), &json!(1))
    );
    let ts = ground.says(GENERAL, "hello");
    let envelope = socket.next().await;
    assert_eq!(envelope["type"], "events_api");
    assert_eq!(envelope["retry_attempt"], 0);
    let event = &envelope["payload"]["event"];
    assert_eq!(
        (&event["type"], &event["ts"]),
        (&json!("message"), &json!(ts))
    );
    assert_eq!(event["channel_type"], "channel");
    socket.acknowledge(&envelope).await;
    let state = |seen: &Value| (seen["deliveries"][0]["state"] == "acknowledged").then_some(());
    ground.hand.until("deliveries", state);
}

#[tokio::test]
async fn a_mention_is_told_twice_and_in_a_direct_conversation_once() {
    let ground = Ground::quick();
    let mut socket = Socket::open(&ground).await;
    socket.next().await;
    let ts = ground.says(GENERAL, "<@U0HERALD01> do it");
    let mut told = Vec::new();
    for _ in 0..2 {
        let envelope = socket.next().await;
        socket.acknowledge(&envelope).await;
        assert_eq!(envelope["payload"]["event"]["ts"], ts.as_str());
        told.push(
            envelope["payload"]["event"]["type"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(told, ["app_mention", "message"]);
    let post = json!({ "user": ALICE, "text": "<@U0HERALD01> again" });
    ground.hand.act("post", &post);
    let envelope = socket.next().await;
    assert_eq!(envelope["payload"]["event"]["channel_type"], "im");
    socket.acknowledge(&envelope).await;
    assert_eq!(
        ground.hand.look("deliveries")["deliveries"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn an_event_comes_again_until_it_is_acknowledged_and_is_lost_after_three_times() {
    let ground = Ground::quick();
    let mut socket = Socket::open(&ground).await;
    socket.next().await;
    ground.says(GENERAL, "hello");
    let mut ids = Vec::new();
    for attempt in 0..4 {
        let envelope = socket.next().await;
        assert_eq!(envelope["retry_attempt"], attempt);
        let reason = if attempt == 0 { "" } else { "timeout" };
        assert_eq!(envelope["retry_reason"], reason);
        ids.push(envelope["payload"]["event_id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "the event stays the same event");
    let lost = |seen: &Value| (seen["deliveries"][0]["state"] == "lost").then_some(());
    ground.hand.until("deliveries", lost);
}

#[tokio::test]
async fn an_event_whose_acknowledgement_got_lost_goes_to_another_connection() {
    let ground = Ground::quick();
    let mut one = Socket::open(&ground).await;
    let mut other = Socket::open(&ground).await;
    one.next().await;
    assert_eq!(other.next().await["num_connections"], 2);
    ground.hand.act("acks/swallow", &json!({ "count": 1 }));
    ground.says(GENERAL, "hello");
    let envelope = one.next().await;
    one.acknowledge(&envelope).await;
    let again = other.next().await;
    assert_eq!(
        again["payload"]["event_id"],
        envelope["payload"]["event_id"]
    );
    assert_ne!(again["envelope_id"], envelope["envelope_id"]);
    other.acknowledge(&again).await;
    let known = |seen: &Value| (seen["deliveries"][0]["state"] == "acknowledged").then_some(());
    ground.hand.until("deliveries", known);
}

#[tokio::test]
async fn what_happens_while_nobody_is_connected_comes_later_or_never() {
    let ground = Ground::quick();
    ground.says(GENERAL, "never");
    let lost = |seen: &Value| (seen["deliveries"][0]["state"] == "lost").then_some(());
    ground.hand.until("deliveries", lost);
    ground
        .hand
        .act("settings", &json!({ "retry_delays_ms": [300] }));
    ground.says(GENERAL, "later");
    let mut socket = Socket::open(&ground).await;
    socket.next().await;
    let envelope = socket.next().await;
    assert_eq!(envelope["payload"]["event"]["text"], "later");
    assert_eq!(envelope["retry_attempt"], 1);
}

#[tokio::test]
async fn a_connection_ends_with_a_goodbye_or_without_one() {
    let ground = Ground::quick();
    let mut socket = Socket::open(&ground).await;
    socket.next().await;
    ground
        .hand
        .act("sockets/disconnect", &json!({ "reason": "warning" }));
    assert_eq!(socket.next().await["reason"], "warning");
    let goodbye = json!({ "reason": "refresh_requested", "close": true });
    ground.hand.act("sockets/disconnect", &goodbye);
    assert_eq!(socket.next().await["reason"], "refresh_requested");
    assert_eq!(socket.next().await, Value::Null);
    let mut socket = Socket::open(&ground).await;
    socket.next().await;
    ground.hand.act("sockets/drop", &json!({}));
    assert_eq!(socket.next().await, Value::Null);
    ground
        .hand
        .until("sockets", |seen| (seen["connections"] == 0).then_some(()));
}

#[tokio::test]
async fn an_eleventh_connection_is_one_too_many() {
    let ground = Ground::quick();
    let mut sockets = Vec::new();
    for count in 1..=10 {
        let mut socket = Socket::open(&ground).await;
        assert_eq!(socket.next().await["num_connections"], count);
        sockets.push(socket);
    }
    let mut eleventh = Socket::open(&ground).await;
    assert_eq!(eleventh.next().await["reason"], "too_many_websockets");
    assert_eq!(eleventh.next().await, Value::Null);
}

#[tokio::test]
async fn a_button_is_pressed_and_tells_its_value() {
    let ground = Ground::quick();
    let mut socket = Socket::open(&ground).await;
    socket.next().await;
    let button = json!({
        "type": "button", "text": { "type": "plain_text", "text": "Stop" },
        "action_id": "airut_stop", "value": "0123abcd",
    });
    let blocks = json!([{ "type": "actions", "elements": [button] }]);
    let posted = ground.call(
        "chat.postMessage",
        &json!({ "channel": GENERAL, "text": "a", "blocks": blocks }),
    );
    let echo = socket.next().await;
    assert_eq!(echo["payload"]["event"]["bot_id"], "B0HERALD01");
    socket.acknowledge(&echo).await;
    let press = json!({
        "user": ALICE, "channel": GENERAL, "ts": posted["ts"], "action_id": "airut_stop",
    });
    ground.hand.act("press", &press);
    let envelope = socket.next().await;
    assert_eq!(envelope["type"], "interactive");
    assert_eq!(envelope["accepts_response_payload"], true);
    assert_eq!(envelope["payload"]["actions"][0]["value"], "0123abcd");
    assert_eq!(envelope["payload"]["user"]["id"], ALICE);
}
