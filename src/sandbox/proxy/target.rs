//! Where a request goes: its scheme, host, port and path, all ways of saying it agreeing. Pure.

use http::header::{HOST, UPGRADE};
use http::{Method, Request, Response, Version};

use crate::sandbox::proxy::escape::{escape, escape_cut};
use crate::sandbox::proxy::limits::REPORTED_PATH_BYTES_MAX;
use crate::sandbox::proxy::wire::{Cause, ReportedRequest};

/// How a request came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The port it came to.
    pub port: u16,
    /// The TLS server name, lower case; nothing for plain HTTP.
    pub server_name: Option<String>,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host, lower case, without port.
    pub host: String,
    /// Path and query as sent.
    pub path_and_query: String,
    /// Whether it asks for a WebSocket.
    pub websocket: bool,
}

/// Methods that are refused whatever the rules say.
const ECHO_METHODS: [&str; 2] = ["TRACE", "TRACK"];

/// Headers by which a request would mean another method or path to some servers.
const OVERRIDE_HEADERS: [&str; 5] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Why it is not clear where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear {
    /// For statistics.
    pub cause: Cause,
    /// In words.
    pub detail: String,
}

fn unclear(cause: Cause, detail: impl Into<String>) -> Unclear {
    Unclear {
        cause,
        detail: detail.into(),
    }
}

/// Reads a request's target.
///
/// # Errors
/// [`Unclear`] when it asks for a tunnel, is ambiguous or contradicts itself.
pub fn read<B>(request: &Request<B>, entry: &Entry) -> Result<Target, Unclear> {
    if request.method() == Method::CONNECT {
        return Err(unclear(Cause::Connect, "tunnels are not allowed"));
    }
    refuse_echo(request)?;
    refuse_other_target(request)?;
    let host = named_host(request, entry)?;
    if let Some(server_name) = &entry.server_name
        && *server_name != host
    {
        let detail = format!(
            "the TLS connection is for {}",
            escape(server_name.as_bytes())
        );
        return Err(unclear(Cause::HostMismatch, detail));
    }
    let path_and_query = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    if !path_and_query.starts_with('/') {
        return Err(unclear(Cause::Malformed, "the target is no path"));
    }
    let websocket = read_upgrade(request)?;
    Ok(Target {
        host,
        path_and_query: path_and_query.to_owned(),
        websocket,
    })
}

/// Refuses methods whose answer is the request itself, with the credentials that were put into it
/// (RFC 9110, 9.3.8).
fn refuse_echo<B>(request: &Request<B>) -> Result<(), Unclear> {
    let method = request.method().as_str();
    if repeats_request(method) {
        let detail = format!("{method} is never allowed, since its answer repeats the request");
        return Err(unclear(Cause::Method, detail));
    }
    Ok(())
}

/// Returns whether a method's answer is the request itself.
pub fn repeats_request(method: &str) -> bool {
    let mut echoes = ECHO_METHODS.iter();
    echoes.any(|echo| echo.eq_ignore_ascii_case(method))
}

/// Refuses headers that tell some servers to do something else than what is judged here.
fn refuse_other_target<B>(request: &Request<B>) -> Result<(), Unclear> {
    let named = OVERRIDE_HEADERS
        .iter()
        .find(|name| request.headers().contains_key(**name));
    named.map_or(Ok(()), |name| {
        let detail = format!("{name} names another target or method than the request");
        Err(unclear(Cause::Malformed, detail))
    })
}

/// Returns the host that `Host`, `:authority` and an absolute target agree on.
fn named_host<B>(request: &Request<B>, entry: &Entry) -> Result<String, Unclear> {
    let mut named: Vec<String> = Vec::new();
    if let Some(authority) = request.uri().authority() {
        named.push(split_authority(authority.as_str(), entry.port)?);
        let scheme = request.uri().scheme_str();
        if scheme.is_some_and(|scheme| scheme != entry.scheme) {
            return Err(unclear(
                Cause::HostMismatch,
                "the target names another scheme",
            ));
        }
    }
    let mut headers = request.headers().get_all(HOST).iter();
    if let Some(header) = headers.next() {
        let header = header
            .to_str()
            .map_err(|_| unclear(Cause::Malformed, "bad Host header"))?;
        named.push(split_authority(header, entry.port)?);
    }
    if headers.next().is_some() {
        return Err(unclear(Cause::Malformed, "more than one Host header"));
    }
    let Some(host) = named.pop() else {
        return Err(unclear(Cause::Malformed, "no host is named"));
    };
    match named.pop() {
        Some(other) if other != host => {
            let detail = format!("the target names {other}, the Host header {host}");
            Err(unclear(Cause::HostMismatch, detail))
        }
        _ => Ok(host),
    }
}

