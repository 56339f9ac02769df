//! What the origin answers where bodies are large, late or missing.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};

use crate::origin::Body;

/// Bytes of `/flood`: 1 GiB.
pub(crate) const FLOOD_BYTES: u64 = 1 << 30;

/// Bytes sent at a time.
pub(crate) const PIECE: &[u8] = &[b'x'; 64 * 1024];

/// Refuses an upload of which nothing was read.
pub(crate) fn early() -> Response<Body> {
    let mut response = Response::new(Full::from("too much").boxed_unsync());
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}

/// What a service of AWS says of a signature that is not what it came to.
pub(crate) const SIGNATURE_REFUSED: &str =
    "<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message></Error>";

/// Sends a lot.
pub(crate) fn flood() -> Response<Body> {
    let pieces = FLOOD_BYTES / PIECE.len() as u64;
    let pieces = (0..pieces).map(|_| Ok(Frame::data(Bytes::from_static(PIECE))));
    Response::new(StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync())
}

/// Takes whatever comes and tells how much it was.
pub(crate) async fn sink(mut body: Incoming) -> Response<Body> {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    Response::new(Full::from(bytes.to_string()).boxed_unsync())
}

/// Answers that say something about a body: how it is coded, that there is none, or a part of it.
pub(crate) fn about_a_body(path: &str, response: &mut Response<Body>) {
    if let Some(coding) = path.strip_prefix("/coded/") {
        let coding = coding.parse().unwrap();
        response.headers_mut().insert("content-encoding", coding);
        return;
    }
    let (status, name, value) = match path {
        "/nothing" => (StatusCode::NO_CONTENT, "x-seen", "1"),
        "/unchanged" => (StatusCode::NOT_MODIFIED, "etag", "\"7\""),
        "/head" => (StatusCode::OK, "content-length", "12345"),
        "/trailers-only" => (StatusCode::OK, "grpc-status", "5"),
        "/refuses-signatures" => (StatusCode::FORBIDDEN, "content-type", "application/xml"),
        "/part" => (StatusCode::PARTIAL_CONTENT, "content-range", "bytes 2-4/9"),
        _ => return,
    };
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    *response.body_mut() = match path {
        "/part" => Full::from("cde").boxed_unsync(),
        "/refuses-signatures" => Full::from(SIGNATURE_REFUSED).boxed_unsync(),
        _ => Empty::new().boxed_unsync(),
    };
}
