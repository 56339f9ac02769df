//! Answers that come early, or without a body, on both legs.

use airut::events::event::ProxyEvent;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::answers::PIECE;
use crate::client::{read_until, say_all, status};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_refused_at_its_head_is_never_sent() {
    let world = World::start().await;
    let head = "POST /early HTTP/1.1\r\nhost: one.test\r\nexpect: 100-continue\r\n\
                content-length: 1000000\r\n\r\n";
    let mut stream = world
        .client
        .tls("one.test", "http/1.1", true)
        .await
        .unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // No 100 before it: that would have been the proxy's own.
    assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_during_the_upload_reaches_whoever_uploads() {
    let world = World::start().await;
    for host in ["one.test", "two.test"] {
        let head =
            format!("POST /early HTTP/1.1\r\nhost: {host}\r\ncontent-length: 100000000\r\n\r\n");
        let mut stream = world.client.tls(host, "http/1.1", true).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        say_all(&mut stream, PIECE).await;
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        assert_eq!(status(&answer), 413, "{host}: {answer}");
        assert_eq!(read_until(&mut stream, "much").await, "too much");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_whoever_sends_on_regardless() {
    let world = World::start().await;
    let head = "POST / HTTP/1.1\r\nhost: evil.test\r\ncontent-length: 3000000\r\n\r\n";
    let request = [head.as_bytes(), &PIECE.repeat(46)].concat();
    let request = String::from_utf8(request).unwrap();
    let answer = world.client.say_plain(&request).await;
    assert_eq!(
        status(&answer),
        403,
        "the connection is not reset before it is read"
    );
    assert!(answer.contains("blocked_by_network_allowlist"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_keep_what_they_say_about_it() {
    let world = World::start().await;
    for host in ["one.test", "two.test"] {
        let ask = async |method: &str, path: &str| {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: {host}\r\nrange: bytes=2-4\r\nconnection: close\r\n\r\n"
            );
            world.client.say(host, &request).await
        };
        let head = ask("HEAD", "/head").await;
        assert!(head.contains("content-length: 12345\r\n"), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        let nothing = ask("GET", "/nothing").await;
        assert_eq!(status(&nothing), 204);
        assert!(!nothing.contains("transfer-encoding"), "{nothing}");
        let unchanged = ask("GET", "/unchanged").await;
        assert!(unchanged.starts_with("HTTP/1.1 304"), "{unchanged}");
        assert!(unchanged.contains("etag: \"7\"\r\n"), "{unchanged}");
        let part = ask("GET", "/part").await;
        assert!(part.contains("content-range: bytes 2-4/9\r\n"), "{part}");
        assert!(part.ends_with("\r\n\r\ncde"), "{part}");
    }
    let seen = world.origin.seen();
    assert!(seen.iter().all(|seen| seen.headers["range"] == "bytes=2-4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_trailers_only_is_one_frame_of_headers() {
    let world = World::start().await;
    let body = Full::new(Bytes::from_static(b"\0\0\0\0\0")).boxed_unsync();
    let call = Request::post("https://two.test/trailers-only")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body);
    let response = world.client.ask_two(call.unwrap()).await;
    assert_eq!(response.headers()["grpc-status"], "5");
    assert!(hyper::body::Body::is_end_stream(response.body()));
    assert_eq!(world.origin.seen()[0].headers["te"], "trailers");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_tunnel_is_recorded_with_its_bytes() {
    let world = World::start().await;
    let ask = "GET /websocket HTTP/1.1\r\nhost: two.test\r\nconnection: upgrade\r\n\
               upgrade: websocket\r\n\r\n";
    let mut stream = world
        .client
        .tls("two.test", "http/1.1", true)
        .await
        .unwrap();
    stream.write_all(ask.as_bytes()).await.unwrap();
    assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 101);
    stream.write_all(b"frames\n").await.unwrap();
    assert_eq!(read_until(&mut stream, "\n").await, "frames\n");
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    let ended = |event: &ProxyEvent| match event {
        ProxyEvent::ResponseCompleted(completed) => Some(completed.clone()),
        _ => None,
    };
    let ended = world.event(ended).await;
    assert_eq!(
        (ended.status, ended.bytes_up, ended.bytes_down),
        (101, 7, 7)
    );
    assert!(ended.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_connection_resumes_the_session_of_the_first_on_both_legs() {
    let world = World::start().await;
    let mut kinds = Vec::new();
    for _ in 0..2 {
        // Each WebSocket has connections of its own.
        let mut stream = world
            .client
            .tls("one.test", "http/1.1", true)
            .await
            .unwrap();
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        let ask = "GET /websocket HTTP/1.1\r\nhost: one.test\r\nconnection: upgrade\r\n\
                   upgrade: websocket\r\n\r\n";
        say_all(&mut stream, ask.as_bytes()).await;
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        assert_eq!(status(&answer), 101, "{answer}");
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    let lines = world.journal.lines();
    let count = |line: &str| lines.iter().filter(|written| *written == line).count();
    assert_eq!((count("connected"), count("resumed")), (2, 1), "{lines:?}");
}