/// Returns the host of `host[:port]`, lower case; the port must be the one the request came to.
fn split_authority(authority: &str, expected_port: u16) -> Result<String, Unclear> {
    let shown = || escape_cut(authority.as_bytes(), 256);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if !is_host_name(host) {
        return Err(unclear(
            Cause::Malformed,
            format!("{} is no host name", shown()),
        ));
    }
    let digits_only = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let fits = port.is_none_or(|port| digits_only(port) && port.parse() == Ok(expected_port));
    if !fits {
        let detail = format!("{} names another port than {expected_port}", shown());
        return Err(unclear(Cause::HostMismatch, detail));
    }
    Ok(host.to_ascii_lowercase())
}

/// Returns whether this can be a host's name, or a plain IPv4 address: no trailing dot, no other notation
/// of an address. Some readers take 2130706433, 0x7f.1 and 0177.0.0.1 for 127.0.0.1.
pub fn is_host_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len());
    host.len() <= 253
        && host.bytes().all(allowed)
        && host.split('.').all(label)
        && (!ends_in_number(host) || host.parse::<std::net::Ipv4Addr>().is_ok())
}

/// Returns whether the last label is a number, decimal or hexadecimal: no name on the internet ends so
/// (URL Standard, "ends in a number").
fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let digits = |text: &str, hex: bool| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || (hex && byte.is_ascii_hexdigit()))
    };
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    digits(last, false) || hex.is_some_and(|rest| digits(rest, true))
}

/// Returns whether a WebSocket is asked for; every other upgrade is refused.
fn read_upgrade<B>(request: &Request<B>) -> Result<bool, Unclear> {
    let mut upgrades = request.headers().get_all(UPGRADE).iter();
    let Some(upgrade) = upgrades.next() else {
        return Ok(false);
    };
    let websocket = upgrade.as_bytes().eq_ignore_ascii_case(b"websocket");
    if upgrades.next().is_some() || !websocket || request.version() == Version::HTTP_2 {
        let detail = format!(
            "an upgrade to {} is not allowed",
            escape_cut(upgrade.as_bytes(), 64)
        );
        return Err(unclear(Cause::Malformed, detail));
    }
    Ok(true)
}

/// Returns whether the answer to such a request switches to what was asked for.
pub fn is_websocket<B>(response: &Response<B>) -> bool {
    let upgrade = response.headers().get(UPGRADE);
    upgrade.is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Returns a request as it is reported; the query only as a digest, since it may hold a secret.
pub fn report<B>(request: &Request<B>, entry: &Entry, number: u64) -> ReportedRequest {
    let uri = request.uri();
    let header = || {
        request
            .headers()
            .get(HOST)
            .map(|host| host.as_bytes().to_vec())
    };
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes().to_vec());
    let host = authority.or_else(header).unwrap_or_default();
    let host = host.split(|byte| *byte == b':').next().unwrap_or_default();
    ReportedRequest {
        request: number,
        method: escape_cut(request.method().as_str().as_bytes(), 64),
        scheme: entry.scheme.to_owned(),
        host: escape_cut(&host.to_ascii_lowercase(), 256),
        port: entry.port,
        path: escape_cut(uri.path().as_bytes(), REPORTED_PATH_BYTES_MAX),
        query_sha256: uri.query().map(sha256_hex),
        http_version: format!("{:?}", request.version()).replace("2.0", "2"),
    }
}

/// Returns what can be told of a head that is no request; its target is told without what follows
/// the first `?`, since that may hold a secret.
pub fn report_head(head: &[u8], entry: &Entry, number: u64) -> ReportedRequest {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let mut parts = line.unwrap_or_default().split(|byte| *byte == b' ');
    let (method, target) = (parts.next(), parts.next().unwrap_or_default());
    let mut target = target.splitn(2, |byte| *byte == b'?');
    let (path, query) = (target.next().unwrap_or_default(), target.next());
    let host = entry.server_name.as_deref().unwrap_or_default();
    ReportedRequest {
        request: number,
        method: escape_cut(method.unwrap_or_default(), 64),
        scheme: entry.scheme.to_owned(),
        host: escape_cut(host.as_bytes(), 256),
        port: entry.port,
        path: escape_cut(path, REPORTED_PATH_BYTES_MAX),
        query_sha256: query.map(sha256_hex),
        http_version: "HTTP/1.1".to_owned(),
    }
}

