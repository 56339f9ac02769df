//! AWS's canonical form of a request, computed from what goes over the wire (AWS "Create a signed
//! request", Signature Version 4). Pure; it knows no key.

use std::fmt::Write as _;

use http::header::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest as _, Sha256};

/// AWS's unreserved characters are RFC 3986's.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// How a service reads paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathForm {
    /// As S3: encoded once, and nothing resolved.
    Once,
    /// As everything else: dots resolved, and what is encoded encoded again.
    Twice,
}

/// A request as its signature sees it.
#[derive(Debug, Clone, Copy)]
pub struct CanonicalParts<'a> {
    /// Method.
    pub method: &'a str,
    /// Path as it is sent.
    pub path: &'a str,
    /// How the service reads it.
    pub path_form: PathForm,
    /// Query as it is sent, without `?`; a signature in it does not count.
    pub query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Names of the headers that count, sorted, in lower case.
    pub signed_headers: &'a [String],
    /// SHA-256 of the body, or one of AWS's words in its place.
    pub payload_hash: &'a str,
}

/// Returns the canonical request.
pub fn request(parts: CanonicalParts<'_>) -> String {
    let mut canonical = format!(
        "{}\n{}\n{}\n",
        parts.method,
        path(parts.path, parts.path_form),
        query(parts.query)
    );
    for name in parts.signed_headers {
        // Writing into a string does not fail.
        let _infallible = writeln!(canonical, "{name}:{}", header(parts.headers, name));
    }
    canonical.push('\n');
    canonical.push_str(&parts.signed_headers.join(";"));
    canonical.push('\n');
    canonical.push_str(parts.payload_hash);
    canonical
}

/// Returns the lower-case hexadecimal SHA-256.
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn path(path: &str, form: PathForm) -> String {
    let path = if path.is_empty() { "/" } else { path };
    match form {
        // An escaped slash is part of a name, so that it stays escaped.
        PathForm::Once => {
            let parts = path.split('/').map(|part| {
                let plain: Vec<u8> = percent_decode_str(part).collect();
                percent_encode(&plain, RESERVED).to_string()
            });
            parts.collect::<Vec<_>>().join("/")
        }
        PathForm::Twice => percent_encode(resolved(path).as_bytes(), RESERVED_IN_PATH).to_string(),
    }
}

/// Removes dot segments and empty ones (RFC 3986, 6.2.2.3, and AWS's own rule).
fn resolved(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let slash = if parts.is_empty() || !["", ".", ".."].contains(&last) {
        ""
    } else {
        "/"
    };
    format!("/{}{slash}", parts.join("/"))
}

fn query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (again(name), again(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort();
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// Decodes and encodes, so that one form stands for all; `+` is a blank there.
fn again(text: &str) -> String {
    let blanks = text.replace('+', " ");
    let plain: Vec<u8> = percent_decode_str(&blanks).collect();
    percent_encode(&plain, RESERVED).to_string()
}

/// Returns all values of a header, blanks trimmed and runs of them made one.
fn header(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let words = text.split_ascii_whitespace();
        words.collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_reads_a_path_once_and_resolves_nothing() {
        for (sent, canonical) in [
            ("", "/"),
            ("/a%3Ab", "/a%3Ab"),
            ("/a%3ab", "/a%3Ab"),
            ("/a:b//c/../d", "/a%3Ab//c/../d"),
            ("/a%2Fb/%7Ec", "/a%2Fb/~c"),
        ] {
            assert_eq!(path(sent, PathForm::Once), canonical, "{sent}");
        }
    }

    #[test]
    fn other_services_resolve_a_path_and_encode_it_again() {
        for (sent, canonical) in [
            ("", "/"),
            ("/model/a%3Ab/invoke", "/model/a%253Ab/invoke"),
            ("/a/./b/../c/", "/a/c/"),
            ("//a//", "/a/"),
            ("/..", "/"),
        ] {
            assert_eq!(path(sent, PathForm::Twice), canonical, "{sent}");
        }
    }

    #[test]
    fn a_query_is_sorted_by_what_it_encodes_to() {
        assert_eq!(
            query("b=2&a=%7e&a=+x&c&X-Amz-Signature=00"),
            "a=%20x&a=~&b=2&c="
        );
    }
}
