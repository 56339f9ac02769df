//! Bodies as agents send them, and as those send them who want past the filter.

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::sandbox::proxy::policy::Asked;

fn run_with(headers: &HeaderMap, body: &[u8]) -> Finding {
    let asked = Asked {
        host: "api.anthropic.com",
        path_and_query: "/v1/messages",
        method: "POST",
    };
    let opens = |host: &str| matches!(host, "open.test" | "b.open.test");
    check(&opens, Head { asked, headers }, body)
}

fn run(body: &str) -> Finding {
    run_with(&HeaderMap::new(), body.as_bytes())
}

#[track_caller]
fn rewrites(body: &str, expected: &str, expected_tag: &str) {
    let Finding::Rewrite {
        body: rewritten,
        tag,
    } = run(body)
    else {
        panic!("{body} is not rewritten: {:?}", run(body));
    };
    assert_eq!(String::from_utf8(rewritten).unwrap(), expected);
    assert_eq!(tag, expected_tag);
    assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
}

#[track_caller]
fn passes(body: &str) {
    assert_eq!(run(body), Finding::Pass { tag: None }, "{body}");
}

#[track_caller]
fn blocks(body: &str, error: &str) {
    match run(body) {
        Finding::Block(blocked) => assert_eq!(blocked.error, error, "{body}"),
        other => panic!("{body} is not blocked: {other:?}"),
    }
}

