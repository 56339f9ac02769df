//! Watching everything that goes out for the honey surrogate, and the latch: once it was seen, this
//! proxy lets nothing more out, and what is on its way breaks off.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio_util::sync::CancellationToken;

use crate::sandbox::proxy::body::{BodyError, ProxyBody};
use crate::sandbox::proxy::dns;
use crate::sandbox::proxy::escape::escape_cut;
use crate::sandbox::proxy::forward::Proxy;
use crate::sandbox::proxy::honey::{Honey, Looking, Trap};
use crate::sandbox::proxy::wire::{Cause, Fact, ReportedRequest};

/// What the agent reads; it is not told what it walked into.
const REFUSAL: &str = "nothing more may leave this sandbox";

/// The trap of a run and its latch.
#[derive(Default)]
pub(super) struct Watch {
    trap: Option<Arc<Trap>>,
    /// Cancelled once the value was seen.
    sprung: CancellationToken,
}

impl Watch {
    /// Returns the watch for a run's honey surrogate; without one nothing is watched for.
    pub(super) fn new(honey: Option<Honey>) -> Result<Self, String> {
        let set =
            |honey| Trap::new(honey).ok_or_else(|| "the honey surrogate is too short".to_owned());
        let trap = honey.map(set).transpose()?.map(Arc::new);
        Ok(Self {
            trap,
            ..Self::default()
        })
    }

    /// Returns once the value was seen.
    pub(super) async fn sprung(&self) {
        self.sprung.cancelled().await;
    }

    /// Returns whether nothing may leave any more.
    pub(super) fn is_sprung(&self) -> bool {
        self.sprung.is_cancelled()
    }

    /// Returns where a request's head holds the value.
    fn in_request(&self, request: &Request<Incoming>) -> Option<String> {
        let trap = self.trap.as_ref()?;
        let uri = request.uri();
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        if trap.in_url(path) {
            return Some("the path or query".to_owned());
        }
        let host = uri.host().unwrap_or_default().as_bytes();
        if trap.in_name(host) || trap.in_name(request.method().as_str().as_bytes()) {
            return Some("the host or method".to_owned());
        }
        // The header `host` holds a name.
        let hosts = request.headers().get_all(http::header::HOST);
        if hosts.iter().any(|host| trap.in_name(host.as_bytes())) {
            return Some("the host".to_owned());
        }
        trap.in_headers(request.headers())
    }
}

impl Proxy {
    /// Returns the refusal of a request whose head holds the value, or that comes after it was seen.
    pub(super) async fn refuse_honey(
        &self,
        reported: &ReportedRequest,
        request: &Request<Incoming>,
    ) -> Option<Response<ProxyBody>> {
        if let Some(place) = self.watch.in_request(request) {
            self.spring(Some(reported.clone()), place, 0).await;
        }
        if !self.watch.is_sprung() {
            return None;
        }
        let refused = self.block(reported.clone(), Cause::Honey, REFUSAL.to_owned());
        Some(refused.await)
    }

    /// Takes note of bytes that are no well-formed request and will go nowhere.
    pub(super) async fn watch_bytes(&self, place: &str, bytes: &[u8]) {
        let trap = self.watch.trap.as_ref();
        if trap.is_some_and(|trap| trap.in_name(bytes) || trap.in_bytes(bytes)) {
            self.spring(None, place.to_owned(), 0).await;
        }
    }

    /// Returns a request's body, watched; `bytes_up` counts what of it has gone upstream.
    pub(super) fn watched(
        self: &Arc<Self>,
        reported: &ReportedRequest,
        is_model_call: bool,
        body: ProxyBody,
        bytes_up: &Arc<AtomicU64>,
    ) -> ProxyBody {
        let Some(trap) = &self.watch.trap else {
            return body;
        };
        let looking = (!is_model_call).then(|| Looking::new(Arc::clone(trap)));
        let (proxy, reported) = (Arc::clone(self), reported.clone());
        let bytes_up = Arc::clone(bytes_up);
        let at_finding = move || {
            // Latched before anything else happens; the record follows as soon as it can.
            proxy.watch.sprung.cancel();
            let sent = bytes_up.load(Ordering::Relaxed);
            let tasks = proxy.tasks.clone();
            tasks.spawn(async move {
                proxy
                    .report(Some(reported), "the body".to_owned(), sent)
                    .await;
            });
        };
        let watched = Watched {
            inner: body,
            trap: Arc::clone(trap),
            looking,
            sprung: self.watch.sprung.clone(),
            at_finding: Some(Box::new(at_finding)),
        };
        watched.boxed_unsync()
    }

    /// Returns whether a request's body is the agent's talk with its model: the path is the model's,
    /// and where the run has a masked credential for the host, it is that credential which pays.
    pub(super) fn is_model_call(
        &self,
        request: (&str, &str, &str),
        https: bool,
        has_own_credential: impl FnOnce() -> bool,
    ) -> bool {
        let (method, host, path_and_query) = request;
        let trap = self.watch.trap.as_ref();
        https
            && trap.is_some_and(|trap| trap.honey().is_model_call(method, host, path_and_query))
            && has_own_credential()
    }

    /// Answers a DNS query and reports it; nothing for a malformed one.
    pub(super) async fn answer_dns(&self, query: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
        let Some(answered) = dns::answer(query, address) else {
            self.watch_bytes("a malformed DNS query", query).await;
            let (name, query_type) = (escape_cut(query, 64), "malformed".to_owned());
            let answer = "none".to_owned();
            let fact = Fact::Dns {
                name,
                query_type,
                answer,
            };
            self.link.note(fact).await;
            return None;
        };
        let dns::Answered {
            response,
            name,
            query_type,
            answer,
        } = answered;
        self.watch_bytes("a name that was asked for", name.as_bytes())
            .await;
        let fact = Fact::Dns {
            name,
            query_type,
            answer,
        };
        self.link.note(fact).await;
        Some(response)
    }

    async fn spring(&self, request: Option<ReportedRequest>, place: String, bytes_up: u64) {
        self.watch.sprung.cancel();
        self.report(request, place, bytes_up).await;
    }

    async fn report(&self, request: Option<ReportedRequest>, place: String, bytes_up: u64) {
        let fact = Fact::HoneySeen {
            request,
            place,
            bytes_up,
        };
        // Unrecorded or not, nothing leaves any more.
        let _either_way = self.link.decide(fact).await;
    }
}

/// A body that breaks off where the value is complete, or once it was seen elsewhere.
struct Watched {
    inner: ProxyBody,
    trap: Arc<Trap>,
    /// Nothing for the agent's talk with its model.
    looking: Option<Looking>,
    sprung: CancellationToken,
    at_finding: Option<Box<dyn FnOnce() + Send>>,
}

impl Watched {
    fn holds(&mut self, frame: &Frame<Bytes>) -> bool {
        let Some(looking) = &mut self.looking else {
            return false;
        };
        let in_data = frame.data_ref().is_some_and(|data| looking.push(data));
        let trailers: Option<&HeaderMap> = frame.trailers_ref();
        in_data || trailers.is_some_and(|trailers| self.trap.in_headers(trailers).is_some())
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame);
        };
        if self.holds(&frame)
            && let Some(at_finding) = self.at_finding.take()
        {
            at_finding();
        }
        if self.sprung.is_cancelled() {
            return Poll::Ready(Some(Err(REFUSAL.into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
