//! The filter of server-side tools (spec rows NET-22 and NET-23): tools of the Messages API fetch
//! from Anthropic's network, past this proxy, so they may be told only hosts of which the allowlist
//! lets everything be read. Pure. It changes the bytes of such tools and no others.

use crate::sandbox::proxy::filter::{Blocked, Finding, Head, is_encoded, media_type};
use crate::sandbox::proxy::limits::TOOLS_BODY_BYTES_MAX;

mod entry;
mod walk;

/// The filter's name in the log.
pub const NAME: &str = "tool-domains";

/// Returns whether a request is one to the Messages API, given its once-decoded path and query:
/// `/v1/messages` and all below it, also as servers tidy paths up.
pub fn concerns(host: &str, decoded: &str) -> bool {
    let path = decoded.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default().trim())
        .filter(|segment| !segment.is_empty() && *segment != ".");
    let mut next_is = |name: &str| {
        let next = segments.next();
        next.is_some_and(|segment| segment.eq_ignore_ascii_case(name))
    };
    host.eq_ignore_ascii_case("api.anthropic.com") && next_is("v1") && next_is("messages")
}

/// Returns the refusal of a body that is too long to be read.
pub fn too_large() -> Blocked {
    let mebibytes = TOOLS_BODY_BYTES_MAX / (1024 * 1024);
    Blocked {
        error: "tool_config_too_large",
        message: format!(
            "The body is longer than {mebibytes} MiB, so the network sandbox cannot check which \
             hosts its server-side tools would reach."
        ),
        detail: "<too-large>".to_owned(),
        tag: Some("<too-large>".to_owned()),
    }
}

fn invalid(detail: &str) -> Blocked {
    Blocked {
        error: "tool_config_invalid",
        message: "The body is not plain JSON in UTF-8, tells a key twice or is nested too deeply, \
                  so the network sandbox cannot check which hosts its server-side tools would \
                  reach."
            .to_owned(),
        detail: detail.to_owned(),
        tag: Some(detail.to_owned()),
    }
}

/// Trims the server-side tools of a body to the hosts that `opens` accepts.
pub fn check(opens: &dyn Fn(&str) -> bool, head: Head<'_>, body: &[u8]) -> Finding {
    if body.len() > TOOLS_BODY_BYTES_MAX {
        return Finding::Block(too_large());
    }
    if body.is_empty() {
        return Finding::Pass { tag: None };
    }
    if is_encoded(head.headers) {
        return Finding::Block(invalid("<encoded>"));
    }
    if media_type(head.headers).is_err() {
        return Finding::Block(invalid("<content-type>"));
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return Finding::Block(invalid("<invalid-json>"));
    };
    let (edits, notes) = match walk::walk(text, opens) {
        Ok(found) => found,
        Err(walk::Stop::Malformed) => return Finding::Block(invalid("<invalid-json>")),
        Err(walk::Stop::Blocked(blocked)) => return Finding::Block(blocked),
    };
    if edits.is_empty() {
        return Finding::Pass { tag: None };
    }
    let mut rewritten = Vec::with_capacity(body.len());
    let mut copied = 0;
    for edit in edits {
        rewritten.extend_from_slice(&body[copied..edit.place.start]);
        rewritten.extend_from_slice(edit.text.as_bytes());
        copied = edit.place.end;
    }
    rewritten.extend_from_slice(&body[copied..]);
    Finding::Rewrite {
        body: rewritten,
        tag: notes.join("; "),
    }
}

#[cfg(test)]
mod tests;
