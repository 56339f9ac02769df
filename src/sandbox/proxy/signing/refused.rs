//! Responses that refuse a signature that was made anew: read along on their way to the agent, so
//! that the log says what was signed and what upstream called wrong (spec row SEC-13). What goes to
//! the agent is not changed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};

use crate::sandbox::proxy::body::{BodyError, ProxyBody};
use crate::sandbox::proxy::forward::Proxy;
use crate::sandbox::proxy::signing::note::{SigningNote, code_in, code_of};
use crate::sandbox::proxy::wire::Fact;

/// Bytes of a refusal that are read for its code; the rest only passes.
const READ_BYTES_MAX: usize = 4096;

/// Where some services tell the code, before the body.
const CODE_HEADER: &str = "x-amzn-errortype";

/// Words of which a code holds one if the signature is what is refused, and not the request's sense.
const ABOUT_SIGNATURES: [&str; 4] = ["Signature", "Token", "Skew", "Credential"];

impl Proxy {
    /// Returns a response as it is; if it refuses a signature of ours, that is told at its end.
    pub(in crate::sandbox::proxy) fn read_refusal(
        self: &Arc<Self>,
        request: u64,
        note: Option<SigningNote>,
        response: Response<ProxyBody>,
    ) -> Response<ProxyBody> {
        let status = response.status();
        let Some(note) = note.filter(|_| may_be_about_signatures(status)) else {
            return response;
        };
        let code = response.headers().get(CODE_HEADER);
        let code = code.and_then(|code| code_of(code.to_str().ok()?));
        let code = code.map(str::to_owned);
        let proxy = Arc::clone(self);
        let at_end = move |read: &[u8]| {
            let text = String::from_utf8_lossy(read);
            let code = code.or_else(|| code_in(&text).map(str::to_owned));
            if status == StatusCode::BAD_REQUEST
                && !code.as_deref().is_some_and(is_about_signatures)
            {
                return;
            }
            let (link, status) = (proxy.link.clone(), status.as_u16());
            let fact = Fact::SignatureRefused {
                request,
                status,
                code,
                note,
            };
            if !link.try_note(fact.clone()) {
                proxy.tasks.spawn(async move { link.note(fact).await });
            }
        };
        response.map(|inner| {
            let refusal = Refusal {
                inner,
                read: Vec::new(),
                at_end: Some(Box::new(at_end)),
            };
            refusal.boxed_unsync()
        })
    }
}

fn may_be_about_signatures(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}

fn is_about_signatures(code: &str) -> bool {
    ABOUT_SIGNATURES.iter().any(|word| code.contains(word))
}

/// A refusal's body on its way.
struct Refusal<F: FnOnce(&[u8])> {
    inner: ProxyBody,
    read: Vec<u8>,
    /// Called once, at the body's end or when nobody wants more of it.
    at_end: Option<Box<F>>,
}

impl<F: FnOnce(&[u8])> Drop for Refusal<F> {
    fn drop(&mut self) {
        if let Some(at_end) = self.at_end.take() {
            at_end(&self.read);
        }
    }
}

impl<F: FnOnce(&[u8])> Body for Refusal<F> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let room = READ_BYTES_MAX - self.read.len();
            self.read.extend_from_slice(&data[..data.len().min(room)]);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::proxy::body::full;

    #[tokio::test]
    async fn a_refusal_is_read_up_to_its_limit_and_passes_whole() {
        for bytes in [READ_BYTES_MAX - 1, READ_BYTES_MAX, READ_BYTES_MAX + 1] {
            let (sender, told) = tokio::sync::oneshot::channel();
            let refusal = Refusal {
                inner: full(vec![b'x'; bytes]),
                read: Vec::new(),
                at_end: Some(Box::new(move |read: &[u8]| {
                    sender.send(read.len()).unwrap();
                })),
            };
            let passed = refusal.boxed_unsync().collect().await.unwrap().to_bytes();
            assert_eq!(passed.len(), bytes);
            assert_eq!(told.await.unwrap(), bytes.min(READ_BYTES_MAX));
        }
    }
}
