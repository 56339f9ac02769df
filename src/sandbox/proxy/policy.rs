//! The verdict on a request (spec rows NET-14 to NET-18). Pure; it knows no network.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::sandbox::proxy::allowlist::{Allowlist, UrlPrefix};
use crate::sandbox::proxy::glob;

/// What a request asks for, as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Host, lower case, without port.
    pub host: &'a str,
    /// Path and query as sent, percent-encoded.
    pub path_and_query: &'a str,
    /// Method as sent; empty, which no request is, it stands for any.
    pub method: &'a str,
}

/// Why no rule allows a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Its path tries to leave its place.
    Traversal,
    /// No rule names its host.
    Host,
    /// Rules name its host, but not its path.
    Path,
    /// Rules name its host and path, but not its method.
    Method,
}

/// A rule by its place in the file, printed as in `domains[0]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Of `domains`.
    Domain(usize),
    /// Of `url_prefixes`.
    UrlPrefix(usize),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(index) => write!(f, "domains[{index}]"),
            Self::UrlPrefix(index) => write!(f, "url_prefixes[{index}]"),
        }
    }
}

/// The judgement on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may go, by the first rule that allows it.
    Allowed(Rule),
    /// It may not.
    Denied {
        /// Why.
        denial: Denial,
        /// The first of the rules that came closest; none when none names its host.
        nearest: Option<Rule>,
    },
}

/// Judges a request by an allowlist: `domains` first, then `url_prefixes`, the first match wins.
pub fn judge(allowlist: &Allowlist, asked: Asked<'_>) -> Verdict {
    let decoded = decoded(asked.path_and_query);
    if leaves_its_place(&decoded) || is_unclear(asked.path_and_query) {
        return Verdict::Denied {
            denial: Denial::Traversal,
            nearest: None,
        };
    }
    let domain = |pattern: &String| glob::matches_ignoring_case(pattern, asked.host);
    if let Some(index) = allowlist.domains.iter().position(domain) {
        return Verdict::Allowed(Rule::Domain(index));
    }
    let (mut denial, mut nearest) = (Denial::Host, None);
    for (index, entry) in allowlist.url_prefixes.iter().enumerate() {
        match judge_entry(entry, asked, &decoded) {
            Ok(()) => return Verdict::Allowed(Rule::UrlPrefix(index)),
            Err(other) if closeness(other) > closeness(denial) => {
                (denial, nearest) = (other, Some(Rule::UrlPrefix(index)));
            }
            Err(_) => {}
        }
    }
    Verdict::Denied { denial, nearest }
}

/// Returns a path and query percent-decoded once, as patterns see it.
pub fn decoded(path_and_query: &str) -> String {
    percent_decode_str(path_and_query)
        .decode_utf8_lossy()
        .into_owned()
}

/// Returns how close a denial came to an allowance.
fn closeness(denial: Denial) -> u8 {
    match denial {
        Denial::Traversal | Denial::Host => 0,
        Denial::Path => 1,
        Denial::Method => 2,
    }
}

fn judge_entry(entry: &UrlPrefix, asked: Asked<'_>, decoded: &str) -> Result<(), Denial> {
    if !entry.matches_host(asked.host) {
        return Err(Denial::Host);
    }
    if !entry.matches_path(decoded) {
        return Err(Denial::Path);
    }
    let named = asked.method.is_empty()
        || entry
            .methods
            .iter()
            .any(|method| method.eq_ignore_ascii_case(asked.method));
    if entry.methods.is_empty() || named {
        Ok(())
    } else {
        Err(Denial::Method)
    }
}

/// Returns whether a once-decoded path could mean another place to the server than to us.
fn leaves_its_place(decoded: &str) -> bool {
    let path = decoded.split(['?', '#']).next().unwrap_or_default();
    decoded.contains(['\0', '\\'])
        || decoded.contains("/../")
        || decoded.ends_with("/..")
        || path.ends_with("/..")
        || path.contains("/..;")
}

