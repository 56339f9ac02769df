//! The stream in front of the real hyper: what hyper serves is what was judged, request by request.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::sandbox::proxy::strict::head::Head;

/// Target and body of a request.
type Served = (String, Vec<u8>);

/// What became of some bytes: the requests hyper served, the refusal, the answer.
#[derive(Debug, Default)]
struct Outcome {
    served: Vec<Served>,
    refused: Option<RefusedHead>,
    broken: bool,
    answer: String,
}

async fn serve(bytes: &[u8], piece: usize) -> Outcome {
    let (mut agent, proxy) = tokio::io::duplex(1 << 20);
    let verdicts = Verdicts::default();
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let (seen, asked) = (Arc::clone(&outcome), verdicts.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (seen, verdicts) = (Arc::clone(&seen), asked.clone());
        async move {
            if let Some(refused) = verdicts.next_request() {
                let mut response = Response::new(Full::<Bytes>::default());
                *response.status_mut() = refused.why.status;
                seen.lock().unwrap().refused = Some(refused);
                return Ok::<_, Infallible>(response);
            }
            let (parts, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let body = body.to_bytes().to_vec();
                seen.lock()
                    .unwrap()
                    .served
                    .push((parts.uri.to_string(), body));
            }
            verdicts.answered(false);
            Ok(Response::new(Full::from("ok")))
        }
    });
    let stream = TokioIo::new(StrictStream::new(proxy, verdicts.clone()));
    let mut builder = http1::Builder::new();
    builder.max_headers(crate::sandbox::proxy::limits::HEADERS_MAX);
    let serving = builder.serve_connection(stream, service);
    let speaking = async {
        for piece in bytes.chunks(piece) {
            // Whoever is refused early is not listened to.
            if agent.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // An end while a request is served would take its answer, as always with hyper.
        // The time is simulated: it passes once nothing else can happen.
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(agent.shutdown().await);
        let mut answer = Vec::new();
        drop(agent.read_to_end(&mut answer).await);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (_, answer) = tokio::join!(serving, speaking);
    let mut outcome = std::mem::take(&mut *outcome.lock().unwrap());
    (outcome.answer, outcome.broken) = (answer, verdicts.broken().is_some());
    outcome
}

/// Cuts bytes into requests by the judgement alone; decodes chunks the plain way.
fn cut(mut bytes: &[u8]) -> (Vec<Served>, bool) {
    let mut requests = Vec::new();
    loop {
        let Ok(Some(end)) = Progress::default().end(bytes) else {
            return (requests, !bytes.is_empty());
        };
        let (head, rest) = bytes.split_at(end);
        let Ok(Head { framing, .. }) = head::read(head) else {
            return (requests, true);
        };
        let target = String::from_utf8_lossy(head)
            .split(' ')
            .nth(1)
            .unwrap()
            .to_owned();
        let (body, length) = match framing {
            Framing::Length(length) => {
                let length = usize::try_from(length).unwrap();
                let Some(body) = rest.get(..length) else {
                    return (requests, true);
                };
                (body.to_vec(), length)
            }
            Framing::Chunked => {
                let mut chunks = Chunks::new();
                match chunks.pass(rest) {
                    Ok(length) if chunks.is_complete() => (decode(&rest[..length]), length),
                    _ => return (requests, true),
                }
            }
        };
        requests.push((target, body));
        bytes = &rest[length..];
    }
}

fn decode(mut chunked: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = chunked.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let digits = chunked[..line].split(|byte| *byte == b';').next().unwrap();
        let size = std::str::from_utf8(digits).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend(&chunked[line + 2..line + 2 + size]);
        chunked = &chunked[line + 2 + size + 2..];
    }
}

