//! What the proxy of one run decided and saw. Stream `proxy:<run>`. Bodies, header values and
//! queries are in no event: a query may carry a secret, so only its digest is kept.

use crate::events::id::{CredentialName, RequestId, RunId, Sha256};
use crate::events::macros::data;

data! {
    /// A name was asked for.
    pub struct DnsQueryAnswered {
        /// The run.
        pub run: RunId,
        /// The name, non-printing bytes escaped.
        pub name: String,
        /// The record type, for example `A`.
        pub query_type: String,
        /// The address given, or the response code, for example `NOTIMP`.
        pub answer: String,
    }

    /// What a request asked for.
    pub struct RequestLine {
        /// Method as sent.
        pub method: String,
        /// `http` or `https`.
        pub scheme: String,
        /// Host, lower case, non-printing bytes escaped.
        pub host: String,
        /// Port.
        pub port: u16,
        /// Path without query, non-printing bytes escaped, cut at `PATH_BYTES_MAX`.
        pub path: String,
        /// Digest of the query, if there is one.
        pub query_sha256: Option<Sha256>,
        /// `HTTP/1.1` or `HTTP/2`.
        pub http_version: String,
    }

    /// A surrogate was replaced by the real credential.
    pub struct CredentialUse {
        /// The credential.
        pub credential: CredentialName,
        /// The header it stood in.
        pub header: String,
        /// How often it was replaced.
        pub count: u32,
    }

    /// A request may leave; durable before its first byte does.
    pub struct RequestAllowed {
        /// The run.
        pub run: RunId,
        /// The request.
        pub request: RequestId,
        /// What it asked for.
        pub line: RequestLine,
        /// The rule that allows it, for example `domains[0]` or `url_prefixes[3]`.
        pub rule: String,
        /// Credentials put in.
        pub credentials: Vec<CredentialUse>,
        /// Names of headers removed because they carried a foreign credential.
        pub stripped: Vec<String>,
    }

    /// Why a request may not leave.
    pub enum BlockCause {
        /// No rule names its host.
        Host,
        /// Rules name its host, but not its path.
        Path,
        /// Rules name its host and path, but not its method.
        Method,
        /// Its path tries to leave its place (NUL, backslash, dot segments).
        Traversal,
        /// Its `Host`, SNI and target do not agree.
        HostMismatch,
        /// It asks for a tunnel.
        Connect,
        /// It is not well-formed or beyond a limit.
        Malformed,
        /// A filter that reads bodies refused it.
        Filter,
        /// Its host resolves to an address that must not be reached.
        Address,
        /// Its credential could not be made, or would go out in the clear.
        Credential,
        /// It holds the honey surrogate, or comes after that was seen.
        Honey,
    }

    /// A request may not leave.
    pub struct RequestBlocked {
        /// The run.
        pub run: RunId,
        /// The request.
        pub request: RequestId,
        /// What it asked for.
        pub line: RequestLine,
        /// Why, for statistics and the legacy log.
        pub cause: BlockCause,
        /// Why, in words.
        pub detail: String,
        /// The status the agent got.
        pub status: u16,
    }

    /// Filters read a request's body; the decision on the request follows in the same append.
    pub struct RequestInspected {
        /// The run.
        pub run: RunId,
        /// The request.
        pub request: RequestId,
        /// What each filter said of it, for example `graphql-op: mutation/createIssue`, escaped
        /// and cut; what a filter changed of the body is told here too.
        pub tags: Vec<String>,
    }

    /// A connection was refused before a request was read.
    pub struct ConnectionRefused {
        /// The run.
        pub run: RunId,
        /// The port it came to.
        pub port: u16,
        /// The name it asked for, escaped, if any.
        pub name: String,
        /// Why, for example `no server name`.
        pub reason: String,
    }

    /// An allowed request could not be forwarded.
    pub struct UpstreamFailed {
        /// The run.
        pub run: RunId,
        /// The request.
        pub request: RequestId,
        /// Why.
        pub error: String,
        /// The status the agent got.
        pub status: u16,
    }

    /// A response is complete, or was cut off.
    pub struct ResponseCompleted {
        /// The run.
        pub run: RunId,
        /// The request.
        pub request: RequestId,
        /// Upstream's status.
        pub status: u16,
        /// Body bytes sent upstream.
        pub bytes_up: u64,
        /// Body bytes sent to the agent.
        pub bytes_down: u64,
        /// From the decision to the response's head.
        pub first_byte_ms: u64,
        /// From the decision to the end.
        pub duration_ms: u64,
        /// Whether the body came to its end.
        pub complete: bool,
    }

    /// Names were asked for so often, or so soon again, that not every query is recorded.
    pub struct DnsQueriesSuppressed {
        /// The run.
        pub run: RunId,
        /// How many queries of the run have no event of their own.
        pub count: u64,
    }

    /// The value that stands for no credential was on its way out: somebody has taken it from the
    /// agent's environment. Nothing of the run leaves after this.
    pub struct HoneySurrogateSeen {
        /// The run.
        pub run: RunId,
        /// The request that held it; nothing for a name that was asked for, or a malformed request.
        pub request: Option<RequestId>,
        /// What that request asked for.
        pub line: Option<RequestLine>,
        /// Where it stood, for example `the header authorization`.
        pub place: String,
        /// Body bytes of the request that had gone upstream before it was complete.
        pub bytes_up: u64,
    }

    /// Upstream refused a signature that the proxy made in the place of the agent's. No part of this
    /// is a secret: what was signed is told by its names and digests.
    pub struct SignatureRefused {
        /// The run.
        pub run: RunId,
        /// The request.
        pub request: RequestId,
        /// Upstream's status.
        pub status: u16,
        /// What upstream called wrong, for example `SignatureDoesNotMatch`; nothing when its answer
        /// does not say.
        pub code: Option<String>,
        /// The credential.
        pub credential: CredentialName,
        /// How it was signed, for example `AWS4-HMAC-SHA256`.
        pub algorithm: String,
        /// Day, region and service that were signed, escaped and cut.
        pub scope: String,
        /// Names of the signed headers, a semicolon between two, escaped and cut.
        pub signed_headers: String,
        /// What stood for the body: its SHA-256, or for example `UNSIGNED-PAYLOAD`.
        pub payload: String,
        /// SHA-256 of the canonical request; upstream came to another one if the signature is what
        /// it did not like.
        pub canonical_sha256: String,
        /// How far the signature's time was off, in words, if it was too far.
        pub skew: Option<String>,
    }

    /// The run has made as many requests as a run may; every further one is denied with 429 and has
    /// no event of its own.
    pub struct DecisionLimitReached {
        /// The run.
        pub run: RunId,
        /// How many decisions are recorded for a run.
        pub decisions_max: u64,
    }

    /// The operator chose `network.audit: relaxed`: requests of the run may leave before their
    /// decision is durable. Without this event none did.
    pub struct RelaxedAuditInForce {
        /// The run.
        pub run: RunId,
        /// How long a decision may wait for the disk before nothing more leaves.
        pub delay_ms_max: u64,
    }
}

/// Longest path kept in an event, in bytes after escaping; the rest is cut and marked with `…`.
pub const PATH_BYTES_MAX: usize = 2048;