/// Returns whether servers could disagree on what a path means: it is no UTF-8 once it is decoded
/// (an overlong dot), holds control characters, or hides a separator or a dot segment behind a
/// second encoding, which some servers undo too. Queries carry such text for honest reasons.
fn is_unclear(path_and_query: &str) -> bool {
    let path = path_and_query.split('?').next().unwrap_or_default();
    let Ok(once) = percent_decode_str(path).decode_utf8() else {
        return true;
    };
    let Ok(twice) = percent_decode_str(&once).decode_utf8() else {
        return true;
    };
    let separators = |text: &str| text.matches(['/', '\\']).count();
    once.contains(|character: char| character.is_ascii_control())
        || twice.contains(|character: char| character.is_ascii_control())
        || separators(&twice) != separators(&once)
        || leaves_its_place(&twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowlist() -> Allowlist {
        let entry = |host: &str, path: &str, methods: &[&str]| UrlPrefix {
            host: host.to_owned(),
            path: path.to_owned(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            graphql: None,
        };
        Allowlist {
            domains: vec!["static.test".to_owned(), "*.cdn.test".to_owned()],
            url_prefixes: vec![
                entry("api.test", "/v1/messages*", &["POST"]),
                entry("api.test", "/repos/a/b/*", &[]),
                entry("", "", &[]),
            ],
        }
    }

    #[track_caller]
    fn check(method: &str, host: &str, path_and_query: &str, expected: Result<&str, Denial>) {
        let verdict = judge(
            &allowlist(),
            Asked {
                host,
                path_and_query,
                method,
            },
        );
        let verdict = match verdict {
            Verdict::Allowed(rule) => Ok(rule.to_string()),
            Verdict::Denied { denial, .. } => Err(denial),
        };
        let expected = expected.map(str::to_owned);
        assert_eq!(verdict, expected, "{method} {host}{path_and_query}");
    }

    #[test]
    fn domains_allow_every_path_and_method() {
        check("DELETE", "static.test", "/any?x=1", Ok("domains[0]"));
        check("GET", "a.b.cdn.test", "/", Ok("domains[1]"));
        check("GET", "cdn.test", "/", Err(Denial::Host));
        check("GET", "STATIC.test", "/", Ok("domains[0]"));
        check("GET", "evil-static.test", "/", Err(Denial::Host));
        check("GET", "static.test.evil", "/", Err(Denial::Host));
    }

    #[test]
    fn prefixes_name_paths_and_methods() {
        check(
            "POST",
            "api.test",
            "/v1/messages?beta=true",
            Ok("url_prefixes[0]"),
        );
        check("post", "api.test", "/v1/messages", Ok("url_prefixes[0]"));
        check("GET", "api.test", "/v1/messages", Err(Denial::Method));
        check("GET", "api.test", "/V1/messages", Err(Denial::Path));
        check("GET", "api.test", "/repos/a/b/pulls", Ok("url_prefixes[1]"));
        check("GET", "api.test", "/repos/a/b", Err(Denial::Path));
        check("POST", "api.test", "/v1%2fmessages", Ok("url_prefixes[0]"));
        let twice = "/v1%252fmessages";
        check("POST", "api.test", twice, Err(Denial::Traversal));
    }

    #[test]
    fn paths_that_leave_their_place_are_denied_everywhere() {
        for path in [
            "/a/../b",
            "/a/..",
            "/a/%2e%2e/b",
            "/a/%2e%2e",
            "/a%00",
            "/a\\b",
            "/a%5cb",
            "/a/..?x",
            "/a/..;/b",
            "/x?y=/../",
        ] {
            check("GET", "static.test", path, Err(Denial::Traversal));
        }
        check("GET", "static.test", "/a/..b", Ok("domains[0]"));
    }

    #[test]
    fn paths_that_servers_read_differently_are_denied() {
        for path in [
            "/a/%c0%ae%c0%ae/b",
            "/a/%ff",
            "/a/%252e%252e/b",
            "/a/.%252e/b",
            "/a/%252e%252e",
            "/a%252fb",
            "/a%255cb",
            "/a%2500",
            "/a%25ff",
            "/a%0d%0ab",
            "/a/.%09./b",
        ] {
            check("GET", "static.test", path, Err(Denial::Traversal));
        }
        for path in [
            "/a%20b",
            "/a%25b",
            "/%C3%BC",
            "/a%2fb",
            "/a/%2541",
            "/login?to=https%253A%252F%252Fb.test%252F",
            "/search?q=%fc",
        ] {
            check("GET", "static.test", path, Ok("domains[0]"));
        }
    }

    #[test]
    fn an_empty_allowlist_allows_nothing() {
        let asked = Asked {
            host: "static.test",
            path_and_query: "/",
            method: "GET",
        };
        let denied = Verdict::Denied {
            denial: Denial::Host,
            nearest: None,
        };
        assert_eq!(judge(&Allowlist::default(), asked), denied);
    }

    #[test]
    fn the_nearest_rule_is_the_first_that_came_closest() {
        let nearest = |method, path_and_query| {
            let host = "api.test";
            let asked = Asked {
                host,
                path_and_query,
                method,
            };
            match judge(&allowlist(), asked) {
                Verdict::Allowed(rule) => panic!("{rule} allows it"),
                Verdict::Denied { nearest, .. } => nearest.map(|rule| rule.to_string()),
            }
        };
        let first = Some("url_prefixes[0]".to_owned());
        assert_eq!(nearest("GET", "/v1/messages"), first);
        assert_eq!(nearest("POST", "/elsewhere"), first);
        assert_eq!(nearest("POST", "/a/../b"), None);
    }

    #[test]
    fn a_wildcard_host_lets_later_entries_add_methods() {
        let entry = |host: &str, methods: &[&str]| UrlPrefix {
            host: host.to_owned(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            ..UrlPrefix::default()
        };
        let allowlist = Allowlist {
            domains: Vec::new(),
            url_prefixes: vec![entry("*", &["GET", "HEAD"]), entry("api.test", &["POST"])],
        };
        let allowed = |method, host| {
            let path_and_query = "/any";
            let asked = Asked {
                host,
                path_and_query,
                method,
            };
            matches!(judge(&allowlist, asked), Verdict::Allowed(_))
        };
        assert!(allowed("GET", "whatever.test") && allowed("POST", "api.test"));
        assert!(!allowed("POST", "whatever.test") && !allowed("PUT", "api.test"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_judged(
            patterns in proptest::collection::vec(".{0,40}", 3),
            host in ".{0,60}",
            path in "(\\PC|%[0-9a-f]{2}|\\.\\.|/){0,60}",
            method in ".{0,8}",
        ) {
            let [domain, host_pattern, path_pattern] = <[String; 3]>::try_from(patterns).unwrap();
            let entry = UrlPrefix { host: host_pattern, path: path_pattern, ..UrlPrefix::default() };
            let allowlist = Allowlist { domains: vec![domain], url_prefixes: vec![entry] };
            let asked = Asked { host: &host, path_and_query: &path, method: &method };
            let verdict = judge(&allowlist, asked);
            if decoded(&path).contains("/../") {
                proptest::prop_assert!(!matches!(verdict, Verdict::Allowed(_)));
            }
        }
    }
}
