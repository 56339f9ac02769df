//! An agent that spends the proxy's memory or time over HTTP/2: its connection ends, others go on.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::status;
use crate::world::World;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// GET https://two.test/ in HPACK: three indexed fields, and the authority as a literal.
pub(crate) const HEADERS: &[u8] = b"\x82\x84\x87\x01\x08two.test";

pub(crate) const HEADERS_KIND: u8 = 1;
pub(crate) const RESET_KIND: u8 = 3;
const PING_KIND: u8 = 6;
pub(crate) const GOAWAY_KIND: u8 = 7;
const CONTINUATION_KIND: u8 = 9;

/// A kind that nobody sends.
const NO_KIND: u8 = 0xff;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head, body.to_vec()].concat()
}

pub(crate) async fn connect(world: &World) -> TlsStream<TcpStream> {
    let mut stream = world.client.tls("two.test", "h2", true).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream
}

/// Reads frames until one of this kind, or until the proxy hangs up; returns the kinds that came.
pub(crate) async fn kinds_until(stream: &mut TlsStream<TcpStream>, last: u8) -> Vec<u8> {
    let mut kinds = Vec::new();
    let mut head = [0; 9];
    while !kinds.contains(&last) && stream.read_exact(&mut head).await.is_ok() {
        kinds.push(head[3]);
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut body = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut body).await.is_err() {
            break;
        }
    }
    kinds
}

async fn check_ends(frames: impl Iterator<Item = Vec<u8>>) {
    let world = World::start().await;
    let mut stream = connect(&world).await;
    for frame in frames {
        // The proxy may have hung up already.
        if stream.write_all(&frame).await.is_err() {
            break;
        }
    }
    drop(stream.flush().await);
    // Whether it says goodbye before it hangs up or not.
    kinds_until(&mut stream, NO_KIND).await;
    let get = "GET / HTTP/1.1\r\nhost: two.test\r\nconnection: close\r\n\r\n";
    let answer = world.client.say("two.test", get).await;
    assert_eq!(status(&answer), 200, "others are served: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_opened_and_taken_back_again_and_again_end_the_connection() {
    let streams = (0..10_000_u32).map(|number| number * 2 + 1);
    check_ends(streams.map(|stream| {
        let open = frame(HEADERS_KIND, 0x5, stream, HEADERS);
        [open, frame(RESET_KIND, 0, stream, &[0, 0, 0, 8])].concat()
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_ends_the_connection() {
    let begin = std::iter::once(frame(HEADERS_KIND, 0, 1, HEADERS));
    let field = [&b"\x00\x01x\x7f\x81\x1e"[..], &[b'y'; 285]].concat();
    let more = std::iter::repeat_with(move || frame(CONTINUATION_KIND, 0, 1, &field.repeat(50)));
    check_ends(begin.chain(more.take(10_000))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_only_pings_is_answered_and_serves_on() {
    let world = World::start().await;
    let mut stream = connect(&world).await;
    for _ in 0..100 {
        stream
            .write_all(&frame(PING_KIND, 0, 0, &[7; 8]))
            .await
            .unwrap();
    }
    stream
        .write_all(&frame(HEADERS_KIND, 0x5, 1, HEADERS))
        .await
        .unwrap();
    let (mut pongs, mut head) = (0, [0; 9]);
    loop {
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut body = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        match head[3] {
            PING_KIND if head[4] == 1 => pongs += 1,
            HEADERS_KIND => break,
            _ => {}
        }
    }
    assert!(pongs > 0);
    assert_eq!(world.origin.seen().len(), 1);
}
