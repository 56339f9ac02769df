//! `Expect: 100-continue`, from end to end (RFC 9110, 10.1.1): the agent is told to send its body when
//! upstream asked for it, so that an upload which is refused is never sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, StatusCode, Version};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::sandbox::proxy::limits::EXPECT_TIME_MAX;

/// What opens a body; it travels with its request.
#[derive(Debug, Clone, Default)]
pub struct Opener(CancellationToken);

impl Opener {
    /// Lets the body be read.
    pub fn open(&self) {
        self.0.cancel();
    }
}

/// Removes an expectation that cannot be passed on: over HTTP/2 nobody could be told to go on, and
/// others than `100-continue` mean nothing.
pub fn keep_or_remove<B>(request: &mut Request<B>) {
    let mut expected = request.headers().get_all(EXPECT).iter();
    let continues = expected
        .next()
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if !continues || expected.next().is_some() || request.version() != Version::HTTP_11 {
        request.headers_mut().remove(EXPECT);
    }
}

/// Makes a request's body wait for upstream's word, if the request expects one.
pub fn await_word<B>(request: &mut Request<()>, body: B) -> Awaited<B> {
    if !request.headers().contains_key(EXPECT) {
        return Awaited { body, wait: None };
    }
    let opener = Opener::default();
    let wait = Wait {
        opened: Box::pin(opener.0.clone().cancelled_owned()),
        patience: Box::pin(tokio::time::sleep(EXPECT_TIME_MAX)),
    };
    let told = opener.clone();
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            told.open();
        }
    });
    request.extensions_mut().insert(opener);
    let wait = Some(wait);
    Awaited { body, wait }
}

/// Gives up waiting for a word that upstream cannot give: over HTTP/2 it would not be seen.
pub fn do_not_await<B>(request: &mut Request<B>) {
    request.headers_mut().remove(EXPECT);
    if let Some(opener) = request.extensions_mut().remove::<Opener>() {
        opener.open();
    }
}

/// A body that is not read before it was asked for, or for long enough.
pub struct Awaited<B> {
    body: B,
    wait: Option<Wait>,
}

struct Wait {
    opened: Pin<Box<WaitForCancellationFutureOwned>>,
    patience: Pin<Box<Sleep>>,
}

impl Wait {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.opened.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        self.patience.as_mut().poll(context)
    }
}

impl<B> Body for Awaited<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.poll(context));
            self.wait = None;
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    fn expecting(value: &str) -> (Request<()>, Awaited<Full<Bytes>>) {
        let mut request = Request::builder().header(EXPECT, value).body(()).unwrap();
        keep_or_remove(&mut request);
        let body = await_word(&mut request, Full::from("body"));
        (request, body)
    }

    async fn read_after(body: Awaited<Full<Bytes>>) -> Duration {
        let began = tokio::time::Instant::now();
        drop(body.collect().await.unwrap());
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_for_the_word_and_no_longer_than_its_limit() {
        let (request, body) = expecting("100-Continue");
        request.extensions().get::<Opener>().unwrap().open();
        assert_eq!(read_after(body).await, Duration::ZERO);
        let (_request, body) = expecting("100-continue");
        assert_eq!(read_after(body).await, EXPECT_TIME_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expectation_that_cannot_be_met_is_removed_and_nothing_waits() {
        let (request, body) = expecting("gold");
        assert_eq!(request.headers(), &HeaderMap::new());
        assert_eq!(read_after(body).await, Duration::ZERO);
        let (mut request, body) = expecting("100-continue");
        do_not_await(&mut request);
        assert_eq!(request.headers(), &HeaderMap::new());
        assert_eq!(read_after(body).await, Duration::ZERO);
    }
}
