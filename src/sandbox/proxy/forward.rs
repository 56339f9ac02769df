//! One request's way: judge, record, and only when the record is durable, forward.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::clock::Stopwatch;
use crate::sandbox::proxy::allowlist::Allowlist;
use crate::sandbox::proxy::body::{Counted, ProxyBody, full};
use crate::sandbox::proxy::ca::Minter;
use crate::sandbox::proxy::credentials;
use crate::sandbox::proxy::expect;
use crate::sandbox::proxy::gather::{self, Met, Refused, Room};
use crate::sandbox::proxy::github::Apps;
use crate::sandbox::proxy::headers;
use crate::sandbox::proxy::limits::TUNNEL_IDLE_TIME_MAX;
use crate::sandbox::proxy::link::Link;
use crate::sandbox::proxy::policy::{self, Asked, Verdict};
use crate::sandbox::proxy::pool::Destination;
use crate::sandbox::proxy::refuse::{cause_of, json, unrecorded};
use crate::sandbox::proxy::scrub::Scrubber;
use crate::sandbox::proxy::scrub::body::Search;
use crate::sandbox::proxy::signing::note::SigningNote;
use crate::sandbox::proxy::target::{self, Entry, Target};
use crate::sandbox::proxy::tunnel;
use crate::sandbox::proxy::upstream::{Upstream, UpstreamError};
use crate::sandbox::proxy::watch::Watch;
use crate::sandbox::proxy::wire::{
    Cause, Fact, MaskedCredential, ReportedRequest, SigningCredential,
};
use crate::tasks::TaskSet;

/// What all requests of a run share.
pub(super) struct Proxy {
    pub(super) allowlist: Allowlist,
    pub(super) credentials: Vec<MaskedCredential>,
    pub(super) signing: Vec<SigningCredential>,
    pub(super) apps: Apps,
    /// What responses are looked through for; tokens come while it works.
    pub(super) scrubber: RwLock<Option<Arc<Scrubber>>>,
    /// What no request may hold.
    pub(super) watch: Watch,
    pub(super) minter: Minter,
    pub(super) upstream: Upstream,
    pub(super) link: Link,
    pub(super) requests: AtomicU64,
    pub(super) room: Room,
    pub(super) tasks: TaskSet,
}

/// A request that is allowed and recorded.
struct Allowed {
    number: u64,
    since: Stopwatch,
    target: Target,
    https: bool,
    search: Option<Search>,
    signature: Option<SigningNote>,
    is_model_call: bool,
}

