//! Long messages take turns in memory: one is read when there is room for it, and short ones do not wait.

use std::time::Duration;

use airut::events::Event;
use airut::events::event::MessageEvent;
use airut::events::id::Position;
use airut::events::log::Log;
use airut::events::message::MessageReceived;
use airut::handlers::bodies::{Purpose, READING_BYTES_MAX, SHORT_BYTES_MAX};
use airut::handlers::intake::Intake;
use airut::handlers::intake::triage::{Verdict, triage};
use airut::handlers::ports::Ports;

use crate::parts::incoming;
use crate::world::World;

/// How long a message that has to wait is watched.
const WATCHED: Duration = Duration::from_millis(300);

/// Takes a message of so many bytes and a few more in.
async fn received(log: &Log, ports: &Ports, key: &str, bytes: u64) -> MessageReceived {
    let intake = Intake::new(log.clone(), ports.bodies.clone());
    let text = "x".repeat(bytes as usize);
    intake
        .receive(incoming(key, "alice", "", &text))
        .await
        .unwrap();
    let newest = log
        .read(Position(log.head().position.0 - 1), 1)
        .unwrap()
        .remove(0);
    match newest.event {
        Event::Message(MessageEvent::Received(received)) => received,
        other => panic!("{}", other.name()),
    }
}

#[tokio::test]
async fn a_long_message_is_read_when_there_is_room_and_a_short_one_at_once() {
    let world = World::new(&[]);
    let log = Log::open(world.disk(u64::MAX)).unwrap();
    let ports = world.ports(&log);
    let long = received(&log, &ports, "long", SHORT_BYTES_MAX).await;
    let short = received(&log, &ports, "short", SHORT_BYTES_MAX / 2).await;
    assert!(long.raw.bytes > SHORT_BYTES_MAX);
    let others = ports
        .bodies
        .room(Purpose::Reading, READING_BYTES_MAX)
        .await
        .unwrap();
    let waits = tokio::time::timeout(WATCHED, triage(&ports, &long)).await;
    waits.unwrap_err();
    let read = triage(&ports, &short).await.unwrap();
    assert!(matches!(read, Verdict::Accepted(..)));
    drop(others);
    let read = triage(&ports, &long).await.unwrap();
    assert!(matches!(read, Verdict::Accepted(..)));
    log.close().await;
}
