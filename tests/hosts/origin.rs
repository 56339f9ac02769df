//! A plain web server: what it is asked decides how it behaves.
//!
//! `/echo` tells the request back, `/bytes/N` sends N bytes, `/sse/N` sends N events 50 ms apart,
//! `/slow/MS` waits, `/status/N` answers with that status.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use crate::site::{Asked, Body, headers_of, json_body, text};
use crate::stream::{self, Piece};

const CHUNK_BYTES: u64 = 64 << 10;

/// Answers a request to any host that is nobody else's.
pub(crate) fn answer(asked: &Asked) -> Response<Body> {
    let path = asked.head.uri.path().trim_matches('/');
    let (what, count) = path.split_once('/').unwrap_or((path, ""));
    let count = count.parse::<u64>().unwrap_or(0);
    match what {
        "bytes" => stream::respond("application/octet-stream", chunks(count)),
        "sse" => stream::respond("text/event-stream", events(count)),
        "slow" => stream::respond("text/plain", slow(count)),
        "status" => {
            let status = u16::try_from(count)
                .ok()
                .and_then(|code| StatusCode::from_u16(code).ok());
            text(status.unwrap_or(StatusCode::BAD_REQUEST), "as asked\n")
        }
        _ => json_body(
            StatusCode::OK,
            &json!({
                "host": asked.host,
                "method": asked.head.method.as_str(),
                "path": asked.head.uri.path_and_query().map(ToString::to_string),
                "headers": headers_of(&asked.head.headers),
                "body": String::from_utf8_lossy(&asked.body),
            }),
        ),
    }
}

fn chunks(total: u64) -> impl Iterator<Item = Piece> {
    let chunk = Bytes::from(vec![b'x'; usize::try_from(CHUNK_BYTES).unwrap_or_default()]);
    (0..total.div_ceil(CHUNK_BYTES)).map(move |index| {
        let left = total - index * CHUNK_BYTES;
        let length = usize::try_from(left.min(CHUNK_BYTES)).unwrap_or_default();
        Piece::now(chunk.slice(..length))
    })
}

fn events(total: u64) -> impl Iterator<Item = Piece> {
    (0..total).map(|number| Piece {
        after: if number == 0 {
            Duration::ZERO
        } else {
            Duration::from_millis(50)
        },
        bytes: Bytes::from(format!("data: {number}\n\n")),
    })
}

fn slow(wait_ms: u64) -> impl Iterator<Item = Piece> {
    [Piece {
        after: Duration::from_millis(wait_ms),
        bytes: Bytes::from_static(b"at last\n"),
    }]
    .into_iter()
}
