//! What a proxy says, as the events that record it. It knows no connection.

use crate::events::Event;
use crate::events::id::{CredentialName, RequestId, RunId, Sha256};
use crate::events::proxy::{
    BlockCause, ConnectionRefused, CredentialUse, DnsQueryAnswered, RequestAllowed, RequestBlocked,
    RequestInspected, RequestLine, ResponseCompleted, UpstreamFailed,
};
use crate::sandbox::proxy::wire::{Cause, Fact, ReportedCredential, ReportedRequest};

/// Returns a fact as the events that record it: what filters said of a request stands before the
/// decision on it, in one append with it.
pub(super) fn events(run: RunId, fact: Fact) -> impl Iterator<Item = Event> {
    let inspected = match &fact {
        Fact::Allowed { request, tags, .. } | Fact::Blocked { request, tags, .. } => {
            let request = RequestId(request.request);
            let tags = tags.clone();
            (!tags.is_empty()).then_some(RequestInspected { run, request, tags })
        }
        Fact::Dns { .. }
        | Fact::Refused { .. }
        | Fact::UpstreamFailed { .. }
        | Fact::Completed { .. } => None,
    };
    let decision = event(run, fact);
    inspected.map(Event::from).into_iter().chain([decision])
}

fn event(run: RunId, fact: Fact) -> Event {
    match fact {
        Fact::Dns {
            name,
            query_type,
            answer,
        } => DnsQueryAnswered {
            run,
            name,
            query_type,
            answer,
        }
        .into(),
        Fact::Allowed {
            request,
            rule,
            credentials,
            stripped,
            tags: _,
        } => allowed(run, request, rule, credentials, stripped),
        Fact::Blocked {
            request,
            cause,
            detail,
            status,
            tags: _,
        } => blocked(run, request, block_cause(cause), detail, status),
        Fact::Refused { port, name, reason } => ConnectionRefused {
            run,
            port,
            name,
            reason,
        }
        .into(),
        Fact::UpstreamFailed {
            request,
            error,
            status,
        } => UpstreamFailed {
            run,
            request: RequestId(request),
            error,
            status,
        }
        .into(),
        Fact::Completed {
            request,
            status,
            bytes_up,
            bytes_down,
            first_byte_ms,
            duration_ms,
            complete,
        } => {
            let request = RequestId(request);
            ResponseCompleted {
                run,
                request,
                status,
                bytes_up,
                bytes_down,
                first_byte_ms,
                duration_ms,
                complete,
            }
            .into()
        }
    }
}

fn allowed(
    run: RunId,
    request: ReportedRequest,
    rule: String,
    credentials: Vec<ReportedCredential>,
    stripped: Vec<String>,
) -> Event {
    let (request, line) = request_line(request);
    let credentials = credentials.into_iter().map(credential_use).collect();
    RequestAllowed {
        run,
        request,
        line,
        rule,
        credentials,
        stripped,
    }
    .into()
}

fn blocked(
    run: RunId,
    request: ReportedRequest,
    cause: BlockCause,
    detail: String,
    status: u16,
) -> Event {
    let (request, line) = request_line(request);
    RequestBlocked {
        run,
        request,
        line,
        cause,
        detail,
        status,
    }
    .into()
}

fn request_line(request: ReportedRequest) -> (RequestId, RequestLine) {
    let query_sha256 = request
        .query_sha256
        .and_then(|digest| digest.parse::<Sha256>().ok());
    let line = RequestLine {
        method: request.method,
        scheme: request.scheme,
        host: request.host,
        port: request.port,
        path: request.path,
        query_sha256,
        http_version: request.http_version,
    };
    (RequestId(request.request), line)
}

fn credential_use(used: ReportedCredential) -> CredentialUse {
    let ReportedCredential {
        name,
        header,
        count,
    } = used;
    CredentialUse {
        credential: CredentialName(name),
        header,
        count,
    }
}

fn block_cause(cause: Cause) -> BlockCause {
    match cause {
        Cause::Host => BlockCause::Host,
        Cause::Path => BlockCause::Path,
        Cause::Method => BlockCause::Method,
        Cause::Traversal => BlockCause::Traversal,
        Cause::HostMismatch => BlockCause::HostMismatch,
        Cause::Connect => BlockCause::Connect,
        Cause::Malformed => BlockCause::Malformed,
        Cause::Address => BlockCause::Address,
        Cause::Credential => BlockCause::Credential,
        Cause::Filter => BlockCause::Filter,
    }
}
