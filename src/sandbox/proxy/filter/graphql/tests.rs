//! Requests as clients send them, and as those send them who want past the filter.

use http::{HeaderMap, HeaderValue};
use serde_json::json;

use super::*;
use crate::sandbox::proxy::limits::GRAPHQL_TOKENS_MAX;
use crate::sandbox::proxy::policy::Asked;

fn operations() -> Operations {
    let list = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect();
    Operations {
        queries: list(&["viewer", "repo*", "[xy]z"]),
        mutations: list(&["createPullRequest"]),
        subscriptions: Vec::new(),
    }
}

fn run_with(method: &str, path_and_query: &str, headers: &HeaderMap, body: &[u8]) -> Finding {
    let asked = Asked {
        host: "api.test",
        path_and_query,
        method,
    };
    check(&operations(), Head { asked, headers }, body)
}

fn told(finding: &Finding) -> Result<&str, &str> {
    match finding {
        Finding::Pass { tag } => Ok(tag.as_deref().unwrap_or_default()),
        Finding::Block(blocked) => {
            assert_eq!(blocked.error, "graphql_operation_blocked");
            Err(&blocked.detail)
        }
        Finding::Rewrite { .. } => panic!("nothing is rewritten here"),
    }
}

#[track_caller]
fn check_body(body: &str, expected: Result<&str, &str>) {
    let finding = run_with("POST", "/graphql", &HeaderMap::new(), body.as_bytes());
    assert_eq!(told(&finding), expected, "{body}");
}

#[track_caller]
fn check_query(query: &str, expected: Result<&str, &str>) {
    check_body(&json!({ "query": query }).to_string(), expected);
}

#[test]
fn every_top_level_field_must_be_allowed() {
    check_query("{ viewer { login } }", Ok("query/viewer"));
    check_query(
        "query Q { viewer { id } repository(owner: \"a\") { id } }",
        Ok("query/viewer"),
    );
    check_query("{ viewer { id } secrets { id } }", Err("secrets"));
    check_query("{ Viewer { id } }", Err("Viewer"));
    check_query("{ xz }", Ok("query/xz"));
    check_query(
        "mutation { createPullRequest(input: {}) { id } }",
        Ok("mutation/createPullRequest"),
    );
    check_query("mutation { deleteRef(input: {}) { id } }", Err("deleteRef"));
    check_query("subscription { viewer }", Err("subscription:<blocked>"));
    check_query("{ __schema { types { name } } }", Err("__schema"));
}

#[test]
fn an_alias_hides_nothing() {
    check_query("{ viewer: secrets { id } }", Err("secrets"));
    check_query("{ x: viewer { id } }", Ok("query/viewer"));
    check_query(
        "mutation { createPullRequest: deleteRef { id } }",
        Err("deleteRef"),
    );
}

#[test]
fn fragments_hide_nothing() {
    check_query("{ ... on Query { viewer { id } } }", Ok("query/viewer"));
    check_query(
        "{ ... { ... @include(if: true) { ... { secrets } } } }",
        Err("secrets"),
    );
    check_query(
        "{ viewer ...F } fragment F on Query { secrets }",
        Err("<fragment-spread>"),
    );
    check_query(
        "{ ... { ...F } } fragment F on Query { viewer }",
        Err("<fragment-spread>"),
    );
    check_query(
        "{ viewer { ...F } } fragment F on User { login }",
        Ok("query/viewer"),
    );
}

#[test]
fn the_operation_that_is_executed_is_the_one_that_is_judged() {
    let two = "query A { viewer { id } } mutation B { deleteRef { id } }";
    let named =
        |name: serde_json::Value| json!({ "query": two, "operationName": name }).to_string();
    check_body(&named(json!("A")), Ok("query/viewer"));
    check_body(&named(json!("B")), Err("deleteRef"));
    for name in [json!(""), json!("C"), json!(null)] {
        check_body(&named(name), Err("<operation-name-invalid>"));
    }
    check_body(&named(json!(["A"])), Err("<unparseable>"));
    check_query(two, Err("<operation-name-invalid>"));
    check_body(
        &json!({ "query": "query A { viewer } query A { secrets }", "operationName": "A" })
            .to_string(),
        Err("<operation-name-invalid>"),
    );
}

