//! What must not go on: the refusal is recorded, and answered only when its record is durable.

use std::sync::atomic::Ordering;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use crate::sandbox::proxy::armed::Unarmed;
use crate::sandbox::proxy::blocked;
use crate::sandbox::proxy::body::{ProxyBody, full};
use crate::sandbox::proxy::escape::escape_cut;
use crate::sandbox::proxy::filter::Blocked;
use crate::sandbox::proxy::forward::Proxy;
use crate::sandbox::proxy::limits::FILTER_TAG_CHARS_MAX;
use crate::sandbox::proxy::link::NotRecorded;
use crate::sandbox::proxy::policy::Denial;
use crate::sandbox::proxy::strict::verdicts::RefusedHead;
use crate::sandbox::proxy::target::{self, Entry};
use crate::sandbox::proxy::wire::{Cause, Fact, ReportedRequest};

impl Proxy {
    /// Records a refusal and answers it.
    pub(super) async fn block(
        &self,
        request: ReportedRequest,
        cause: Cause,
        detail: String,
    ) -> Response<ProxyBody> {
        let status = match cause {
            Cause::Malformed => StatusCode::BAD_REQUEST,
            _ => StatusCode::FORBIDDEN,
        };
        self.block_with(status, request, cause, detail).await
    }

    /// Records and answers a head that is no request (HTTP/1 only).
    pub(super) async fn refuse_head(
        &self,
        entry: &Entry,
        refused: &RefusedHead,
    ) -> Response<ProxyBody> {
        self.watch_bytes("a malformed request", &refused.bytes)
            .await;
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let reported = target::report_head(&refused.bytes, entry, number);
        let (status, detail) = (refused.why.status, refused.why.detail.to_owned());
        let cause = Cause::Malformed;
        self.block_with(status, reported, cause, detail).await
    }

    async fn block_with(
        &self,
        status: StatusCode,
        request: ReportedRequest,
        cause: Cause,
        detail: String,
    ) -> Response<ProxyBody> {
        let body = blocked::body(&request, cause, &detail);
        self.refuse(request, cause, detail, status, &body).await
    }

    pub(super) async fn block_unarmed(
        &self,
        request: ReportedRequest,
        unarmed: Unarmed,
    ) -> Response<ProxyBody> {
        let Unarmed {
            status,
            detail,
            body,
        } = unarmed;
        let cause = Cause::Credential;
        let body = body.unwrap_or_else(|| blocked::body(&request, cause, &detail));
        self.refuse(request, cause, detail, status, &body).await
    }

    async fn refuse(
        &self,
        request: ReportedRequest,
        cause: Cause,
        detail: String,
        status: StatusCode,
        body: &serde_json::Value,
    ) -> Response<ProxyBody> {
        let fact = Fact::Blocked {
            request,
            cause,
            detail,
            status: status.as_u16(),
            tags: Vec::new(),
        };
        self.answer_blocked(fact, status, body).await
    }

    /// Records what a filter refused and answers it.
    pub(super) async fn block_filtered(
        &self,
        request: ReportedRequest,
        blocked: &Blocked,
        tags: Vec<String>,
    ) -> Response<ProxyBody> {
        let status = StatusCode::FORBIDDEN;
        let fact = Fact::Blocked {
            request,
            cause: Cause::Filter,
            detail: escape_cut(
                format!("{}: {}", blocked.error, blocked.detail).as_bytes(),
                FILTER_TAG_CHARS_MAX,
            ),
            status: status.as_u16(),
            tags,
        };
        self.answer_blocked(fact, status, &blocked.body()).await
    }

    async fn answer_blocked(
        &self,
        fact: Fact,
        status: StatusCode,
        body: &serde_json::Value,
    ) -> Response<ProxyBody> {
        match self.link.decide(fact).await {
            Ok(()) => json(status, body),
            Err(why) => unrecorded(why),
        }
    }
}

/// What the agent gets when nothing can be recorded: nothing is decided then, and nothing leaves.
pub(super) fn unrecorded(why: NotRecorded) -> Response<ProxyBody> {
    let (status, error, message) = match why {
        NotRecorded::Failed => (
            StatusCode::SERVICE_UNAVAILABLE,
            "decision_not_recorded",
            "Airut cannot record network decisions at the moment, so no request may leave.",
        ),
        NotRecorded::BeyondLimit => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "This task has made more requests than a task may make; no further one may leave.",
        ),
    };
    json(
        status,
        &serde_json::json!({ "error": error, "message": message }),
    )
}

pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Response<ProxyBody> {
    let mut response = Response::new(full(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn cause_of(denial: Denial) -> Cause {
    match denial {
        Denial::Traversal => Cause::Traversal,
        Denial::Host => Cause::Host,
        Denial::Path => Cause::Path,
        Denial::Method => Cause::Method,
    }
}
