//! Requests that two servers could cut apart differently: refused, never repaired.

use airut::events::event::ProxyEvent;
use airut::events::proxy::BlockCause;

use crate::client::status;
use crate::refused::{blocked, refusal};
use crate::world::World;

/// Sends bytes in which another request hides, and asserts that they are answered with 400, recorded,
/// and that nothing of them reached the origin, not even a question for its name.
async fn check(bytes: &str) {
    let world = World::start().await;
    let answer = world.client.say_plain(bytes).await;
    assert_eq!(status(&answer), 400, "{bytes:?}: {answer}");
    assert_eq!(blocked(&world).await, BlockCause::Malformed, "{bytes:?}");
    let journal = world.journal.lines();
    let reached = |line: &&String| !line.starts_with("durable");
    assert_eq!(journal.iter().find(reached), None, "{bytes:?}");
}

fn post(framing: &str, rest: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: one.test\r\n{framing}\r\n\r\n{rest}")
}

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: one.test\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn two_framings_of_one_body_are_refused() {
    let body = format!("0\r\n\r\n{HIDDEN}");
    let length = body.len();
    for framing in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        format!("content-length: {length}\r\nTransfer-Encoding: \tCHUNKED"),
    ] {
        check(&post(&framing, &body)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_disagree_are_refused() {
    for framing in [
        "content-length: 0\r\ncontent-length: 5",
        "content-length: 0, 5",
        "content-length: +5",
        "content-length: 5 5",
        "content-length: 99999999999999999999",
    ] {
        check(&post(framing, &format!("abcde{HIDDEN}"))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codings_other_than_chunked_are_refused() {
    for framing in [
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
    ] {
        check(&post(framing, &format!("0\r\n\r\n{HIDDEN}"))).await;
    }
    let old = post("transfer-encoding: chunked", "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0");
    check(&old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_not_well_formed_are_refused() {
    for head in [
        "GET / HTTP/1.1\r\nhost: one.test\r\nx-folded: a\r\n\ttransfer-encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: one.test\r\ntransfer-encoding : chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: one.test\r\nx-a: b\rx-c: d\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: one.test\r\nhost: two.test\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: one.test\r\n\r\n",
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
    ] {
        let head = head.replace(
            "host: two.test\r\n",
            "host: two.test\r\nconnection: close\r\n",
        );
        check(&head).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_newlines_are_refused() {
    for head in [
        "GET / HTTP/1.1\nhost: one.test\n\n",
        "GET / HTTP/1.1\r\nhost: one.test\n\r\n",
        "GET / HTTP/1.1\r\nhost: one.test\r\n\n",
    ] {
        check(&format!("{head}{HIDDEN}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_is_told_by_its_method_and_path_alone() {
    let world = World::start().await;
    let bad = "PUT /there?token=secret HTTP/1.1\r\nhost: two.test\r\nx : y\r\n\r\n";
    let answer = world.client.say("two.test", bad).await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
    let line = |event: &ProxyEvent| match event {
        ProxyEvent::RequestBlocked(blocked) => Some(blocked.line.clone()),
        _ => None,
    };
    let line = world.event(line).await;
    let told = (&line.method[..], &line.host[..], &line.path[..]);
    assert_eq!(told, ("PUT", "two.test", "/there"));
    assert!(line.query_sha256.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_a_good_request_is_judged_too() {
    let world = World::start().await;
    let good = "GET /good HTTP/1.1\r\nhost: one.test\r\n\r\n";
    let bad = post(
        "content-length: 1\r\ntransfer-encoding: chunked",
        "0\r\n\r\n",
    );
    let answer = world
        .client
        .say_plain(&format!("{good}{bad}{HIDDEN}"))
        .await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 400").count(), 1, "{answer}");
    let seen = world.origin.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].path, "/good");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_are_not_well_formed_end_the_request() {
    let world = World::start().await;
    for size in ["0x5", "-5", "5 5", "5 ", "ffffffffffffffffff", ""] {
        let body = format!("{size}\r\nabcde\r\n0\r\n\r\n{HIDDEN}");
        let answer = world
            .client
            .say_plain(&post("transfer-encoding: chunked", &body))
            .await;
        assert_ne!(status(&answer), 200, "{size}: {answer}");
        let reason = refusal(&world).await;
        assert!(reason.contains("a chunk's size is no number"), "{reason}");
    }
    assert!(
        world
            .origin
            .seen()
            .iter()
            .all(|seen| seen.path != "/hidden")
    );
}
