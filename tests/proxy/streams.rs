//! Bodies in both directions, over both versions of HTTP.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Version};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::AsyncWriteExt as _;

use crate::client::{RequestBody, read_until, status};
use crate::world::World;

fn request(uri: &str, body: RequestBody) -> Request<RequestBody> {
    Request::post(uri).body(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_http_are_spoken_on_both_sides() {
    let world = World::start().await;
    for (host, upstream) in [
        ("one.test", Version::HTTP_11),
        ("two.test", Version::HTTP_2),
    ] {
        let raw = format!(
            "POST /echo HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-length: 3\r\n\r\nabc"
        );
        let answer = world.client.say(host, &raw).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("abc"),
            "{answer}"
        );
        let body = Full::new(Bytes::from_static(b"defg")).boxed_unsync();
        let response = world
            .client
            .ask_two(request(&format!("https://{host}/echo"), body))
            .await;
        assert_eq!(response.version(), Version::HTTP_2);
        let echoed = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(echoed, "defg");
        let seen = world.origin.seen();
        let versions: Vec<_> = seen.iter().rev().take(2).map(|seen| seen.version).collect();
        assert_eq!(versions, [upstream, upstream], "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_as_they_are_sent() {
    let world = World::start().await;
    for host in ["one.test", "two.test"] {
        let get = format!("GET /events HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let mut stream = world.client.tls(host, "http/1.1", true).await.unwrap();
        stream.write_all(get.as_bytes()).await.unwrap();
        assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 200);
        // The origin sends the second event only after the first is here.
        read_until(&mut stream, "data: 0\n\n").await;
        world.origin.send_next_event();
        read_until(&mut stream, "data: 1\n\n").await;

        let body = Full::default().boxed_unsync();
        let response = world
            .client
            .ask_two(request(&format!("https://{host}/events"), body))
            .await;
        let mut body = response.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "data: 0\n\n");
        world.origin.send_next_event();
        let second = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(second, "data: 1\n\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_in_both_directions() {
    let world = World::start().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sent", HeaderValue::from_static("7"));
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"up"))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let response = world
        .client
        .ask_two(request("https://two.test/trailers", body))
        .await;
    let response = response.into_body().collect().await.unwrap();
    assert_eq!(response.trailers().unwrap()["x-checksum"], "42");
    let seen = world.origin.seen();
    assert_eq!(seen[0].trailers.as_ref().unwrap()["x-sent"], "7");

    let get = "GET /trailers HTTP/1.1\r\nhost: one.test\r\nte: trailers\r\n\
               connection: te, close\r\n\r\n";
    let answer = world.client.say("one.test", get).await;
    assert!(answer.ends_with("0\r\nx-checksum: 42\r\n\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_keeps_a_body_of_unknown_length() {
    let world = World::start().await;
    let get = "GET /search HTTP/1.1\r\nhost: one.test\r\nconnection: close\r\n\
               transfer-encoding: chunked\r\n\r\n5\r\nquery\r\n0\r\n\r\n";
    let answer = world.client.say("one.test", get).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let frames = [Ok(Frame::data(Bytes::from_static(b"query")))];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let get = Request::get("https://one.test/search").body(body).unwrap();
    assert_eq!(world.client.ask_two(get).await.status(), 200);
    let seen = world.origin.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(
            (seen.method.as_str(), &seen.body[..]),
            ("GET", &b"query"[..])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_becomes_a_tunnel_only_when_the_origin_agrees() {
    let world = World::start().await;
    let ask = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: two.test\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n"
        )
    };
    let mut stream = world
        .client
        .tls("two.test", "http/1.1", true)
        .await
        .unwrap();
    stream
        .write_all(ask("/websocket").as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 101);
    stream.write_all(b"frames\n").await.unwrap();
    assert_eq!(read_until(&mut stream, "\n").await, "frames\n");
    drop(stream);

    let mut stream = world
        .client
        .tls("two.test", "http/1.1", true)
        .await
        .unwrap();
    let other = ask("/other-protocol");
    stream.write_all(other.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(status(&answer), 502, "nobody asked for that");

    let hidden = "GET /evil HTTP/1.1\r\nhost: evil.test\r\nconnection: close\r\n\r\n";
    let both = format!("{}{hidden}", ask("/declined"));
    let answer = world.client.say("two.test", &both).await;
    assert!(
        answer.contains(" 200 ") && answer.contains(" 403 "),
        "{answer}"
    );
    let paths: Vec<_> = world
        .origin
        .seen()
        .into_iter()
        .map(|seen| seen.path)
        .collect();
    assert_eq!(paths, ["/websocket", "/other-protocol", "/declined"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_waits_to_be_asked_for_is_asked_for() {
    let world = World::start().await;
    for host in ["one.test", "two.test"] {
        let head = format!(
            "POST /echo HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\n\
             content-length: 3\r\n\r\n"
        );
        let mut stream = world.client.tls(host, "http/1.1", true).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 100);
        stream.write_all(b"abc").await.unwrap();
        assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 200);
        assert_eq!(read_until(&mut stream, "abc").await, "abc");
    }
    let seen = world.origin.seen();
    let expected: Vec<_> = seen
        .iter()
        .map(|seen| seen.headers.contains_key("expect"))
        .collect();
    assert_eq!(expected, [true, false], "HTTP/2 has no way to answer it");
}
