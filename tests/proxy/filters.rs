//! Bodies are read before a request may leave, and what leaves is what was read.

use airut::events::event::ProxyEvent;
use airut::sandbox::proxy::limits::{GRAPHQL_BODY_BYTES_MAX, TOOLS_BODY_BYTES_MAX};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{read_until, status};
use crate::world::{REAL, SURROGATE, World};

fn graphql(body: &str) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nhost: graph.test\r\nx-api-key: {SURROGATE}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn inspected(event: &ProxyEvent) -> Option<Vec<String>> {
    match event {
        ProxyEvent::RequestInspected(inspected) => Some(inspected.tags.clone()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_leaves_once_it_was_judged_and_recorded() {
    let world = World::start().await;
    let body = r#"{"query":"{ viewer { login } }"}"#;
    let answer = world.client.say("graph.test", &graphql(body)).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let seen = world.origin.seen().remove(0);
    assert_eq!(seen.body, body);
    assert_eq!(seen.headers["x-api-key"], REAL);
    assert_eq!(world.event(inspected).await, ["graphql-op: query/viewer"]);
    let lines = world.journal.lines();
    assert_eq!(
        lines[..2],
        ["durable RequestInspected", "durable RequestAllowed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_not_named_never_leaves() {
    let world = World::start().await;
    for (body, detail) in [
        (
            r#"{"query":"mutation { deleteAll }"}"#,
            "mutation:<blocked>",
        ),
        (r#"[{"query":"{ viewer }"}]"#, "<batched>"),
        (r#"{"query":"{ viewer: secrets }"}"#, "secrets"),
    ] {
        let answer = world.client.say("graph.test", &graphql(body)).await;
        assert_eq!(status(&answer), 403, "{answer}");
        let (_, json) = answer.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["error"], "graphql_operation_blocked");
        assert_eq!(json["detail"], detail);
    }
    let tags = world.event(inspected).await;
    assert_eq!(tags, ["graphql-op: mutation/deleteAll"]);
    let lines = world.journal.lines();
    assert!(
        lines.iter().all(|line| line.starts_with("durable ")),
        "{lines:?}"
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| *line == "durable RequestBlocked")
            .count(),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_tools_are_trimmed_on_the_way() {
    let world = World::start().await;
    let body = r#"{"tools":[{"type":"web_fetch_1","allowed_domains":["one.test","evil.test"]}]}"#;
    let expected = r#"{"tools":[{"type":"web_fetch_1","allowed_domains":["one.test"]}]}"#;
    let request = Request::post("https://api.anthropic.com/v1/%6dessages?beta=true")
        .header("content-digest", "sha-256=:AA==:")
        .body(Full::new(Bytes::from(body)).boxed_unsync())
        .unwrap();
    let answer = world.client.ask_two(request).await;
    assert_eq!(answer.status(), 200);
    let seen = world.origin.seen().remove(0);
    assert_eq!(seen.body, expected);
    assert_eq!(seen.headers["content-length"], expected.len().to_string());
    assert!(!seen.headers.contains_key("content-digest"));
    let tags = world.event(inspected).await;
    let tag = "tool-domains: web_fetch_1: dropped 1 of 2 domains: evil.test";
    assert_eq!(tags, [tag]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_to_be_told_to_go_on_is_told() {
    let world = World::start().await;
    let mut stream = world
        .client
        .tls("graph.test", "http/1.1", true)
        .await
        .unwrap();
    let head = "POST /graphql HTTP/1.1\r\nhost: graph.test\r\nexpect: 100-continue\r\n\
                transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let told = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(status(&told), 100, "{told}");
    let chunk = "14\r\n{\"query\":\"{viewer}\"}\r\n0\r\n\r\n";
    stream.write_all(chunk.as_bytes()).await.unwrap();
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer).await);
    assert_eq!(status(&answer), 200, "{answer}");
    let seen = world.origin.seen().remove(0);
    assert_eq!(seen.body, r#"{"query":"{viewer}"}"#);
    assert_eq!(seen.headers["content-length"], "20");
    assert!(!seen.headers.contains_key("transfer-encoding"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_refused_without_being_read() {
    let world = World::start().await;
    for (host, path, length, error) in [
        (
            "graph.test",
            "/graphql",
            GRAPHQL_BODY_BYTES_MAX,
            "graphql_operation_blocked",
        ),
        (
            "api.anthropic.com",
            "/v1/messages",
            TOOLS_BODY_BYTES_MAX,
            "tool_config_too_large",
        ),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\nconnection: \
             close\r\n\r\n",
            length + 1
        );
        let answer = world.client.say(host, &head).await;
        assert_eq!(status(&answer), 403, "{answer}");
        assert!(answer.contains(error), "{answer}");
    }
    let chunked = format!(
        "POST /graphql HTTP/1.1\r\nhost: graph.test\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        GRAPHQL_BODY_BYTES_MAX + 1,
        "a".repeat(GRAPHQL_BODY_BYTES_MAX + 1)
    );
    let answer = world.client.say("graph.test", &chunked).await;
    assert!(answer.contains("<too-large>"), "{answer}");
    assert!(world.origin.seen().is_empty());
}
