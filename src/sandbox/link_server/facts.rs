//! What a proxy says, as the events that record it. It knows no connection.

use crate::events::Event;
use crate::events::id::{CredentialName, RequestId, RunId, Sha256};
use crate::events::proxy::{
    BlockCause, ConnectionRefused, CredentialUse, DnsQueryAnswered, HoneySurrogateSeen,
    RequestAllowed, RequestBlocked, RequestInspected, RequestLine, ResponseCompleted,
    SignatureRefused, UpstreamFailed,
};
use crate::sandbox::proxy::signing::note::SigningNote;
use crate::sandbox::proxy::wire::{Cause, Fact, FromProxy, ReportedCredential, ReportedRequest};

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
        | Fact::HoneySeen { .. }
        | Fact::SignatureRefused { .. }
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
        Fact::Refused { port, name, reason } => refused(run, port, name, reason),
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
        Fact::SignatureRefused {
            request,
            status,
            code,
            note,
        } => signature_refused(run, RequestId(request), status, code, note),
        Fact::HoneySeen {
            request,
            place,
            bytes_up,
        } => honey(run, request, place, bytes_up),
        Fact::Completed {
            request,
            status,
            bytes_up,
            bytes_down,
            first_byte_ms,
            duration_ms,
            complete,
        } => ResponseCompleted {
            run,
            request: RequestId(request),
            status,
            bytes_up,
            bytes_down,
            first_byte_ms,
            duration_ms,
            complete,
        }
        .into(),
    }
}

fn refused(run: RunId, port: u16, name: String, reason: String) -> Event {
    ConnectionRefused {
        run,
        port,
        name,
        reason,
    }
    .into()
}

fn signature_refused(
    run: RunId,
    request: RequestId,
    status: u16,
    code: Option<String>,
    note: SigningNote,
) -> Event {
    let SigningNote {
        credential,
        algorithm,
        scope,
        signed_headers,
        payload,
        canonical_sha256,
        skew,
    } = note;
    SignatureRefused {
        run,
        request,
        status,
        code,
        credential: CredentialName(credential),
        algorithm,
        scope,
        signed_headers,
        payload,
        canonical_sha256,
        skew,
    }
    .into()
}

fn honey(run: RunId, request: Option<ReportedRequest>, place: String, bytes_up: u64) -> Event {
    let (request, line) = request.map(request_line).unzip();
    HoneySurrogateSeen {
        run,
        request,
        line,
        place,
        bytes_up,
    }
    .into()
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
        Cause::Honey => BlockCause::Honey,
    }
}

/// Returns in words where the honey surrogate was seen, if that is what a message says.
pub(super) fn honey_seen(message: &FromProxy) -> Option<String> {
    let (FromProxy::Decision { fact, .. } | FromProxy::Note { fact }) = message else {
        return None;
    };
    let Fact::HoneySeen {
        request,
        place,
        bytes_up,
    } = fact
    else {
        return None;
    };
    let Some(request) = request else {
        return Some(format!("{place}; nothing of it left"));
    };
    let ReportedRequest {
        method,
        scheme,
        host,
        path,
        ..
    } = request;
    let left = match (place.as_str(), bytes_up) {
        ("the body", _) => format!("its head and {bytes_up} bytes of its body had left before"),
        _ => "nothing of it left".to_owned(),
    };
    Some(format!(
        "{place} of {method} {scheme}://{host}{path}; {left}"
    ))
}
