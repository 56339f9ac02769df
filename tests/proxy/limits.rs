//! How much one agent may have open: at each limit all is served, one more waits or is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use airut::sandbox::proxy::limits::{
    CONNECTIONS_MAX, FRAME_BYTES_MAX, HEADER_LIST_BYTES_MAX, LOCAL_RESETS_MAX, PENDING_RESETS_MAX,
    STREAMS_MAX,
};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{read_until, say_all};
use crate::floods::{GOAWAY_KIND, HEADERS, HEADERS_KIND, RESET_KIND, connect, frame};
use crate::world::World;

const DATA_KIND: u8 = 0;
const SETTINGS_KIND: u8 = 4;
const PING_KIND: u8 = 6;

/// A kind that nobody knows; such frames are ignored (RFC 9113, 5.5).
const UNKNOWN_KIND: u8 = 0xfa;

const REFUSED_STREAM: u32 = 7;

/// POST in the place of GET: the stream stays open as long as its body does.
fn post() -> Vec<u8> {
    let mut headers = HEADERS.to_vec();
    headers[0] = 0x83;
    headers
}

/// What came back until a ping was answered, or until the proxy hung up.
#[derive(Default)]
struct Came {
    settings: BTreeMap<u16, u32>,
    answered: Vec<u32>,
    resets: BTreeMap<u32, u32>,
    hung_up: bool,
}