impl Proxy {
    /// Answers one request; never fails, whatever is wrong becomes a status.
    pub(super) async fn handle(
        self: Arc<Self>,
        entry: Arc<Entry>,
        request: Request<Incoming>,
    ) -> Response<ProxyBody> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let reported = target::report(&request, &entry, number);
        if let Some(refused) = self.refuse_honey(&reported, &request).await {
            return refused;
        }
        let target = match target::read(&request, &entry) {
            Ok(target) => target,
            Err(unclear) => return self.block(reported, unclear.cause, unclear.detail).await,
        };
        let asked = Asked {
            host: &target.host,
            path_and_query: &target.path_and_query,
            method: request.method().as_str(),
        };
        let rule = match policy::judge(&self.allowlist, asked) {
            Verdict::Allowed(rule) => rule,
            Verdict::Denied { denial, .. } => {
                return self.block(reported, cause_of(denial), String::new()).await;
            }
        };
        let met = gather::meet(&self.room, &self.allowlist, rule, &target, request).await;
        let Met {
            mut request,
            mut tags,
        } = match met {
            Ok(met) => met,
            Err(Refused { blocked, tags }) => {
                return self.block_filtered(reported, &blocked, tags).await;
            }
        };
        let https = entry.scheme == "https";
        // First, so that a credential put in is a credential sent.
        headers::clean_request(request.headers_mut(), target.websocket);
        expect::keep_or_remove(&mut request);
        let armed = match self.arm(&mut request, &target, https).await {
            Ok(armed) => armed,
            Err(unarmed) => return self.block_unarmed(reported, unarmed).await,
        };
        let line = (
            request.method().as_str(),
            &*target.host,
            &*target.path_and_query,
        );
        let is_model_call = self.is_model_call(line, https, || {
            !armed.injected.used.is_empty()
                || !credentials::may_go_to(&target.host, &self.credentials)
        });
        tags.extend(armed.signature.iter().filter_map(|note| note.skew.clone()));
        let fact = Fact::Allowed {
            request: reported.clone(),
            rule: rule.to_string(),
            credentials: armed.injected.used,
            stripped: armed.injected.stripped,
            tags,
        };
        if let Err(why) = self.link.decide(fact).await {
            return unrecorded(why);
        }
        let allowed = Allowed {
            number,
            since: Stopwatch::start(),
            target,
            https,
            search: armed.search,
            signature: armed.signature,
            is_model_call,
        };
        self.forward(allowed, reported, request).await
    }

    async fn forward(
        self: Arc<Self>,
        allowed: Allowed,
        reported: ReportedRequest,
        mut request: Request<ProxyBody>,
    ) -> Response<ProxyBody> {
        let destination = Destination {
            https: allowed.https,
            host: allowed.target.host.clone(),
            http1_only: allowed.target.websocket,
        };
        let downstream = allowed
            .target
            .websocket
            .then(|| hyper::upgrade::on(&mut request));
        let bytes_up = Arc::new(AtomicU64::new(0));
        let request =
            request.map(|body| self.watched(&reported, allowed.is_model_call, body, &bytes_up));
        let outgoing = outgoing(request, &allowed.target, Arc::clone(&bytes_up));
        match self.upstream.send(&destination, outgoing, &bytes_up).await {
            Ok(response) => self.respond(allowed, response, downstream, bytes_up),
            Err(UpstreamError::Address(refused)) => {
                self.block(
                    reported,
                    Cause::Address,
                    format!("it resolves to {refused}"),
                )
                .await
            }
            Err(_) if self.watch.is_sprung() => {
                let detail = "it was broken off".to_owned();
                self.block(reported, Cause::Honey, detail).await
            }
            Err(error) => {
                let error = error.to_string();
                let status = StatusCode::BAD_GATEWAY;
                let body = serde_json::json!({ "error": "upstream_failed", "message": error });
                let (request, status_code) = (allowed.number, status.as_u16());
                let fact = Fact::UpstreamFailed {
                    request,
                    error,
                    status: status_code,
                };
                self.link.note(fact).await;
                json(status, &body)
            }
        }
    }

    fn respond(
        self: Arc<Self>,
        allowed: Allowed,
        mut response: Response<Incoming>,
        downstream: Option<OnUpgrade>,
        bytes_up: Arc<AtomicU64>,
    ) -> Response<ProxyBody> {
        let status = response.status();
        let finish = self
            .clone()
            .completion(&allowed, status, Arc::clone(&bytes_up));
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let Some(downstream) = downstream.filter(|_| target::is_websocket(&response)) else {
                finish(0, false);
                let body = serde_json::json!({ "error": "upstream_failed",
                    "message": "upstream switched to a protocol that nobody asked for" });
                return json(StatusCode::BAD_GATEWAY, &body);
            };
            let upstream = hyper::upgrade::on(&mut response);
            let (mut parts, _) = response.into_parts();
            headers::clean_response(&mut parts.headers, true);
            if let Some(search) = &allowed.search {
                search.head(&mut parts);
            }
            self.tunnel(downstream, upstream, allowed.search, bytes_up, finish);
            return Response::from_parts(parts, full(Bytes::new()));
        }
        headers::clean_response(response.headers_mut(), false);
        let searched = match &allowed.search {
            Some(search) => search.response(response),
            None => Ok(response.map(|body| body.map_err(Into::into).boxed_unsync())),
        };
        let response = match searched {
            Ok(response) => response,
            Err(unsearchable) => {
                finish(0, false);
                let body = serde_json::json!({ "error": "upstream_failed",
                    "message": unsearchable.to_string() });
                return json(StatusCode::BAD_GATEWAY, &body);
            }
        };
        let response = self.read_refusal(allowed.number, allowed.signature, response);
        let bytes_down = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&bytes_down);
        let at_end = move |complete| finish(bytes_down.load(Ordering::Relaxed), complete);
        response.map(|body| Counted::new(body, counter, at_end).boxed_unsync())
    }

    /// Returns what reports the end of a response, given its bytes and whether it is complete.
    fn completion(
        self: Arc<Self>,
        allowed: &Allowed,
        status: StatusCode,
        bytes_up: Arc<AtomicU64>,
    ) -> impl FnOnce(u64, bool) + Send + 'static {
        let (request, since, first_byte_ms) =
            (allowed.number, allowed.since, allowed.since.elapsed_ms());
        move |bytes_down, complete| {
            let fact = Fact::Completed {
                request,
                status: status.as_u16(),
                bytes_up: bytes_up.load(Ordering::Relaxed),
                bytes_down,
                first_byte_ms,
                duration_ms: since.elapsed_ms(),
                complete,
            };
            let link = self.link.clone();
            if !link.try_note(fact.clone()) {
                self.tasks.spawn(async move { link.note(fact).await });
            }
        }
    }

    /// Passes bytes between two upgraded connections until either ends.
    fn tunnel(
        self: Arc<Self>,
        downstream: OnUpgrade,
        upstream: OnUpgrade,
        search: Option<Search>,
        bytes_up: Arc<AtomicU64>,
        finish: impl FnOnce(u64, bool) + Send + 'static,
    ) {
        let (stop, tasks) = (self.tasks.stop_token(), self.tasks.clone());
        let passing = async move {
            let bytes_down = AtomicU64::new(0);
            let Ok((down, up)) = tokio::try_join!(downstream, upstream) else {
                return finish(0, false);
            };
            let (down, up) = (TokioIo::new(down), TokioIo::new(up));
            let counters = (&*bytes_up, &bytes_down);
            let complete = tokio::select! {
                complete = tunnel::pass(down, up, search.as_ref(), counters, TUNNEL_IDLE_TIME_MAX) => complete,
                () = stop.cancelled() => false,
                () = self.watch.sprung() => false,
            };
            finish(bytes_down.into_inner(), complete);
        };
        tasks.spawn(passing);
    }
}

/// Returns the request as it goes upstream.
fn outgoing(
    request: Request<ProxyBody>,
    target: &Target,
    bytes_up: Arc<AtomicU64>,
) -> Request<ProxyBody> {
    let (mut parts, body) = request.into_parts();
    // What the agent's connection left in them means nothing to upstream's.
    parts.extensions.clear();
    if let Ok(host) = HeaderValue::from_str(&target.host) {
        parts.headers.insert(HOST, host);
    }
    let mut head = Request::from_parts(parts, ());
    let body = expect::await_word(&mut head, body);
    let counted = Counted::new(body, bytes_up, |_| {}).boxed_unsync();
    head.map(|()| counted)
}
