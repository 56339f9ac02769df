//! Signing as it happens to a request on its way: gathering a body whose digest is signed, and
//! signing chunks as they stream. It decides nothing about where a request may go.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::Request;
use http::header::{HOST, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};

use crate::clock;
use crate::sandbox::proxy::body::{BodyError, ProxyBody, full};
use crate::sandbox::proxy::signing::canonical::sha256_hex;
use crate::sandbox::proxy::signing::chunked::Resigner;
use crate::sandbox::proxy::signing::find;
use crate::sandbox::proxy::signing::note::SigningNote;
use crate::sandbox::proxy::target::Target;
use crate::sandbox::proxy::wire::{ReportedCredential, SigningCredential};

/// Longest body that is gathered because its digest is signed and not told, in bytes; a request
/// with a longer one is refused.
const GATHERED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Signs a request anew if it is signed with a surrogate; returns what to report, and what to tell
/// when upstream refuses the signature.
///
/// # Errors
/// Why the request has to be refused, in words.
pub(in crate::sandbox::proxy) async fn sign(
    request: &mut Request<ProxyBody>,
    target: &Target,
    https: bool,
    credentials: &[SigningCredential],
) -> Result<Option<(ReportedCredential, SigningNote)>, String> {
    let Some(payload_hash) = payload_hash(request, target, https, credentials)? else {
        return Ok(None);
    };
    let payload_hash = if let Some(told) = payload_hash {
        told
    } else {
        let body = std::mem::replace(request.body_mut(), full(Bytes::new()));
        let bytes = gather(body).await?;
        *request.body_mut() = full(bytes.clone());
        sha256_hex(bytes)
    };
    sign_now(request, target, credentials, &payload_hash)
}

/// Returns nothing for a request that is not signed with a surrogate, else what stands for its body
/// in the signature, if it is told.
fn payload_hash(
    request: &Request<ProxyBody>,
    target: &Target,
    https: bool,
    credentials: &[SigningCredential],
) -> Result<Option<Option<String>>, String> {
    let (_, query) = path_and_query(target);
    let found = find(request.headers(), query, &target.host, credentials);
    let Some(pending) = found.map_err(|malformed| malformed.to_string())? else {
        return Ok(None);
    };
    if !https {
        let name = pending.name();
        return Err(format!("a signature of {name} would be sent in the clear"));
    }
    Ok(Some(pending.payload_hash(request.headers())))
}

fn sign_now(
    request: &mut Request<ProxyBody>,
    target: &Target,
    credentials: &[SigningCredential],
    payload_hash: &str,
) -> Result<Option<(ReportedCredential, SigningNote)>, String> {
    let host = HeaderValue::from_str(&target.host).map_err(|error| error.to_string())?;
    request.headers_mut().insert(HOST, host);
    let (path, query) = path_and_query(target);
    let found = find(request.headers(), query, &target.host, credentials);
    let Some(pending) = found.map_err(|malformed| malformed.to_string())? else {
        return Ok(None);
    };
    let method = request.method().clone();
    let headers = request.headers_mut();
    let signed = pending.sign(method.as_str(), path, query, headers, payload_hash);
    let mut signed = signed.map_err(|malformed| malformed.to_string())?;
    signed.note.skew = signed.skew(clock::now_ms());
    if let Some(path_and_query) = signed.path_and_query {
        let mut parts = request.uri().clone().into_parts();
        let path_and_query = path_and_query.parse();
        parts.path_and_query = Some(path_and_query.map_err(|_| "its query is none".to_owned())?);
        *request.uri_mut() = http::Uri::from_parts(parts).map_err(|error| error.to_string())?;
    }
    if let Some(resigner) = signed.resigner {
        let inner = std::mem::replace(request.body_mut(), full(Bytes::new()));
        *request.body_mut() = Resigned { inner, resigner }.boxed_unsync();
    }
    Ok(Some((signed.used, signed.note)))
}

fn path_and_query(target: &Target) -> (&str, &str) {
    let both = target.path_and_query.as_str();
    both.split_once('?').unwrap_or((both, ""))
}

/// Reads a whole body.
async fn gather(mut body: ProxyBody) -> Result<Bytes, String> {
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("its body broke off: {error}"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if gathered.len() + data.len() > GATHERED_BYTES_MAX {
            return Err(format!(
                "its body is signed and longer than {GATHERED_BYTES_MAX} bytes; send its digest in \
                 x-amz-content-sha256"
            ));
        }
        gathered.extend_from_slice(&data);
    }
    Ok(gathered.freeze())
}

/// A body whose chunks are signed anew; of the same length as before.
struct Resigned {
    inner: ProxyBody,
    resigner: Resigner,
}

impl Body for Resigned {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                None if !self.resigner.is_done() => {
                    let early = "its aws-chunked body ended early".into();
                    return Poll::Ready(Some(Err(early)));
                }
                ended => return Poll::Ready(ended),
            };
            let Ok(data) = frame.into_data() else {
                let trailers = "an aws-chunked body has no trailers of HTTP".into();
                return Poll::Ready(Some(Err(trailers)));
            };
            match self.resigner.push(&data) {
                Ok(goes) if goes.is_empty() => {}
                Ok(goes) => return Poll::Ready(Some(Ok(Frame::data(goes.freeze())))),
                Err(bad) => return Poll::Ready(Some(Err(bad.into()))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream() && self.resigner.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        // What waits here is not in the inner body's hint; only the length in the headers counts.
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn gathered(pieces: &[usize]) -> Result<usize, String> {
        let frames = pieces.iter().map(|bytes| {
            let piece = Bytes::from(vec![0; *bytes]);
            Ok::<_, BodyError>(Frame::data(piece))
        });
        let frames: Vec<_> = frames.collect();
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        gather(body.boxed_unsync()).await.map(|bytes| bytes.len())
    }

    #[tokio::test]
    async fn a_signed_body_is_gathered_up_to_its_limit() {
        let most = GATHERED_BYTES_MAX;
        assert_eq!(gathered(&[1, most - 2]).await, Ok(most - 1));
        assert_eq!(gathered(&[most - 1, 1]).await, Ok(most));
        for pieces in [&[most + 1][..], &[most, 1], &[1, most]] {
            let refused = gathered(pieces).await.unwrap_err();
            assert!(refused.contains("x-amz-content-sha256"), "{refused}");
        }
    }
}
