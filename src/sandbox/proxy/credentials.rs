//! Masked secrets in request headers (spec rows SEC-05 and SEC-06): surrogates become the real
//! values where they may, and other credentials in the same headers are removed. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::sandbox::proxy::escape::escape_cut;
use crate::sandbox::proxy::glob;
use crate::sandbox::proxy::wire::{MaskedCredential, ReportedCredential};

/// Longest header name that is reported, in bytes; the rest is cut. Patterns match any length.
const HEADER_NAME_BYTES_MAX: usize = 128;

/// What was done to the headers of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injected {
    /// Surrogates that were replaced.
    pub used: Vec<ReportedCredential>,
    /// Headers that were removed because they carried a foreign credential.
    pub stripped: Vec<String>,
}

/// Puts the credentials whose scope is `host` into `headers`.
pub fn inject(headers: &mut HeaderMap, host: &str, credentials: &[MaskedCredential]) -> Injected {
    let mut injected = Injected::default();
    let mut candidates: Vec<HeaderName> = Vec::new();
    let mut spared: Vec<HeaderName> = Vec::new();
    for credential in credentials
        .iter()
        .filter(|credential| in_scope(credential, host))
    {
        for name in named_headers(headers, credential) {
            let count = replace_in(headers, &name, credential);
            if count > 0 {
                spared.push(name.clone());
                let header = escape_cut(name.as_str().as_bytes(), HEADER_NAME_BYTES_MAX);
                let credential = credential.name.clone();
                injected.used.push(ReportedCredential {
                    name: credential,
                    header,
                    count,
                });
            } else if credential.allow_foreign {
                spared.push(name);
            } else if credential
                .headers
                .iter()
                .any(|p| p.eq_ignore_ascii_case(name.as_str()))
            {
                // Only a header that is named literally belongs to the credential.
                candidates.push(name);
            }
        }
    }
    for name in candidates {
        if !spared.contains(&name) && headers.remove(&name).is_some() {
            injected.stripped.push(name.to_string());
        }
    }
    injected
}

/// Returns the name of a credential that [`inject`] would put into `headers`.
pub fn asked_for<'a>(
    headers: &HeaderMap,
    host: &str,
    credentials: &'a [MaskedCredential],
) -> Option<&'a str> {
    let asked_for = |credential: &&MaskedCredential| {
        let names = named_headers(headers, credential);
        let mut values = names.iter().flat_map(|name| headers.get_all(name));
        in_scope(credential, host) && values.any(|value| replace(value, credential).is_some())
    };
    credentials
        .iter()
        .find(asked_for)
        .map(|found| found.name.as_str())
}

/// Returns whether any credential may be sent to `host`.
pub fn may_go_to(host: &str, credentials: &[MaskedCredential]) -> bool {
    credentials
        .iter()
        .any(|credential| in_scope(credential, host))
}

fn in_scope(credential: &MaskedCredential, host: &str) -> bool {
    credential
        .scopes
        .iter()
        .any(|scope| glob::matches_ignoring_case(scope, host))
}

fn named_headers(headers: &HeaderMap, credential: &MaskedCredential) -> Vec<HeaderName> {
    let named = |name: &&HeaderName| {
        credential
            .headers
            .iter()
            .any(|p| glob::matches_ignoring_case(p, name.as_str()))
    };
    headers.keys().filter(named).cloned().collect()
}

/// Replaces the surrogate in the first value of a header that carries it and drops the header's
/// other values, so that nothing else goes upstream beside it; returns how often it was replaced.
fn replace_in(headers: &mut HeaderMap, name: &HeaderName, credential: &MaskedCredential) -> u32 {
    let replaced = headers
        .get_all(name)
        .iter()
        .find_map(|value| replace(value, credential));
    let Some((mut value, count)) = replaced else {
        return 0;
    };
    value.set_sensitive(true);
    // `insert` drops every other value of the name.
    headers.insert(name.clone(), value);
    count
}

/// Returns the value with the surrogate replaced, plain or inside Basic credentials.
fn replace(value: &HeaderValue, credential: &MaskedCredential) -> Option<(HeaderValue, u32)> {
    let text = value.to_str().ok()?;
    let surrogate = credential.surrogate.expose();
    if surrogate.is_empty() {
        return None;
    }
    let real = credential.value.expose();
    let count = text.matches(surrogate).count();
    let (text, count) = if count > 0 {
        (text.replace(surrogate, real), count)
    } else {
        replace_basic(text, surrogate, real)?
    };
    let value = HeaderValue::from_str(&text).ok()?;
    Some((value, u32::try_from(count).unwrap_or(u32::MAX)))
}

