//! Bodies that stream through: counted, with back-pressure, never gathered, and cut off when nothing
//! comes for too long.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::sandbox::proxy::limits::BODY_IDLE_TIME_MAX;

/// Why a body broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of everything the proxy sends.
pub type ProxyBody = UnsyncBoxBody<Bytes, BodyError>;

/// Returns a body that is there already.
pub fn full(bytes: impl Into<Bytes>) -> ProxyBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body whose data bytes are counted, and whose end is told.
pub struct Counted<B: Body> {
    inner: B,
    bytes: Arc<AtomicU64>,
    /// Called once: with `true` at the body's end, with `false` when it is dropped before.
    at_end: Option<Box<dyn FnOnce(bool) + Send>>,
    /// Runs while the next piece is waited for.
    idle: Option<Pin<Box<Sleep>>>,
    idle_time_max: Duration,
}

impl<B> Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    /// Wraps a body.
    pub fn new(
        inner: B,
        bytes: Arc<AtomicU64>,
        at_end: impl FnOnce(bool) + Send + 'static,
    ) -> Self {
        let mut counted = Self {
            inner,
            bytes,
            at_end: Some(Box::new(at_end)),
            idle: None,
            idle_time_max: BODY_IDLE_TIME_MAX,
        };
        if counted.inner.is_end_stream() {
            counted.end(true);
        }
        counted
    }

    /// Returns the next piece, or an error when it does not come in time.
    fn poll_inner(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(piece) = Pin::new(&mut self.inner).poll_frame(context) {
            self.idle = None;
            return Poll::Ready(piece.map(|piece| piece.map_err(Into::into)));
        }
        let wait = self.idle_time_max;
        let idle = self
            .idle
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        ready!(idle.as_mut().poll(context));
        Poll::Ready(Some(Err(
            format!("nothing came for {} s", wait.as_secs()).into()
        )))
    }
}

impl<B: Body> Counted<B> {
    fn end(&mut self, complete: bool) {
        if let Some(at_end) = self.at_end.take() {
            at_end(complete);
        }
    }
}

impl<B: Body> Drop for Counted<B> {
    fn drop(&mut self) {
        let complete = self.inner.is_end_stream();
        self.end(complete);
    }
}

impl<B> Body for Counted<B>
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
        let polled = self.poll_inner(context);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of which nothing ever comes.
    struct Silent;

    impl Body for Silent {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_body_that_says_nothing_is_cut_off() {
        let (sender, mut ended) = tokio::sync::oneshot::channel();
        let mut body = Counted::new(Silent, Arc::default(), move |complete| {
            sender.send(complete).unwrap();
        });
        body.idle_time_max = Duration::ZERO;
        let piece = body.frame().await.unwrap();
        assert!(piece.unwrap_err().to_string().contains("nothing came"));
        assert_eq!(ended.try_recv(), Ok(false));
    }
}
