//! Bodies that come piece by piece, at a pace.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::site::Body;

/// Pieces that wait for a slow reader; then the writer waits too.
const PIECES_WAITING_MAX: usize = 8;

/// A piece of a body and how long to wait before it is sent.
pub(crate) struct Piece {
    /// The wait.
    pub(crate) after: Duration,
    /// The bytes.
    pub(crate) bytes: Bytes,
}

impl Piece {
    /// A piece that is sent at once.
    pub(crate) fn now(bytes: impl Into<Bytes>) -> Self {
        Self {
            after: Duration::ZERO,
            bytes: bytes.into(),
        }
    }
}

/// Answers 200 with pieces, each sent when its time has come.
pub(crate) fn respond<I>(media_type: &'static str, pieces: I) -> Response<Body>
where
    I: IntoIterator<Item = Piece> + Send + 'static,
    I::IntoIter: Send,
{
    let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
    tokio::spawn(async move {
        for piece in pieces {
            tokio::time::sleep(piece.after).await;
            if sender.send(piece.bytes).await.is_err() {
                return;
            }
        }
    });
    let frames = futures_util::stream::unfold(receiver, async |mut receiver| {
        let bytes = receiver.recv().await?;
        Some((Ok(Frame::data(bytes)), receiver))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    *response.status_mut() = StatusCode::OK;
    let media_type = http::HeaderValue::from_static(media_type);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, media_type);
    response
}