#[test]
fn what_is_no_single_document_is_refused() {
    check_body(r#"[{"query":"{ viewer }"}]"#, Err("<batched>"));
    check_body(r#"  []"#, Err("<batched>"));
    for body in [
        "",
        "{}",
        "null",
        "\"{ viewer }\"",
        r#"{"query":null}"#,
        r#"{"query":["{ viewer }"]}"#,
        r#"{"query":""}"#,
        r#"{"query":"{"}"#,
        r#"{"query":"{}"}"#,
        r#"{"query":"fragment F on Query { viewer }"}"#,
        r#"{"query":"type A { a: Int } query { viewer }"}"#,
        r#"{"query":"{ viewer }"} "#.trim_end().trim_end_matches('}'),
        r#"{"query":"{ viewer }"}{"#,
        "\u{feff}{\"query\":\"{ viewer }\"}",
    ] {
        check_body(body, Err("<unparseable>"));
    }
}

#[test]
fn a_key_that_is_told_twice_is_refused() {
    for body in [
        r#"{"query":"{ viewer }","query":"{ secrets }"}"#,
        r#"{"query":"{ viewer }","\u0071uery":"{ secrets }"}"#,
        r#"{"query":"{ viewer }","Query":"{ secrets }"}"#,
        r#"{"query":"{ viewer }","x":1,"x":2}"#,
    ] {
        check_body(body, Err("<unparseable>"));
    }
    check_body(
        r#"{"query":"{ viewer }","variables":{"query":"x"}}"#,
        Ok("query/viewer"),
    );
}

#[test]
fn stored_documents_are_refused() {
    let persisted = json!({ "extensions": { "persistedQuery": { "sha256Hash": "0" } } });
    check_body(&persisted.to_string(), Err("<persisted>"));
    for key in ["id", "documentId", "doc_id", "queryId", "hash"] {
        let body = json!({ "query": "{ viewer }", (key): "1" });
        check_body(&body.to_string(), Err("<persisted>"));
    }
    let traced = json!({ "query": "{ viewer }", "extensions": { "trace": 1 } });
    check_body(&traced.to_string(), Ok("query/viewer"));
}

#[test]
fn only_a_posted_body_counts() {
    let (body, headers) = (br#"{"query":"{ viewer }"}"#, HeaderMap::new());
    let run = |method: &str, path: &str| {
        told(&run_with(method, path, &headers, body))
            .map(str::to_owned)
            .map_err(str::to_owned)
    };
    assert!(run("post", "/graphql?trace=1").is_ok());
    for method in ["GET", "PUT", "PATCH", "DELETE", "HEAD"] {
        assert_eq!(
            run(method, "/graphql"),
            Err("<unparseable>".to_owned()),
            "{method}"
        );
    }
    for query in [
        "query=%7Bsecrets%7D",
        "a=1&%71uery=x",
        "operationName=A",
        "Variables=1",
    ] {
        let path = format!("/graphql?{query}");
        assert_eq!(run("POST", &path), Err("<url-query>".to_owned()), "{query}");
    }
}

#[test]
fn a_body_that_servers_could_read_otherwise_is_refused() {
    let run = |name: &'static str, value: &'static str, body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        let finding = run_with("POST", "/graphql", &headers, body.as_bytes());
        told(&finding).map(str::to_owned).map_err(str::to_owned)
    };
    let body = r#"{"query":"{ viewer }"}"#;
    for media in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/vnd.api+json",
        "application/x-www-form-urlencoded",
    ] {
        assert!(run("content-type", media, body).is_ok(), "{media}");
    }
    for media in [
        "application/graphql",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-7",
    ] {
        let refused = Err("<content-type>".to_owned());
        assert_eq!(run("content-type", media, body), refused, "{media}");
    }
    let form = r#"{"query":"{ viewer }","x":"&query=mutation{deleteRef}"}"#;
    let refused = Err("<content-type>".to_owned());
    assert_eq!(
        run("content-type", "application/x-www-form-urlencoded", form),
        refused
    );
    let refused = Err("<encoded>".to_owned());
    assert_eq!(run("content-encoding", "gzip", body), refused);
    assert!(run("content-encoding", "identity", body).is_ok());
}

#[test]
fn length_and_depth_are_bounded() {
    let body = |length: usize| {
        let around = r#"{"query":"{ viewer }","pad":""}"#.len();
        format!(
            r#"{{"query":"{{ viewer }}","pad":"{}"}}"#,
            "a".repeat(length - around)
        )
    };
    check_body(&body(GRAPHQL_BODY_BYTES_MAX - 1), Ok("query/viewer"));
    check_body(&body(GRAPHQL_BODY_BYTES_MAX), Ok("query/viewer"));
    check_body(&body(GRAPHQL_BODY_BYTES_MAX + 1), Err("<too-large>"));
    let nested = |depth: usize| {
        format!(
            "{{ viewer {} {}",
            "{ a".repeat(depth),
            "}".repeat(depth + 1)
        )
    };
    check_query(&nested(100), Ok("query/viewer"));
    check_query(&nested(10_000), Err("<unparseable>"));
    check_query(
        &format!("{{ {} }}", "viewer ".repeat(GRAPHQL_TOKENS_MAX)),
        Err("<unparseable>"),
    );
}

#[test]
fn the_answer_names_the_operation() {
    let finding = run_with(
        "POST",
        "/",
        &HeaderMap::new(),
        br#"{"query":"mutation { deleteRef }"}"#,
    );
    let Finding::Block(blocked) = finding else {
        panic!("not blocked");
    };
    assert_eq!(blocked.tag.as_deref(), Some("mutation/deleteRef"));
    let expected = json!({
        "error": "graphql_operation_blocked",
        "detail": "deleteRef",
        "message": "The GraphQL operation 'deleteRef' is not among those that the network \
                    allowlist names. To allow it, add it to the graphql block of the entry in \
                    .airut/network-allowlist.yaml and open a pull request; it takes effect once \
                    that is merged into the default branch.",
    });
    assert_eq!(blocked.body(), expected);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_judged(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _any = run_with("POST", "/graphql", &HeaderMap::new(), &body);
    }

    #[test]
    fn any_document_is_judged(query in "[{}()!:$@.a-c\"# \\\\]{0,60}") {
        let body = json!({ "query": query }).to_string();
        let finding = run_with("POST", "/graphql", &HeaderMap::new(), body.as_bytes());
        proptest::prop_assert!(told(&finding).is_err());
    }
}
