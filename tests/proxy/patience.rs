//! How long the proxy waits, for an agent and for the world: a second less than the limit is served, a
//! second more is not. Only waiting takes simulated time; what is sent meanwhile takes its own.

use std::time::Duration;

use airut::sandbox::proxy::limits::{
    AGENT_IDLE_TIME_MAX, BODY_IDLE_TIME_MAX, CONNECT_TIME_MAX, DNS_TCP_TIME_MAX, FILTERED_TIME_MAX,
    HANDSHAKE_TIME_MAX, HEAD_TIME_MAX, PING_TIME_MAX, PONG_TIME_MAX, RECEIPT_TIME_MAX,
    RESPONSE_HEAD_TIME_MAX,
};
use airut::tasks::TaskSet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::client::{read_until, say, say_all, status};
use crate::floods::{self, HEADERS, HEADERS_KIND, frame};
use crate::world::{Gate, World, at};

const SECOND: Duration = Duration::from_secs(1);

const SETTINGS_KIND: u8 = 4;

const GET: &str = "GET / HTTP/1.1\r\nhost: one.test\r\nconnection: close\r\n\r\n";

/// A query for the address of a.test, with its length before it.
const QUERY: &[u8] = b"\0\x18\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";

/// Lets time pass for whoever waits.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::sleep(time).await;
    tokio::time::resume();
}

/// Waits and then asks; returns whether an answer came before the end.
async fn is_served(world: &World, port: u16, wait: Duration, ask: &[u8]) -> bool {
    let mut stream = TcpStream::connect(at(&world.setup, port)).await.unwrap();
    tokio::task::yield_now().await;
    pass(wait).await;
    // Whoever has hung up hears nothing.
    drop(stream.write_all(ask).await);
    stream.read_u8().await.is_ok()
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_said_is_closed_in_time() {
    let world = World::start().await;
    let ports = world.setup.ports;
    for (port, ask, patience) in [
        (ports.http, GET.as_bytes(), AGENT_IDLE_TIME_MAX),
        (ports.dns, QUERY, DNS_TCP_TIME_MAX),
        // An alert answers bytes that are no TLS.
        (ports.https, b"GET / HTTP/1.1\r\n\r\n", HANDSHAKE_TIME_MAX),
    ] {
        let below = is_served(&world, port, patience - SECOND, ask).await;
        let above = is_served(&world, port, patience + SECOND, ask).await;
        assert_eq!((below, above), (true, false), "port {port}");
    }
}

#[tokio::test]
async fn a_connection_over_http2_has_so_much_time_for_its_first_byte() {
    let world = World::start().await;
    for (wait, served) in [
        (HEAD_TIME_MAX - SECOND, true),
        (HEAD_TIME_MAX + SECOND, false),
    ] {
        let mut stream = world.client.tls("two.test", "h2", true).await.unwrap();
        tokio::task::yield_now().await;
        pass(wait).await;
        drop(stream.write_all(floods::PREFACE).await);
        drop(stream.flush().await);
        assert_eq!(stream.read_u8().await.is_ok(), served, "{wait:?}");
    }
}

#[tokio::test]
async fn a_peer_over_http2_that_gives_no_sign_of_life_is_left() {
    let world = World::start().await;
    let patience = PING_TIME_MAX + PONG_TIME_MAX;
    for (wait, served) in [(patience - SECOND, true), (patience + SECOND, false)] {
        let mut stream = floods::connect(&world).await;
        stream.flush().await.unwrap();
        // Its settings show that it has begun to wait.
        floods::kinds_until(&mut stream, SETTINGS_KIND).await;
        pass(wait).await;
        drop(
            stream
                .write_all(&frame(HEADERS_KIND, 0x5, 1, HEADERS))
                .await,
        );
        drop(stream.flush().await);
        let came = floods::kinds_until(&mut stream, HEADERS_KIND).await;
        assert_eq!(came.contains(&HEADERS_KIND), served, "{wait:?}: {came:?}");
    }
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_for_as_long_as_its_limit() {
    let world = World::start().await;
    let get = GET.replace("connection: close\r\n", "");
    let mut stream = world
        .client
        .tls("one.test", "http/1.1", true)
        .await
        .unwrap();
    for _ in 0..3 {
        say_all(&mut stream, get.as_bytes()).await;
        assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 200);
        pass(AGENT_IDLE_TIME_MAX - SECOND).await;
    }
    pass(SECOND * 2).await;
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test]
async fn a_body_that_a_filter_reads_has_so_much_time() {
    let world = World::start().await;
    let body = r#"{"query":"{viewer}"}"#;
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: graph.test\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    for (wait, expected) in [
        (FILTERED_TIME_MAX - SECOND, 200),
        (FILTERED_TIME_MAX + SECOND, 403),
    ] {
        let mut stream = world
            .client
            .tls("graph.test", "http/1.1", true)
            .await
            .unwrap();
        say_all(&mut stream, head.as_bytes()).await;
        // The filter has asked for the body, and waits.
        assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 100);
        pass(wait).await;
        let answer = say(stream, body).await;
        assert_eq!(status(&answer), expected, "{answer}");
    }
}

