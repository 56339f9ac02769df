//! Headers that stop at the proxy, in both directions. Pure.

use http::header::{
    ALT_SVC, CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING,
    UPGRADE,
};

/// Headers about one connection or about a proxy: they concern this proxy, or lie about it.
const ONE_HOP: [&str; 9] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
];

/// Makes a request's headers what upstream may see, before credentials are put in.
pub fn clean_request(headers: &mut HeaderMap, websocket: bool) {
    clean(headers, websocket);
}

/// Makes a response's headers what the agent may see.
pub fn clean_response(headers: &mut HeaderMap, switched: bool) {
    clean(headers, switched);
    // Another port or protocol would lead the agent past this proxy, to where nothing listens.
    headers.remove(ALT_SVC);
}

/// Removes the headers that concern one connection only (RFC 9110, 7.6.1).
fn clean(headers: &mut HeaderMap, keep_upgrade: bool) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != UPGRADE && *name != CONTENT_LENGTH)
        .collect();
    let trailers = headers
        .get(TE)
        .is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    for name in named {
        headers.remove(name);
    }
    for name in ONE_HOP {
        headers.remove(name);
    }
    headers.remove(TRANSFER_ENCODING);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if keep_upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else {
        headers.remove(UPGRADE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        list.iter().map(pair).collect()
    }

    #[test]
    fn headers_of_one_hop_stop_here() {
        let mut seen = headers(&[
            ("connection", "close, X-Secret, content-length"),
            ("x-secret", "1"),
            ("content-length", "3"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-connection", "keep-alive"),
            ("proxy", "http://evil.test"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAAA"),
            ("accept", "*/*"),
        ]);
        clean_request(&mut seen, false);
        let left = [
            ("content-length", "3"),
            ("accept", "*/*"),
            ("te", "trailers"),
        ];
        assert_eq!(seen, headers(&left));
    }

    #[test]
    fn a_websocket_keeps_its_upgrade_alone() {
        let mut seen = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
        ]);
        clean_request(&mut seen, true);
        let left = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(seen, headers(&left));
    }

    #[test]
    fn hints_at_other_ways_to_a_host_are_removed() {
        let mut seen = headers(&[("alt-svc", "h3=\":443\""), ("content-type", "text/html")]);
        clean_response(&mut seen, false);
        assert_eq!(seen, headers(&[("content-type", "text/html")]));
    }
}
