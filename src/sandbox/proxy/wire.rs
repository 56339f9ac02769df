//! The messages of the link between the daemon and the proxy: length-prefixed JSON. Plain data; it
//! knows neither end.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::sandbox::proxy::allowlist::Allowlist;
use crate::sandbox::proxy::glob;
use crate::sandbox::proxy::honey::Honey;
use crate::sandbox::proxy::signing::note::SigningNote;

/// A secret on the link: printed as `[secret]`, its memory cleared when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Returns the secret, for the moment it is needed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A credential of which the agent only has a surrogate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedCredential {
    /// Its configured name.
    pub name: String,
    /// What the agent has.
    pub surrogate: Secret,
    /// What upstream gets.
    pub value: Secret,
    /// Host patterns it may be sent to.
    pub scopes: Vec<String>,
    /// Header name patterns it may stand in.
    pub headers: Vec<String>,
    /// Whether other credentials in those headers pass.
    pub allow_foreign: bool,
}

/// A key for AWS of which the agent only has surrogates; the secret never leaves the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningCredential {
    /// Its configured name.
    pub name: String,
    /// The id that the agent has.
    pub surrogate_key_id: Secret,
    /// The real id.
    pub key_id: Secret,
    /// The real secret.
    pub secret: Secret,
    /// The session token, if it is a temporary key.
    pub token: Option<Replaced>,
    /// Host patterns it may sign requests to.
    pub scopes: Vec<String>,
}

/// An app of GitHub of whose tokens the agent only has a surrogate; tokens come when they are used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppCredential {
    /// Its configured name.
    pub name: String,
    /// What the agent has.
    pub surrogate: Secret,
    /// Host patterns that tokens may be sent to.
    pub scopes: Vec<String>,
    /// Whether other credentials in `Authorization` pass.
    pub allow_foreign: bool,
}

/// A token of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
    /// What GraphQL requests may name.
    pub repositories: Vec<AllowedRepository>,
}

/// A repository of an app's installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedRepository {
    /// Its node id.
    pub node_id: String,
    /// Owner and name.
    pub full_name: String,
}

/// A value and what the agent has in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// What the agent has.
    pub surrogate: Secret,
    /// What upstream gets.
    pub value: Secret,
}

/// Ports the proxy listens on and dials; tests use others than the standard ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// DNS, UDP and TCP.
    pub dns: u16,
    /// HTTP.
    pub http: u16,
    /// HTTPS.
    pub https: u16,
    /// Where upstream speaks HTTP.
    pub upstream_http: u16,
    /// Where upstream speaks HTTPS.
    pub upstream_https: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            dns: 53,
            http: 80,
            https: 443,
            upstream_http: 80,
            upstream_https: 443,
        }
    }
}

/// Internal addresses that the operator opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalRange {
    /// The addresses.
    pub range: IpNet,
    /// Patterns of the hosts that may resolve to them; none means every allowed host.
    pub hosts: Vec<String>,
}

impl InternalRange {
    /// Returns whether it is opened for a host.
    pub fn is_for(&self, host: &str) -> bool {
        let matching = |pattern: &String| glob::matches_ignoring_case(pattern, host);
        self.hosts.is_empty() || self.hosts.iter().any(matching)
    }
}

/// Everything the proxy works by; it has nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// What may be reached.
    pub allowlist: Allowlist,
    /// Credentials of the run.
    pub credentials: Vec<MaskedCredential>,
    /// Keys for AWS of the run.
    pub signing: Vec<SigningCredential>,
    /// Apps of GitHub of the run.
    pub apps: Vec<AppCredential>,
    /// What nobody may send anywhere; nothing when the run has no such value.
    pub honey: Option<Honey>,
    /// Name of the run's authority.
    pub ca_name: String,
    /// Its key, PEM.
    pub ca_key: Secret,
    /// The proxy's own address in the sandbox: what every name resolves to there.
    pub address: Ipv4Addr,
    /// The resolver to ask.
    pub upstream_dns: SocketAddr,
    /// Internal ranges that allowed hosts may resolve to.
    pub internal_ranges: Vec<InternalRange>,
    /// Further authorities for upstream hosts, PEM.
    pub upstream_ca: Option<String>,
    /// Ports.
    pub ports: Ports,
}

/// What a request asked for, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedRequest {
    /// Number of the request, from 1.
    pub request: u64,
    /// Method as sent.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host, escaped.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path without query, escaped and cut.
    pub path: String,
    /// SHA-256 of the query, hexadecimal.
    pub query_sha256: Option<String>,
    /// `HTTP/1.1` or `HTTP/2`.
    pub http_version: String,
}

