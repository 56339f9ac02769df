//! Socket Mode: a ticket, a hello, envelopes and their acknowledgements, pings, and the goodbye.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::delivery::{Connection, Order};
use super::shared::Shared;
use super::world::APP;

/// Connections that an app may have at a time.
const CONNECTIONS_MAX: usize = 10;

/// How long a connection lives that asked for a short life (`debug_reconnects=true`).
const SHORT_LIFE_MS: u64 = 360_000;

/// How long the other side may take to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(2);

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// Talks on a connection until either side ends it.
pub(crate) async fn converse(shared: Arc<Shared>, upgraded: Upgraded, is_short: bool) {
    let mut stream: Stream =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let number = shared.number();
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let hello = shared.with(|world| {
        let life = if is_short {
            SHORT_LIFE_MS
        } else {
            world.options.connection_ms
        };
        if world.delivery.connections.len() >= CONNECTIONS_MAX {
            return None;
        }
        let count = world.delivery.connections.len() + 1;
        // The hello is the first frame, whatever is queued for the app meanwhile.
        drop(orders.send(Order::Say(hello(count, life).to_string())));
        let leaving = false;
        world.delivery.connections.push(Connection {
            number,
            orders,
            leaving,
        });
        Some((life, world.options.warning_ms, world.options.ping_every_ms))
    });
    let Some((life_ms, warning_ms, ping_ms)) = hello else {
        let goodbye = disconnect("too_many_websockets").to_string();
        drop(stream.send(Message::text(goodbye)).await);
        part(&mut stream).await;
        return;
    };
    let now = Instant::now();
    let ends = Ends {
        warning: now + Duration::from_millis(life_ms.saturating_sub(warning_ms)),
        refresh: now + Duration::from_millis(life_ms),
        ping: Duration::from_millis(ping_ms),
    };
    let ended = exchange(&shared, number, &mut stream, &mut ordered, ends).await;
    shared.with(|world| world.delivery.gone(number));
    if matches!(ended, Ok(End::Goodbye)) {
        part(&mut stream).await;
    }
}

/// How a connection ends.
enum End {
    /// With a close frame of either side, which the other answers.
    Goodbye,
    /// In the middle.
    Broken,
}

/// Finishes the goodbye: a close frame is sent, and the other's is awaited for a while.
async fn part(stream: &mut Stream) {
    drop(stream.close(None).await);
    let until_the_end = async { while let Some(Ok(_)) = stream.next().await {} };
    drop(tokio::time::timeout(GOODBYE, until_the_end).await);
}

/// When what happens to a connection by itself.
struct Ends {
    warning: Instant,
    refresh: Instant,
    ping: Duration,
}

async fn exchange(
    shared: &Arc<Shared>,
    number: u64,
    stream: &mut Stream,
    ordered: &mut mpsc::UnboundedReceiver<Order>,
    ends: Ends,
) -> Result<End, tokio_tungstenite::tungstenite::Error> {
    let mut pings = tokio::time::interval(ends.ping);
    let mut is_warned = false;
    loop {
        tokio::select! {
            order = ordered.recv() => match order {
                Some(Order::Say(frame)) => stream.send(Message::text(frame)).await?,
                Some(Order::Close) => return Ok(End::Goodbye),
                Some(Order::Drop) | None => return Ok(End::Broken),
            },
            frame = stream.next() => match frame {
                Some(Ok(Message::Text(frame))) => hear(shared, &frame),
                Some(Ok(Message::Close(_))) => return Ok(End::Goodbye),
                Some(Err(_)) | None => return Ok(End::Broken),
                Some(Ok(_)) => {}
            },
            _ = pings.tick() => stream.send(Message::Ping(Vec::new().into())).await?,
            () = sleep_until(ends.warning), if !is_warned => {
                is_warned = true;
                warn(shared, number);
            }
            () = sleep_until(ends.refresh) => {
                stream.send(Message::text(disconnect("refresh_requested").to_string())).await?;
                return Ok(End::Goodbye);
            }
        }
    }
}

/// Takes an acknowledgement; anything else is nothing to Slack.
fn hear(shared: &Arc<Shared>, frame: &str) {
    let Ok(heard) = serde_json::from_str::<Value>(frame) else {
        return;
    };
    if let Some(envelope) = heard["envelope_id"].as_str() {
        let response = heard["payload"].clone();
        shared.with(|world| world.delivery.acknowledge(envelope, response));
    }
}

/// Says that a connection will end soon; new envelopes go to another from now on.
fn warn(shared: &Arc<Shared>, number: u64) {
    shared.with(|world| {
        let connections = &mut world.delivery.connections;
        if let Some(one) = connections.iter_mut().find(|one| one.number == number) {
            one.leaving = true;
            drop(
                one.orders
                    .send(Order::Say(disconnect("warning").to_string())),
            );
        }
    });
}

fn hello(count: usize, life_ms: u64) -> Value {
    json!({
        "type": "hello", "num_connections": count,
        "debug_info": {
            "host": "applink-standin", "build_number": 1,
            "approximate_connection_time": life_ms / 1_000,
        },
        "connection_info": { "app_id": APP },
    })
}

/// The frame that announces the end of a connection.
pub(crate) fn disconnect(reason: &str) -> Value {
    json!({ "type": "disconnect", "reason": reason, "debug_info": { "host": "applink-standin" } })
}
