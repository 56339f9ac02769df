//! What the agent reads when a request may not go (spec row NET-19): JSON that says what happened
//! and how the allowlist is changed. Pure.

use serde_json::{Value, json};

use crate::sandbox::proxy::wire::{Cause, ReportedRequest};

/// Returns the body of a refusal.
pub fn body(request: &ReportedRequest, cause: Cause, detail: &str) -> Value {
    let ReportedRequest {
        method, host, path, ..
    } = request;
    json!({
        "error": "blocked_by_network_allowlist",
        "host": host,
        "path": path,
        "method": method,
        "message": message(request, cause, detail),
    })
}

fn message(request: &ReportedRequest, cause: Cause, detail: &str) -> String {
    let ReportedRequest {
        method, host, path, ..
    } = request;
    let mend = "To allow it, add it to .airut/network-allowlist.yaml and open a pull request; it \
                takes effect once that is merged into the default branch.";
    match cause {
        Cause::Host => format!("No rule of the network allowlist names the host {host}. {mend}"),
        Cause::Path => {
            format!("The network allowlist names the host {host}, but not the path {path}. {mend}")
        }
        Cause::Method if !detail.is_empty() => format!("The request is refused: {detail}."),
        Cause::Method => {
            format!("The network allowlist names {host}{path}, but not the method {method}. {mend}")
        }
        Cause::Traversal => {
            "The path holds a NUL, a backslash or a dot segment, which is never allowed.".to_owned()
        }
        Cause::Connect => {
            "CONNECT is never allowed: connect to the host itself, this network is transparent."
                .to_owned()
        }
        Cause::HostMismatch | Cause::Malformed | Cause::Filter | Cause::Honey => {
            format!("The request is refused: {detail}.")
        }
        Cause::Credential => format!(
            "The request is refused: {detail}. Credentials are put in over https alone: ask \
             https://{host}{path}."
        ),
        Cause::Address => format!(
            "The host {host} is allowed, but {detail}, which must not be reached from a sandbox. \
             The operator can name internal ranges under network.internal_ranges."
        ),
    }
}
