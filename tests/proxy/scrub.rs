//! Real values that upstream gives back: none reaches the agent.

use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{read_until, say_all, status};
use crate::world::{REAL, SURROGATE, World};

/// As long as the real value.
fn surrogate() -> &'static str {
    &SURROGATE[..REAL.len()]
}

async fn post(world: &World, path: &str, accepts: &str, body: Vec<u8>) -> Response<Incoming> {
    let request = Request::post(format!("https://two.test{path}"))
        .header("accept-encoding", accepts)
        .header("x-api-key", SURROGATE);
    let body = Full::new(Bytes::from(body)).boxed_unsync();
    world.client.ask_two(request.body(body).unwrap()).await
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_comes_back_is_replaced_in_headers_trailers_and_body() {
    let world = World::start().await;
    let basic = BASE64.encode(format!("user:{REAL}"));
    let said = format!("{REAL} and {basic} {}", hex::encode(REAL));
    let response = post(&world, "/give-back", "gzip", said.into_bytes()).await;
    assert_eq!(world.origin.seen()[0].headers["x-api-key"], REAL);
    assert_eq!(response.headers()["x-echo"], surrogate());
    let whole = response.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-echo"], surrogate());
    let text = String::from_utf8(whole.to_bytes().to_vec()).unwrap();
    assert!(text.starts_with(surrogate()), "{text}");
    let written = [REAL.to_owned(), basic, hex::encode(REAL)];
    assert!(!written.iter().any(|form| text.contains(form)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_in_pieces_is_replaced_and_the_length_stays() {
    let world = World::start().await;
    for cut in 1..REAL.len() {
        let (one, other) = REAL.split_at(cut);
        let post = format!(
            "POST /plain HTTP/1.1\r\nhost: one.test\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n",
            one.len(),
            other.len()
        );
        let answer = world.client.say("one.test", &post).await;
        assert!(answer.ends_with(surrogate()), "{answer}");
    }
    let pieces: Vec<Bytes> = REAL.bytes().map(|byte| Bytes::from(vec![byte])).collect();
    let frames = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let request = Request::post("https://two.test/pieces").body(body).unwrap();
    let response = world.client.ask_two(request).await;
    assert_eq!(text(response).await, surrogate());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_replaced_in_every_compression() {
    let world = World::start().await;
    let said = format!("before {REAL} after").into_bytes();
    let expected = format!("before {} after", surrogate());
    for (coding, encoded) in [
        ("gzip", encode(GzipEncoder::new(&said[..])).await),
        ("deflate", encode(ZlibEncoder::new(&said[..])).await),
        ("br", encode(BrotliEncoder::new(&said[..])).await),
        ("zstd", encode(ZstdEncoder::new(&said[..])).await),
    ] {
        for accepts in ["gzip, deflate, br, zstd", "identity"] {
            let path = format!("/coded/{coding}");
            let response = post(&world, &path, accepts, encoded.clone()).await;
            assert!(!response.headers().contains_key("content-encoding"));
            assert_eq!(text(response).await, expected, "{coding}");
        }
    }
    let asked = &world.origin.seen()[0].headers;
    assert_eq!(asked["accept-encoding"], "identity");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_searched_does_not_pass() {
    let world = World::start().await;
    let response = post(&world, "/coded/compress", "*", REAL.into()).await;
    assert_eq!(response.status(), 502);
    let body = text(response).await;
    assert!(body.contains("cannot be searched"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_as_many_codings_as_may_be_undone() {
    let world = World::start().await;
    let mut encoded = format!("before {REAL} after").into_bytes();
    for (codings, expected) in [("gzip", 200), ("gzip,gzip", 200), ("gzip,gzip,gzip", 502)] {
        encoded = encode(GzipEncoder::new(&encoded[..])).await;
        let path = format!("/coded/{codings}");
        let response = post(&world, &path, "gzip", encoded.clone()).await;
        assert_eq!(response.status(), expected, "{codings}");
        let body = text(response).await;
        assert_eq!(body.contains(surrogate()), expected == 200, "{body}");
    }
}

/// Returns a frame of zstd (RFC 8878, 3.1.1) whose window is so many bits wide: one raw block.
fn zstd_with_window(bits: u8, said: &[u8]) -> Vec<u8> {
    let magic_and_descriptor = [0x28, 0xb5, 0x2f, 0xfd, 0];
    let last_raw_block = u32::try_from(said.len() << 3 | 1).unwrap().to_le_bytes();
    [
        &magic_and_descriptor[..],
        &[(bits - 10) << 3],
        &last_raw_block[..3],
        said,
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_zstd_has_a_window_as_wide_as_may_be() {
    let world = World::start().await;
    // RFC 9659 grants 23 bits: 8 MiB.
    for (bits, passes) in [(22, true), (23, true), (24, false)] {
        let encoded = zstd_with_window(bits, REAL.as_bytes());
        let head = format!(
            "POST /coded/zstd HTTP/1.1\r\nhost: one.test\r\ncontent-length: {}\r\naccept-encoding: \
             zstd\r\nconnection: close\r\n\r\n",
            encoded.len()
        );
        let mut stream = world
            .client
            .tls("one.test", "http/1.1", true)
            .await
            .unwrap();
        say_all(&mut stream, &[head.as_bytes(), &encoded].concat()).await;
        let mut answer = Vec::new();
        // What cannot be decoded is broken off.
        drop(stream.read_to_end(&mut answer).await);
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answer.contains(surrogate()), passes, "{bits}: {answer}");
        assert!(!answer.contains(REAL), "{bits}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_a_compressed_answer_has_no_body_to_decode() {
    let world = World::start().await;
    let head = "HEAD /coded/gzip HTTP/1.1\r\nhost: one.test\r\nconnection: close\r\n\r\n";
    let answer = world.client.say("one.test", head).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(!answer.contains("content-encoding"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_replaced_within_a_tunnel() {
    let world = World::start().await;
    let tls = world.client.tls("two.test", "http/1.1", true).await;
    let mut stream = tls.unwrap();
    let ask = "GET /websocket HTTP/1.1\r\nhost: two.test\r\nconnection: upgrade\r\n\
               upgrade: websocket\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    let (one, other) = REAL.split_at(5);
    stream.write_all(one.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    stream.write_all(other.as_bytes()).await.unwrap();
    let mut seen = vec![0; REAL.len()];
    stream.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, surrogate().as_bytes());
    let asked = &world.origin.seen()[0].headers;
    assert!(!asked.contains_key("sec-websocket-extensions"));
}

async fn encode(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut encoded = Vec::new();
    encoder.read_to_end(&mut encoded).await.unwrap();
    encoded
}