/// A surrogate that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedCredential {
    /// The credential's name.
    pub name: String,
    /// The header it stood in.
    pub header: String,
    /// How often.
    pub count: u32,
}

/// Why a request is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// No rule names its host.
    Host,
    /// Rules name its host, but not its path.
    Path,
    /// Rules name its host and path, but not its method.
    Method,
    /// Its path tries to leave its place.
    Traversal,
    /// Its `Host`, server name and target do not agree.
    HostMismatch,
    /// It asks for a tunnel.
    Connect,
    /// It is not well-formed or beyond a limit.
    Malformed,
    /// Its host resolves to an address that must not be reached.
    Address,
    /// It would carry a credential in the clear.
    Credential,
    /// A filter that reads bodies refused it.
    Filter,
    /// It holds the honey surrogate, or comes after that was seen.
    Honey,
}

/// Something the proxy decided or saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A name was asked for.
    Dns {
        /// The name, escaped.
        name: String,
        /// Record type.
        query_type: String,
        /// Address or response code.
        answer: String,
    },
    /// A request may go.
    Allowed {
        /// The request.
        request: ReportedRequest,
        /// The rule that allows it.
        rule: String,
        /// Credentials put in.
        credentials: Vec<ReportedCredential>,
        /// Headers removed.
        stripped: Vec<String>,
        /// What filters that read bodies said of it, for example `graphql-op: query/viewer`.
        tags: Vec<String>,
    },
    /// A request may not go.
    Blocked {
        /// The request.
        request: ReportedRequest,
        /// Why.
        cause: Cause,
        /// Why, in words.
        detail: String,
        /// Status the agent gets.
        status: u16,
        /// What filters that read bodies said of it.
        tags: Vec<String>,
    },
    /// A connection was refused before a request was read.
    Refused {
        /// The port it came to.
        port: u16,
        /// The name it asked for, escaped.
        name: String,
        /// Why.
        reason: String,
    },
    /// An allowed request could not be forwarded.
    UpstreamFailed {
        /// Number of the request.
        request: u64,
        /// Why.
        error: String,
        /// Status the agent gets.
        status: u16,
    },
    /// Upstream refused a signature that was made anew.
    SignatureRefused {
        /// Number of the request.
        request: u64,
        /// Upstream's status.
        status: u16,
        /// What upstream called wrong, if that could be read.
        code: Option<String>,
        /// What was signed.
        note: SigningNote,
    },
    /// The honey surrogate was seen on its way out.
    HoneySeen {
        /// The request that held it, if it was one.
        request: Option<ReportedRequest>,
        /// Where it stood, for example `the header authorization`.
        place: String,
        /// Body bytes of the request that had gone upstream.
        bytes_up: u64,
    },
    /// A response ended.
    Completed {
        /// Number of the request.
        request: u64,
        /// Upstream's status.
        status: u16,
        /// Body bytes sent upstream.
        bytes_up: u64,
        /// Body bytes sent to the agent.
        bytes_down: u64,
        /// From the decision to the response's head.
        first_byte_ms: u64,
        /// From the decision to the end.
        duration_ms: u64,
        /// Whether the body came to its end.
        complete: bool,
    },
}

/// From the daemon to the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToProxy {
    /// The first message.
    Setup(Box<Setup>),
    /// The answer to the fact with this number.
    Receipt {
        /// Its number.
        number: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// The answer to [`FromProxy::TokenWanted`] with this number.
    Token {
        /// Its number.
        number: u64,
        /// The token; nothing when there is none.
        token: Option<IssuedToken>,
    },
}

/// What became of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is durable.
    Durable,
    /// It becomes durable within the time that a relaxed audit allows.
    Accepted,
    /// It could not be made durable.
    NotDurable,
    /// It is not recorded, since the run has decided too much already.
    BeyondLimit,
}

/// From the proxy to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromProxy {
    /// The proxy listens.
    Ready,
    /// A fact that waits for its receipt.
    Decision {
        /// Its number.
        number: u64,
        /// The fact.
        fact: Fact,
    },
    /// A token of an app is used and not there.
    TokenWanted {
        /// Number of the question.
        number: u64,
        /// The app's name.
        name: String,
    },
    /// A fact that does not wait.
    Note {
        /// The fact.
        fact: Fact,
    },
}
