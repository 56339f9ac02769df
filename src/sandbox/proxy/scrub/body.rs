//! Response bodies on their way through the scrubber: decoded where they are compressed, data and
//! trailers looked through, lengths kept. It decides nothing about requests.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, HeaderName,
    HeaderValue, SEC_WEBSOCKET_EXTENSIONS,
};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::ext::ReasonPhrase;
use tokio::io::{AsyncBufRead, AsyncRead, BufReader};
use tokio_util::io::{StreamReader, poll_read_buf};

use crate::sandbox::proxy::body::{BodyError, ProxyBody};
use crate::sandbox::proxy::scrub::{Scrubber, Scrubbing};

/// Codings of one body; one with more is not passed on.
const CODINGS_MAX: usize = 2;

/// Largest window of a zstd body, as a power of two: what RFC 9659 grants; a larger one breaks it off.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Bytes of decoded data made at once.
const DECODED_BYTES: usize = 16 * 1024;

/// Headers that speak about the encoded bytes, which the agent does not get.
const OF_ENCODED: [HeaderName; 3] = [CONTENT_ENCODING, CONTENT_LENGTH, ACCEPT_RANGES];

/// The body cannot be looked through, so it must not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("upstream encoded its answer as {0:?}, which cannot be searched for credentials")]
pub(in crate::sandbox::proxy) struct Unsearchable(String);

/// How the response to one request is looked through.
pub(in crate::sandbox::proxy) struct Search {
    scrubber: Arc<Scrubber>,
    /// Whether credentials may go to the host, so that it may give them back.
    in_scope: bool,
    /// The codings that the agent can decode, as it said.
    accepted: String,
}

impl Search {
    /// Reads a request's headers, and lets a host that credentials go to answer in no coding.
    pub(in crate::sandbox::proxy) fn prepare(
        scrubber: Arc<Scrubber>,
        in_scope: bool,
        headers: &mut HeaderMap,
    ) -> Self {
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        let accepted: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        let accepted = accepted.join(",").to_ascii_lowercase();
        if in_scope {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            // Compressed messages could not be looked through.
            headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        }
        Self {
            scrubber,
            in_scope,
            accepted,
        }
    }

    /// Returns the scrubbing of one more stream.
    pub(in crate::sandbox::proxy) fn begin(&self) -> Scrubbing {
        Scrubbing::new(Arc::clone(&self.scrubber))
    }

    /// Looks through a response's head.
    pub(in crate::sandbox::proxy) fn head(&self, parts: &mut http::response::Parts) {
        self.scrubber.scrub_headers(&mut parts.headers);
        // A reason of upstream's own would be sent on as it is.
        parts.extensions.remove::<ReasonPhrase>();
    }

    /// Returns the response as it may go to the agent. It is decoded when its host may know a
    /// credential or the agent would decode it; else its bytes are what the agent wants.
    ///
    /// # Errors
    /// [`Unsearchable`] when its host may know a credential and the coding is unknown, or the body
    /// is a part of an encoded whole: answer 502.
    pub(in crate::sandbox::proxy) fn response(
        &self,
        response: Response<Incoming>,
    ) -> Result<Response<ProxyBody>, Unsearchable> {
        let (mut parts, body) = response.into_parts();
        self.head(&mut parts);
        let codings = codings(&parts.headers);
        let wanted = codings.iter().all(|coding| self.accepts(coding));
        let readable = parts.status != StatusCode::PARTIAL_CONTENT
            && codings.len() <= CODINGS_MAX
            && codings.iter().all(|coding| is_known(coding));
        if codings.is_empty() || !(readable && wanted || self.in_scope) {
            return Ok(Response::from_parts(parts, self.scrubbed(body)));
        }
        if !readable {
            return Err(Unsearchable(codings.join(", ")));
        }
        for name in OF_ENCODED {
            parts.headers.remove(name);
        }
        weaken(&mut parts.headers);
        let body = if body.is_end_stream() {
            self.scrubbed(body)
        } else {
            self.scrubbed(Decoded::new(body, &codings))
        };
        Ok(Response::from_parts(parts, body))
    }

