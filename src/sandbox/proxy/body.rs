//! Bodies that stream through: counted, with back-pressure, never gathered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// The body of everything the proxy sends.
pub type ProxyBody = UnsyncBoxBody<Bytes, hyper::Error>;

/// Returns a body that is there already.
pub fn full(bytes: impl Into<Bytes>) -> ProxyBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body whose data bytes are counted, and whose end is told.
pub struct Counted {
    inner: Incoming,
    bytes: Arc<AtomicU64>,
    /// Called once: with `true` at the body's end, with `false` when it is dropped before.
    at_end: Option<Box<dyn FnOnce(bool) + Send>>,
}

impl Counted {
    /// Wraps a body.
    pub fn new(
        inner: Incoming,
        bytes: Arc<AtomicU64>,
        at_end: impl FnOnce(bool) + Send + 'static,
    ) -> Self {
        let mut counted = Self {
            inner,
            bytes,
            at_end: Some(Box::new(at_end)),
        };
        if counted.inner.is_end_stream() {
            counted.end(true);
        }
        counted
    }

    fn end(&mut self, complete: bool) {
        if let Some(at_end) = self.at_end.take() {
            at_end(complete);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let complete = self.inner.is_end_stream();
        self.end(complete);
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.bytes.fetch_add(length, Ordering::Relaxed);
                if self.inner.is_end_stream() {
                    self.end(true);
                }
            }
            Poll::Ready(Some(Err(_))) => self.end(false),
            Poll::Ready(None) => self.end(true),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