/// RFC 7617: `Basic` and the base64 of `user:password`.
fn replace_basic(text: &str, surrogate: &str, real: &str) -> Option<(String, usize)> {
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let count = decoded.matches(surrogate).count();
    let replaced = decoded.replace(surrogate, real);
    (count > 0).then(|| (format!("{scheme} {}", BASE64.encode(replaced)), count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::proxy::wire::Secret;

    fn key(name: &str, headers: &[&str]) -> MaskedCredential {
        MaskedCredential {
            name: name.to_owned(),
            surrogate: Secret::new(format!("surrogate-{name}")),
            value: Secret::new(format!("real-{name}")),
            scopes: vec!["api.test".to_owned(), "*.git.test".to_owned()],
            headers: headers.iter().map(|header| (*header).to_owned()).collect(),
            allow_foreign: false,
        }
    }

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(
        before: &[(&str, &str)],
        host: &str,
        credentials: &[MaskedCredential],
        after: &[(&str, &str)],
        stripped: &[&str],
    ) {
        let mut seen = headers(before);
        let injected = inject(&mut seen, host, credentials);
        assert_eq!(seen, headers(after));
        assert_eq!(injected.stripped, stripped);
    }

    #[test]
    fn a_surrogate_becomes_the_real_value_only_in_scope() {
        let keys = [key("k", &["x-api-key", "Authorization"])];
        let sent = [("x-api-key", "surrogate-k")];
        check(&sent, "api.test", &keys, &[("x-api-key", "real-k")], &[]);
        check(&sent, "a.git.test", &keys, &[("x-api-key", "real-k")], &[]);
        check(&sent, "other.test", &keys, &sent, &[]);
        let elsewhere = [("x-other", "surrogate-k")];
        check(&elsewhere, "api.test", &keys, &elsewhere, &[]);
        let bearer = [("authorization", "Bearer surrogate-k")];
        check(
            &bearer,
            "api.test",
            &keys,
            &[("authorization", "Bearer real-k")],
            &[],
        );
    }

    #[test]
    fn a_credential_is_asked_for_where_it_would_be_injected() {
        let keys = [key("k", &["x-api-key"])];
        let asked =
            |sent: &[(&str, &str)], host| asked_for(&headers(sent), host, &keys).map(str::to_owned);
        let sent = [("x-api-key", "other"), ("x-api-key", "surrogate-k")];
        assert_eq!(asked(&sent, "api.test"), Some("k".to_owned()));
        assert_eq!(asked(&sent, "other.test"), None);
        assert_eq!(asked(&sent[..1], "api.test"), None);
        assert_eq!(asked(&[("x-other", "surrogate-k")], "api.test"), None);
    }

    #[test]
    fn a_long_header_name_is_cut_where_it_is_reported() {
        let name = format!("x-{}", "a".repeat(10_000));
        let mut sent = headers(&[(&name, "surrogate-k")]);
        let injected = inject(&mut sent, "api.test", &[key("k", &["x-*"])]);
        assert_eq!(sent[name.as_str()], "real-k");
        assert!(injected.used[0].header.len() <= HEADER_NAME_BYTES_MAX + 3);
    }

    #[test]
    fn a_surrogate_inside_basic_credentials_is_replaced() {
        let keys = [key("k", &["Authorization"])];
        let sent = format!("Basic {}", BASE64.encode("user:surrogate-k"));
        let goes = format!("Basic {}", BASE64.encode("user:real-k"));
        check(
            &[("authorization", &sent)],
            "api.test",
            &keys,
            &[("authorization", &goes)],
            &[],
        );
    }

    #[test]
    fn foreign_and_duplicate_credentials_do_not_pass() {
        let keys = [key("k", &["x-api-key"])];
        let foreign = [("x-api-key", "attacker")];
        check(&foreign, "api.test", &keys, &[], &["x-api-key"]);
        let both = [("x-api-key", "surrogate-k"), ("x-api-key", "attacker")];
        check(&both, "api.test", &keys, &[("x-api-key", "real-k")], &[]);
        let reversed = [("x-api-key", "attacker"), ("x-api-key", "surrogate-k")];
        check(
            &reversed,
            "api.test",
            &keys,
            &[("x-api-key", "real-k")],
            &[],
        );
        let mut permissive = key("k", &["x-api-key"]);
        permissive.allow_foreign = true;
        check(&foreign, "api.test", &[permissive], &foreign, &[]);
        let pattern = [key("k", &["x-*"])];
        check(&foreign, "api.test", &pattern, &foreign, &[]);
    }

    #[test]
    fn a_header_another_credential_uses_is_not_stripped() {
        let keys = [key("a", &["authorization"]), key("b", &["authorization"])];
        let sent = [("authorization", "Bearer surrogate-b")];
        check(
            &sent,
            "api.test",
            &keys,
            &[("authorization", "Bearer real-b")],
            &[],
        );
    }
}