    fn scrubbed<B>(&self, inner: B) -> ProxyBody
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let scrubbed = Scrubbed {
            inner,
            scrubbing: self.begin(),
            trailers: None,
        };
        scrubbed.boxed_unsync()
    }

    fn accepts(&self, coding: &str) -> bool {
        let accepted = self.accepted.split(',');
        let mut names = accepted.map(|item| item.split(';').next().unwrap_or_default().trim());
        names.any(|name| name == coding || name == "*" || name == alias(coding))
    }
}

/// Returns the codings of a body in the order they were applied; `aws-chunked` is no coding of what
/// is stored.
fn codings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .filter(|name| !["", "identity", "aws-chunked"].contains(&name.as_str()))
        .collect()
}

/// RFC 9110, 8.4.1.3: `x-gzip` is `gzip`.
fn alias(coding: &str) -> &str {
    coding.strip_prefix("x-").unwrap_or(coding)
}

fn is_known(coding: &str) -> bool {
    ["gzip", "deflate", "br", "zstd"].contains(&alias(coding))
}

/// The decoded body has other bytes than the tag was made for (RFC 9110, 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
    let strong = tag.filter(|tag| !tag.starts_with("W/"));
    let weak = strong.and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok());
    if let Some(weak) = weak {
        headers.insert(ETAG, weak);
    }
}

/// A body without its codings; trailers end with them.
struct Decoded {
    reader: Pin<Box<dyn AsyncRead + Send>>,
}

impl Decoded {
    fn new(body: Incoming, codings: &[String]) -> Self {
        let encoded = StreamReader::new(body.map_err(io::Error::other).into_data_stream());
        let mut reader: Pin<Box<dyn AsyncBufRead + Send>> = Box::pin(encoded);
        for coding in codings.iter().rev() {
            reader = Box::pin(BufReader::new(decoder(alias(coding), reader)));
        }
        Self { reader }
    }
}

fn decoder(
    coding: &str,
    encoded: Pin<Box<dyn AsyncBufRead + Send>>,
) -> Pin<Box<dyn AsyncRead + Send>> {
    match coding {
        "br" => Box::pin(BrotliDecoder::new(encoded)),
        "deflate" => Box::pin(ZlibDecoder::new(encoded)),
        "zstd" => {
            let window = DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX);
            let mut decoder = ZstdDecoder::with_params(encoded, &[window]);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        _ => {
            let mut decoder = GzipDecoder::new(encoded);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
    }
}

impl Body for Decoded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut decoded = BytesMut::with_capacity(DECODED_BYTES);
        match ready!(poll_read_buf(self.reader.as_mut(), context, &mut decoded)) {
            Ok(0) => Poll::Ready(None),
            Ok(_) => Poll::Ready(Some(Ok(Frame::data(decoded.freeze())))),
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        }
    }
}

/// A body that is looked through.
struct Scrubbed<B> {
    inner: B,
    scrubbing: Scrubbing,
    /// Trailers that wait until what was held has gone.
    trailers: Option<HeaderMap>,
}

impl<B> Body for Scrubbed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(trailers) = self.trailers.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None if self.scrubbing.held_bytes() == 0 => return Poll::Ready(None),
                None => return Poll::Ready(Some(Ok(Frame::data(self.scrubbing.finish())))),
            };
            let mut data = match frame.into_data() {
                Ok(data) => self.scrubbing.push(data),
                Err(frame) => {
                    let mut trailers = frame.into_trailers().unwrap_or_default();
                    self.scrubbing.scrubber.scrub_headers(&mut trailers);
                    self.trailers = Some(trailers);
                    self.scrubbing.finish()
                }
            };
            if self.inner.is_end_stream() && self.scrubbing.held_bytes() > 0 {
                let mut whole = BytesMut::from(data);
                whole.extend_from_slice(&self.scrubbing.finish());
                data = whole.freeze();
            }
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream() && self.scrubbing.held_bytes() == 0 && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, held) = (self.inner.size_hint(), self.scrubbing.held_bytes() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(held));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}