fn sha256_hex(text: impl AsRef<[u8]>) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(text.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            scheme: "https",
            port: 443,
            server_name: Some("a.test".to_owned()),
        }
    }

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    #[track_caller]
    fn check(method: &str, uri: &str, headers: &[(&str, &str)], expected: Result<&str, Cause>) {
        let read = read(&request(method, uri, headers), &entry());
        let read = read
            .map(|target| target.host)
            .map_err(|unclear| unclear.cause);
        assert_eq!(
            read,
            expected.map(str::to_owned),
            "{method} {uri} {headers:?}"
        );
    }

    #[test]
    fn all_ways_to_name_the_host_must_agree() {
        check("GET", "/", &[("host", "a.test")], Ok("a.test"));
        check("GET", "/", &[("host", "A.Test:443")], Ok("a.test"));
        check("GET", "https://a.test/", &[], Ok("a.test"));
        check(
            "GET",
            "https://a.test/",
            &[("host", "a.test")],
            Ok("a.test"),
        );
        check(
            "GET",
            "https://a.test/",
            &[("host", "b.test")],
            Err(Cause::HostMismatch),
        );
        check(
            "GET",
            "https://b.test/",
            &[("host", "a.test")],
            Err(Cause::HostMismatch),
        );
        check(
            "GET",
            "http://a.test/",
            &[("host", "a.test")],
            Err(Cause::HostMismatch),
        );
        check("GET", "/", &[("host", "b.test")], Err(Cause::HostMismatch));
        check(
            "GET",
            "/",
            &[("host", "a.test:8443")],
            Err(Cause::HostMismatch),
        );
        check(
            "GET",
            "/",
            &[("host", "a.test"), ("host", "a.test")],
            Err(Cause::Malformed),
        );
        check("GET", "/", &[], Err(Cause::Malformed));
    }

    #[test]
    fn odd_host_names_are_refused() {
        for host in [
            "",
            "a.test.",
            ".a.test",
            "a..test",
            "a@b",
            "user@a.test",
            "[::1]",
            "a test",
            "a.test:+443",
            "a.test:",
            "a.test:443:443",
            "b\u{fc}cher.test",
            "a%2etest",
            "fe80::1%eth0",
            "[fe80::1%25eth0]",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "a.test.1",
            "a,b.test",
            "a.test/b",
        ] {
            let read = read(&request("GET", "/", &[("host", host)]), &entry());
            assert!(read.is_err(), "{host}");
        }
    }

    #[test]
    fn methods_that_repeat_the_request_are_refused() {
        for method in ["TRACE", "TRACK", "trace", "Track"] {
            check(method, "/", &[("host", "a.test")], Err(Cause::Method));
        }
        check("TRACES", "/", &[("host", "a.test")], Ok("a.test"));
    }

    #[test]
    fn headers_that_name_another_target_are_refused() {
        for name in OVERRIDE_HEADERS {
            let sent = [("host", "a.test"), (name, "DELETE")];
            check("POST", "/", &sent, Err(Cause::Malformed));
        }
    }

    #[test]
    fn tunnels_and_upgrades_are_refused_but_for_websockets() {
        check("CONNECT", "a.test:443", &[], Err(Cause::Connect));
        check(
            "GET",
            "/",
            &[("host", "a.test"), ("upgrade", "h2c")],
            Err(Cause::Malformed),
        );
        check(
            "GET",
            "/",
            &[("host", "a.test"), ("upgrade", "WebSocket")],
            Ok("a.test"),
        );
    }

    #[test]
    fn a_path_is_reported_up_to_its_limit() {
        for bytes in [
            REPORTED_PATH_BYTES_MAX - 1,
            REPORTED_PATH_BYTES_MAX,
            REPORTED_PATH_BYTES_MAX + 1,
        ] {
            let path = format!("/{}", "a".repeat(bytes - 1));
            let reported = report(&request("GET", &path, &[]), &entry(), 1).path;
            let head = format!("GET {path} HTTP/1.1\r\n");
            assert_eq!(report_head(head.as_bytes(), &entry(), 1).path, reported);
            if bytes <= REPORTED_PATH_BYTES_MAX {
                assert_eq!(reported, path);
            } else {
                assert_eq!(reported, format!("{}…", &path[..REPORTED_PATH_BYTES_MAX]));
            }
        }
    }
}