/// Pings, and reads all that comes before the answer: whatever was sent before has been judged then.
async fn come(stream: &mut (impl AsyncRead + tokio::io::AsyncWrite + Unpin)) -> Came {
    let mut came = Came::default();
    // The proxy may have hung up already.
    drop(stream.write_all(&frame(PING_KIND, 0, 0, &[7; 8])).await);
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
        };
        let mut body = vec![0; usize::try_from(number(&head[..3])).unwrap()];
        if stream.read_exact(&mut body).await.is_err() {
            break;
        }
        match head[3] {
            HEADERS_KIND => came.answered.push(number(&head[5..])),
            RESET_KIND => drop(came.resets.insert(number(&head[5..]), number(&body))),
            SETTINGS_KIND => came.settings.extend(body.chunks(6).map(|setting| {
                let id = u16::from_be_bytes([setting[0], setting[1]]);
                (id, number(&setting[2..]))
            })),
            PING_KIND if head[4] == 1 => return came,
            GOAWAY_KIND => came.hung_up = true,
            _ => {}
        }
    }
    came.hung_up = true;
    came
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_limit_waits_until_another_one_ends() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let world = World::start().await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        held.push(world.client.plain().await);
    }
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: get.test\r\n\r\n");
    let last = held.last_mut().unwrap();
    let mut further = world.client.plain().await;
    further.write_all(get("/waits").as_bytes()).await.unwrap();
    for _ in 0..100 {
        last.write_all(get("/served").as_bytes()).await.unwrap();
        let head = read_until(last, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
    let seen = world.origin.seen();
    assert_eq!(seen.len(), 100);
    assert!(seen.iter().all(|seen| seen.path == "/served"));
    drop(held.swap_remove(0));
    let head = read_until(&mut further, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(world.origin.seen()[100].path, "/waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_beyond_the_limit_is_refused_and_the_others_go_on() {
    let world = World::start().await;
    let mut stream = connect(&world).await;
    let open = |number: u32| frame(HEADERS_KIND, 0x4, number * 2 + 1, &post());
    let all: Vec<u8> = (0..STREAMS_MAX).flat_map(open).collect();
    say_all(&mut stream, &all).await;
    let came = come(&mut stream).await;
    assert_eq!(came.settings[&3], STREAMS_MAX, "the limit is told");
    assert_eq!(came.resets, BTreeMap::new(), "at the limit all are taken");
    stream.write_all(&open(STREAMS_MAX)).await.unwrap();
    let came = come(&mut stream).await;
    let refused = BTreeMap::from([(STREAMS_MAX * 2 + 1, REFUSED_STREAM)]);
    assert_eq!((came.resets, came.hung_up), (refused, false));
    let end = frame(DATA_KIND, 0x1, 1, b"done");
    stream.write_all(&end).await.unwrap();
    let answered = async {
        loop {
            let came = come(&mut stream).await;
            assert!(!came.hung_up);
            if came.answered.contains(&1) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_taken_back_are_counted_up_to_the_limit() {
    let world = World::start().await;
    for (count, ends) in [(PENDING_RESETS_MAX - 1, false), (PENDING_RESETS_MAX, false)]
        .into_iter()
        .chain([(PENDING_RESETS_MAX + 1, true)])
    {
        let mut stream = connect(&world).await;
        let numbers = (0..u32::try_from(count).unwrap()).map(|number| number * 2 + 1);
        let pairs = numbers.flat_map(|number| {
            let open = frame(HEADERS_KIND, 0x5, number, HEADERS);
            [open, frame(RESET_KIND, 0, number, &[0, 0, 0, 8])].concat()
        });
        // In one piece, so that none is served in between.
        let pairs: Vec<u8> = pairs.collect();
        say_all(&mut stream, &pairs).await;
        assert_eq!(come(&mut stream).await.hung_up, ends, "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_with_mistakes_are_counted_up_to_the_limit() {
    let world = World::start().await;
    // A content-length of 5, and nothing of it.
    let mistaken = [HEADERS, b"\x0f\x0d\x015"].concat();
    for (count, ends) in [
        (LOCAL_RESETS_MAX - 1, false),
        (LOCAL_RESETS_MAX, false),
        (LOCAL_RESETS_MAX + 1, true),
    ] {
        let mut stream = connect(&world).await;
        let numbers = (0..u32::try_from(count).unwrap()).map(|number| number * 2 + 1);
        let all = numbers.flat_map(|number| frame(HEADERS_KIND, 0x5, number, &mistaken));
        let all: Vec<u8> = all.collect();
        say_all(&mut stream, &all).await;
        // A ping may be answered before it is said which streams were ended.
        let (mut reset, mut hung_up) = (0, false);
        while reset < count && !hung_up {
            let came = come(&mut stream).await;
            reset += came.resets.len();
            hung_up = came.hung_up;
        }
        assert_eq!(hung_up, ends, "{reset} of {count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_is_as_long_as_it_may_be() {
    let world = World::start().await;
    let most = usize::try_from(FRAME_BYTES_MAX).unwrap();
    for (bytes, ends) in [(most - 1, false), (most, false), (most + 1, true)] {
        let mut stream = connect(&world).await;
        let long = frame(UNKNOWN_KIND, 0, 0, &vec![0; bytes]);
        drop(stream.write_all(&long).await);
        drop(stream.flush().await);
        assert_eq!(come(&mut stream).await.hung_up, ends, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_list_over_http2_is_as_long_as_it_may_be() {
    let world = World::start().await;
    let ask = async |bytes: u32| {
        // A host that nothing allows, so that no limit of the origin's is met.
        // Each field counts 32 bytes beside its name and value (RFC 9113, 6.5.2).
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "none.test"),
            (":path", "/"),
            ("x", ""),
        ];
        let others = fields.iter();
        let others: usize = others
            .map(|(name, value)| name.len() + value.len() + 32)
            .sum();
        let value = "y".repeat(usize::try_from(bytes).unwrap() - others);
        let request = Request::get("https://none.test/").header("x", value);
        let request = request
            .body(Full::new(Bytes::new()).boxed_unsync())
            .unwrap();
        world.client.ask_two(request).await.status().as_u16()
    };
    assert_eq!(ask(HEADER_LIST_BYTES_MAX - 1).await, 403);
    assert_eq!(ask(HEADER_LIST_BYTES_MAX).await, 403);
    assert_eq!(ask(HEADER_LIST_BYTES_MAX + 1).await, 431);
}