#[test]
fn hosts_are_trimmed_and_everything_else_stays_byte_for_byte() {
    rewrites(
        r#"{ "n" : 12345678901234567890.10 , "tools":[{"type":"web_fetch_20250910", "allowed_domains": ["open.test","evil.test"] }], "m":"\ud83d" }"#
            .replace("\"m\":\"\\ud83d\"", "\"m\":\"ü\"")
            .as_str(),
        r#"{ "n" : 12345678901234567890.10 , "tools":[{"type":"web_fetch_20250910", "allowed_domains": ["open.test"] }], "m":"ü" }"#,
        "web_fetch_20250910: dropped 1 of 2 domains: evil.test",
    );
    passes(r#"{"tools":[{"type":"web_fetch_1","allowed_domains":["open.test"]}]}"#);
    passes(r#"{"tools":[{"type":"custom","name":"x"},{"name":"Bash"}],"messages":[]}"#);
    passes(r#"{"m":"\ud83d half a pair"}"#);
}

#[test]
fn a_tool_that_tells_no_hosts_is_told_there_are_none() {
    for kind in [
        "web_fetch_1",
        "computer_1",
        "bash_1",
        "code_execution_1",
        "Web_Fetch_1",
    ] {
        rewrites(
            &format!(r#"{{"tools":[{{"type":"{kind}"}}]}}"#),
            &format!(r#"{{"tools":[{{"allowed_domains":[],"type":"{kind}"}}]}}"#),
            &format!("{kind}: forced allowed_domains: []"),
        );
    }
    rewrites(
        r#"{"tools":[{"type":"web_fetch_1","allowed_domains":"evil.test"}]}"#,
        r#"{"tools":[{"type":"web_fetch_1","allowed_domains":[]}]}"#,
        "web_fetch_1: forced allowed_domains: []",
    );
}

#[test]
fn web_search_loses_the_key_instead() {
    passes(r#"{"tools":[{"type":"web_search_1"}]}"#);
    rewrites(
        r#"{"tools":[{"type":"web_search_1","allowed_domains":["evil.test"],"name":"s"}]}"#,
        r#"{"tools":[{"type":"web_search_1","name":"s"}]}"#,
        "web_search_1: cleared allowed_domains (1 outside allowlist: evil.test)",
    );
    rewrites(
        r#"{"tools":[{"type":"web_search_1","allowed_domains":[]}]}"#,
        r#"{"tools":[{"type":"web_search_1"}]}"#,
        "web_search_1: removed empty allowed_domains",
    );
    rewrites(
        r#"{"tools":[{"allowed_domains":[],"type":"web_search_1"}]}"#,
        r#"{"tools":[{"type":"web_search_1"}]}"#,
        "web_search_1: removed empty allowed_domains",
    );
}

#[test]
fn tools_are_found_wherever_they_are() {
    rewrites(
        r#"{"requests":[{"params":{"tools":[{"type":"web_fetch_1"}]}}]}"#,
        r#"{"requests":[{"params":{"tools":[{"allowed_domains":[],"type":"web_fetch_1"}]}}]}"#,
        "web_fetch_1: forced allowed_domains: []",
    );
    rewrites(
        r#"{"\u0074ools":[{"type":"x","tools":[{"\u0074ype":"web_fetch_1"}]},{"type":"bash_1"}]}"#,
        r#"{"\u0074ools":[{"type":"x","tools":[{"allowed_domains":[],"\u0074ype":"web_fetch_1"}]},{"allowed_domains":[],"type":"bash_1"}]}"#,
        "web_fetch_1: forced allowed_domains: []; bash_1: forced allowed_domains: []",
    );
    rewrites(
        r#"{"Tools":[{"Type":"web_fetch_1"}]}"#,
        r#"{"Tools":[{"allowed_domains":[],"Type":"web_fetch_1"}]}"#,
        "web_fetch_1: forced allowed_domains: []",
    );
}

#[test]
fn what_cannot_be_trimmed_is_refused() {
    let tool = |rest: &str| format!(r#"{{"tools":[{{"type":"web_fetch_1",{rest}}}]}}"#);
    for blocked in [r#"["a.test"]"#, r#""a.test""#, "null", "{}"] {
        let body = tool(&format!(r#""blocked_domains":{blocked}"#));
        blocks(&body, "blocklist_tool_config_unsupported");
    }
    for host in ["*", "*.test", "a?", "a b", ".test", "", "\\t"] {
        let body = tool(&format!(r#""allowed_domains":["open.test","{host}"]"#));
        blocks(&body, "wildcard_tool_domain_unsupported");
    }
    blocks(
        &tool(r#""allowed_domains":[1]"#),
        "wildcard_tool_domain_unsupported",
    );
    rewrites(
        &tool(r#""blocked_domains":[],"allowed_domains":["open.test/x","evil.test/.open.test"]"#),
        &tool(r#""blocked_domains":[],"allowed_domains":[]"#),
        "web_fetch_1: dropped 2 of 2 domains: open.test/x,evil.test/.open.test",
    );
}

#[test]
fn what_servers_read_differently_is_refused() {
    for body in [
        r#"{"tools":[],"tools":[{"type":"web_fetch_1"}]}"#,
        r#"{"tools":[{"type":"x","type":"web_fetch_1"}]}"#,
        r#"{"tools":[{"type":"x","Type":"web_fetch_1"}]}"#,
        r#"{"tools":[{"type":"web_fetch_1","allowed_domains":[],"allowed_domains":["evil.test"]}]}"#,
        "{",
        r#"{"a":1}{"#,
        "\u{feff}{}",
        "{'tools':[]}",
        r#"{"a":NaN}"#,
    ] {
        blocks(body, "tool_config_invalid");
    }
    let utf16: Vec<u8> = r#"{"tools":[]}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(matches!(
        run_with(&HeaderMap::new(), &[0xff]),
        Finding::Block(_)
    ));
    assert!(matches!(
        run_with(&HeaderMap::new(), &utf16),
        Finding::Block(_)
    ));
    for (name, value) in [
        ("content-encoding", "gzip"),
        ("content-encoding", "identity, br"),
        ("content-type", "application/json; charset=utf-16"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        assert!(
            matches!(run_with(&headers, b"{}"), Finding::Block(_)),
            "{value}"
        );
    }
}

#[test]
fn depth_is_bounded() {
    use crate::sandbox::proxy::limits::FILTERED_DEPTH_MAX;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    passes(&nested(FILTERED_DEPTH_MAX));
    passes(&nested(FILTERED_DEPTH_MAX + 1));
    blocks(&nested(FILTERED_DEPTH_MAX + 2), "tool_config_invalid");
    blocks(&"[".repeat(1_000_000), "tool_config_invalid");
}

#[test]
fn length_is_bounded() {
    let body = |length: usize| format!("\"{}\"", "a".repeat(length - 2));
    passes(&body(TOOLS_BODY_BYTES_MAX - 1));
    passes(&body(TOOLS_BODY_BYTES_MAX));
    blocks(&body(TOOLS_BODY_BYTES_MAX + 1), "tool_config_too_large");
    passes("");
}

#[test]
fn requests_to_the_messages_api_are_known_by_their_decoded_path() {
    for path in [
        "/v1/messages",
        "/v1/messages?beta=true",
        "/v1/messages/batches",
        "//v1/./messages/",
        "/v1/messages;x=1",
        "/V1/Messages",
    ] {
        assert!(concerns("api.anthropic.com", path), "{path}");
        assert!(concerns("API.anthropic.com", path), "{path}");
        assert!(!concerns("other.test", path), "{path}");
    }
    for path in ["/v1/messages_legacy", "/v1/files", "/", "/api/v1/messages"] {
        assert!(!concerns("api.anthropic.com", path), "{path}");
    }
}

#[test]
fn the_log_names_a_few_hosts_and_counts_the_rest() {
    let hosts: Vec<String> = (0..12).map(|number| format!("h{number}.test")).collect();
    let body = serde_json::json!({"tools": [{"type": "web_fetch_1", "allowed_domains": hosts}]});
    let Finding::Rewrite { tag, .. } = run(&body.to_string()) else {
        panic!("not rewritten");
    };
    assert!(
        tag.starts_with("web_fetch_1: dropped 12 of 12 domains: h0.test,"),
        "{tag}"
    );
    assert!(tag.ends_with("h9.test,+2 more"), "{tag}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_settled(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _any = run_with(&HeaderMap::new(), &body);
    }

    /// What is rewritten stays JSON, and needs no second rewriting.
    #[test]
    fn a_rewritten_body_passes(
        kinds in proptest::collection::vec("(web_fetch|web_search|bash|custom)_1", 0..4),
        hosts in proptest::collection::vec("(open|evil|b.open)\\.test", 0..4),
        spaces in " {0,2}",
    ) {
        let hosts = serde_json::json!(hosts);
        let tool = |kind: &String| format!("{{{spaces}\"allowed_domains\"{spaces}:{hosts}{spaces},{spaces}\"type\":\"{kind}\"{spaces}}}");
        let tools: Vec<String> = kinds.iter().map(tool).collect();
        let body = format!("{{\"tools\":[{}]}}", tools.join(","));
        if let Finding::Rewrite { body, .. } = run(&body) {
            proptest::prop_assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
            let again = run_with(&HeaderMap::new(), &body);
            proptest::prop_assert_eq!(again, Finding::Pass { tag: None });
        }
    }
}