/// Asks in a task of its own.
fn asking(world: &World, host: &'static str, path: &str) -> JoinHandle<String> {
    let request = GET
        .replace("one.test", host)
        .replace(" / ", &format!(" {path} "));
    let client = world.client.clone();
    TaskSet::new().spawn(async move { client.say(host, &request).await })
}

#[tokio::test]
async fn a_decision_without_a_receipt_is_denied_in_time() {
    let world = World::start().await;
    for (number, wait, expected) in [
        (1, RECEIPT_TIME_MAX - SECOND, 200),
        (3, RECEIPT_TIME_MAX + SECOND, 503),
    ] {
        world.asked(number - 1).await;
        world.recording.gate.send_replace(Gate::Closed);
        let asking = asking(&world, "one.test", "/");
        world.asked(number).await;
        pass(wait).await;
        world.recording.gate.send_replace(Gate::Open);
        assert_eq!(status(&asking.await.unwrap()), expected, "{wait:?}");
    }
    assert_eq!(world.origin.seen().len(), 1);
}

/// Returns once a line stands so often in the journal.
async fn written(world: &World, line: &str, count: usize) {
    let asked = || {
        world
            .journal
            .lines()
            .iter()
            .filter(|written| *written == line)
            .count()
    };
    while asked() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_origin_has_so_much_time_to_be_connected_to() {
    let world = World::start().await;
    for (number, wait, expected) in [
        // In this order, since a connection that was made is used again.
        (1, CONNECT_TIME_MAX + SECOND, 502),
        (2, CONNECT_TIME_MAX - SECOND, 200),
    ] {
        let asking = asking(&world, "mute.test", "/");
        written(&world, "hello of mute.test", number).await;
        pass(wait).await;
        world.origin.send_next_event();
        let answer = asking.await.unwrap();
        assert_eq!(status(&answer), expected, "{answer}");
    }
}

#[tokio::test]
async fn an_origin_has_so_much_time_for_its_answer() {
    let world = World::start().await;
    for host in ["one.test", "two.test"] {
        let before = world.origin.seen().len();
        let late = asking(&world, host, "/late");
        written(&world, "requested /late", before * 2 + 1).await;
        pass(RESPONSE_HEAD_TIME_MAX - SECOND).await;
        world.origin.send_next_event();
        assert_eq!(status(&late.await.unwrap()), 200, "{host}");
        let never = asking(&world, host, "/late");
        written(&world, "requested /late", before * 2 + 2).await;
        pass(RESPONSE_HEAD_TIME_MAX + SECOND).await;
        let answer = never.await.unwrap();
        assert_eq!(status(&answer), 502, "{answer}");
        assert!(answer.contains("no answer within 600 s"), "{answer}");
    }
}

#[tokio::test]
async fn an_origin_has_so_much_time_between_the_pieces_of_its_answer() {
    let world = World::start().await;
    for host in ["one.test", "two.test"] {
        for (wait, comes) in [
            (BODY_IDLE_TIME_MAX - SECOND, true),
            (BODY_IDLE_TIME_MAX + SECOND, false),
        ] {
            let mut stream = world.client.tls(host, "http/1.1", true).await.unwrap();
            let get = GET.replace("one.test", host).replace(" / ", " /events ");
            say_all(&mut stream, get.as_bytes()).await;
            let first = read_until(&mut stream, "data: 0\n\n").await;
            assert_eq!(status(&first), 200);
            pass(wait).await;
            if comes {
                world.origin.send_next_event();
            }
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest).await);
            let rest = String::from_utf8(rest).unwrap();
            assert_eq!(rest.contains("data: 1"), comes, "{host}, {wait:?}: {rest}");
            assert_eq!(
                rest.ends_with("0\r\n\r\n"),
                comes,
                "{host}, {wait:?}: {rest}"
            );
        }
    }
}