const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_refused_head_is_answered_in_its_turn_and_ends_the_connection() {
    let bad = "POST /bad?secret HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na";
    for piece in [1, 7, 10_000] {
        let bytes = format!("{NEXT}{bad}{NEXT}");
        let outcome = serve(bytes.as_bytes(), piece).await;
        assert_eq!(outcome.served, [("/next".to_owned(), vec![])], "{piece}");
        let refused = outcome.refused.unwrap();
        assert_eq!(refused.why.detail, "it has two lengths");
        assert!(refused.bytes.starts_with(b"POST /bad"));
        let statuses: Vec<_> = outcome.answer.matches("HTTP/1.1 ").collect();
        assert_eq!(statuses.len(), 2, "{}", outcome.answer);
        assert!(
            outcome.answer.contains("HTTP/1.1 400 "),
            "{}",
            outcome.answer
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_chunks_breaks_the_connection_off() {
    let bytes = format!(
        "POST /bad HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\nabcde\r\n0\r\n\r\n{NEXT}"
    );
    let outcome = serve(bytes.as_bytes(), 10_000).await;
    assert_eq!(outcome.served, []);
    assert!(outcome.broken);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_declined_is_followed_by_requests() {
    let upgrade = "GET /ws HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    let outcome = serve(format!("{upgrade}{NEXT}").as_bytes(), 10_000).await;
    let targets: Vec<_> = outcome.served.iter().map(|(target, _)| target).collect();
    assert_eq!(targets, ["/ws", "/next"]);
    let bad = outcome_of_bad_after(upgrade).await;
    assert_eq!(bad.served.len(), 1);
    assert_eq!(bad.refused.unwrap().why.detail, "a line ends without CR");
}

async fn outcome_of_bad_after(first: &str) -> Outcome {
    serve(format!("{first}GET /next HTTP/1.1\n\n").as_bytes(), 10_000).await
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_slowly_is_answered_and_one_that_comes_in_time_served() {
    for (wait, expected) in [(Duration::ZERO, "200"), (Duration::from_secs(2), "408")] {
        let (mut agent, proxy) = tokio::io::duplex(1 << 16);
        let verdicts = Verdicts::default();
        let asked = verdicts.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            let mut response = Response::new(Full::<Bytes>::default());
            if let Some(refused) = asked.next_request() {
                *response.status_mut() = refused.why.status;
            }
            async move { Ok::<_, Infallible>(response) }
        });
        let stream = TokioIo::new(StrictStream::new(proxy, verdicts));
        let serving = http1::Builder::new().serve_connection(stream, service);
        let speaking = async {
            agent.write_all(b"GET / HT").await.unwrap();
            tokio::time::sleep(HEAD_TIME_MAX - Duration::from_secs(1)).await;
            agent.write_all(b"TP/1.1\r\n").await.unwrap();
            tokio::time::sleep(wait).await;
            drop(agent.write_all(b"connection: close\r\n\r\n").await);
            let mut answer = Vec::new();
            agent.read_to_end(&mut answer).await.unwrap();
            String::from_utf8(answer).unwrap()
        };
        let (_, answer) = tokio::join!(serving, speaking);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn of_a_refused_head_so_much_is_kept() {
    for bytes in [
        REPORTED_HEAD_BYTES_MAX - 1,
        REPORTED_HEAD_BYTES_MAX,
        REPORTED_HEAD_BYTES_MAX + 1,
    ] {
        let (mut agent, proxy) = tokio::io::duplex(1 << 16);
        let verdicts = Verdicts::default();
        let mut stream = StrictStream::new(proxy, verdicts.clone());
        let mut head = b"GET / HTTP/1.1\r\nx: ".to_vec();
        head.resize(bytes - 1, b'y');
        head.push(b'\n');
        agent.write_all(&head).await.unwrap();
        let mut stand_in = [0; STAND_IN.len()];
        stream.read_exact(&mut stand_in).await.unwrap();
        assert_eq!(stand_in, STAND_IN);
        let refused = verdicts.next_request().unwrap();
        assert_eq!(refused.bytes, head[..bytes.min(REPORTED_HEAD_BYTES_MAX)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_an_answer_waits_beyond_its_limit() {
    let (mut agent, proxy) = tokio::io::duplex(READ_BYTES);
    let verdicts = Verdicts::default();
    let mut stream = StrictStream::new(proxy, verdicts.clone());
    let head = b"GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    agent.write_all(head).await.unwrap();
    stream.read_exact(&mut [0; 64][..head.len()]).await.unwrap();
    assert!(verdicts.next_request().is_none());
    let (mut said, mut byte) = (0, [0]);
    let piece = [b'x'; READ_BYTES];
    let saying = async {
        loop {
            said += agent.write(&piece).await.unwrap();
        }
    };
    let second = Duration::from_secs(1);
    let reading = async { tokio::join!(saying, stream.read(&mut byte)) };
    let waited = tokio::time::timeout(second, reading).await;
    assert!(waited.is_err(), "nobody has answered");
    assert!(
        stream.ahead.len() >= READ_AHEAD_BYTES_MAX,
        "up to the limit"
    );
    assert!(stream.ahead.len() < READ_AHEAD_BYTES_MAX + READ_BYTES);
    assert_eq!(
        said,
        stream.ahead.len() + READ_BYTES,
        "the rest waits outside"
    );
    verdicts.answered(true);
    let mut all = vec![0; said];
    stream.read_exact(&mut all).await.unwrap();
    assert!(all.iter().all(|byte| *byte == b'x'), "nothing was lost");
}

/// Returns how long a stream that is shut down listens to an agent that says something each time.
async fn linger(piece: usize, pause: Duration) -> (Duration, usize) {
    let (mut agent, proxy) = tokio::io::duplex(1 << 16);
    let mut stream = StrictStream::new(proxy, Verdicts::default());
    let began = tokio::time::Instant::now();
    let mut said = 0;
    let saying = async {
        let piece = vec![b'x'; piece];
        while agent.write_all(&piece).await.is_ok() {
            said += piece.len();
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        shut = stream.shutdown() => shut.unwrap(),
        () = saying => {}
    }
    (began.elapsed(), said)
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_listened_to_after_the_answer_up_to_the_limits_and_no_longer() {
    let (listened, _) = linger(1, Duration::from_millis(100)).await;
    assert_eq!(listened.as_secs(), LINGER_TIME_MAX.as_secs());
    let (listened, said) = linger(1 << 16, Duration::ZERO).await;
    assert!(listened < LINGER_TIME_MAX, "{listened:?}");
    assert!(said >= LINGER_BYTES_MAX, "{said}");
    assert!(said <= LINGER_BYTES_MAX + (1 << 17), "{said}");
    let (listened, said) = linger(1 << 16, Duration::from_millis(10)).await;
    assert!(said < LINGER_BYTES_MAX, "{said}");
    assert_eq!(listened.as_secs(), LINGER_TIME_MAX.as_secs());
}

/// Runs with simulated time.
fn settle(future: impl Future<Output = Outcome>) -> Outcome {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// Pieces of which heads and bodies are put together, well and badly.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "GET /a HTTP/1.1\r\n",
        "POST /b HTTP/1.1\r\n",
        "PUT /c HTTP/1.0\r\n",
        "HEAD /d HTTP/1.1\r\n",
        "host: a\r\n",
        "content-length: 3\r\n",
        "content-length: 0\r\n",
        "Content-Length: 10\r\n",
        "content-length: 3, 3\r\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding: CHUNKED \r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding : chunked\r\n",
        " folded: x\r\n",
        "expect: 100-continue\r\n",
        "connection: keep-alive\r\n",
        "upgrade: x\r\n",
        "x: \u{e4}\r\n",
        "\r\n",
        "\n",
        "\r",
        "abc",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "3;x=y\r\nabc\r\n",
        "0003\r\nabc\r\n",
        "0\r\nx-sum: 1\r\n\r\n",
        "0\r\n",
        "a",
        ":",
        " ",
        "\0",
        "GET ",
        "/",
    ];
    proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

/// A whole request, so that what follows it is reached.
fn request() -> impl Strategy<Value = String> {
    let requests = [
        NEXT,
        "POST /l HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
        "POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST /t HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;x\r\na\r\n2\r\nbc\r\n0\r\nx: y\r\n\r\n",
        "GET /u HTTP/1.1\r\nupgrade: websocket\r\n\r\n",
    ];
    proptest::sample::select(requests.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn hyper_cuts_requests_apart_where_they_were_judged_to_end(
        bytes in proptest::collection::vec(prop_oneof![2 => request(), 3 => piece()], 0..14),
        size in 1_usize..200,
    ) {
        let bytes = bytes.concat();
        let outcome = settle(serve(bytes.as_bytes(), size));
        let (judged, _) = cut(bytes.as_bytes());
        // Hyper may stop earlier, for example after HTTP/1.0; it never reads a request otherwise.
        prop_assert!(judged.starts_with(&outcome.served), "{bytes:?}\n{judged:?}\n{outcome:?}");
        if !bytes.contains("HTTP/1.0") && outcome.refused.is_none() && !outcome.broken {
            prop_assert_eq!(&judged, &outcome.served, "{:?}", bytes);
        }
    }

    #[test]
    fn whatever_bytes_come_the_stream_holds_no_more_than_a_head(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let outcome = settle(serve(&bytes, 64));
        let (judged, _) = cut(&bytes);
        prop_assert!(judged.starts_with(&outcome.served));
    }
}
