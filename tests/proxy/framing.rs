//! Requests that two servers could cut apart differently: refused, or sent on in one plain form.

use crate::client::status;
use crate::world::World;

/// Sends bytes in which another request hides, and asserts that upstream at most one arrives.
async fn check(bytes: &str, refused: bool) {
    let world = World::start().await;
    let answer = world.client.say_plain(bytes).await;
    let seen = world.origin.seen();
    if refused {
        assert!((400..500).contains(&status(&answer)), "{bytes:?}: {answer}");
        assert!(seen.is_empty(), "{bytes:?}: {seen:?}");
        return;
    }
    assert_eq!(seen.len(), 1, "{bytes:?}: {answer}");
    let framings = ["content-length", "transfer-encoding"];
    let named = framings
        .iter()
        .filter(|name| seen[0].headers.contains_key(**name));
    assert!(named.count() <= 1, "{bytes:?}: {:?}", seen[0].headers);
    assert_ne!(seen[0].path, "/hidden", "{bytes:?}");
}

fn post(framing: &str, rest: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: one.test\r\n{framing}\r\n\r\n{rest}")
}

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: one.test\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn two_framings_of_one_body_are_sent_on_as_one() {
    // RFC 9112, 6.3: the transfer coding counts, the length is removed, the connection ends.
    let body = format!("0\r\n\r\n{HIDDEN}");
    let length = body.len();
    for framing in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        format!("content-length: {length}\r\nTransfer-Encoding: \tCHUNKED"),
    ] {
        check(&post(&framing, &body), false).await;
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
        check(&post(framing, &format!("abcde{HIDDEN}")), true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codings_other_than_chunked_are_refused() {
    for framing in [
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
    ] {
        check(&post(framing, &format!("0\r\n\r\n{HIDDEN}")), true).await;
    }
    let old = post("transfer-encoding: chunked", "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0");
    check(&old, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_not_well_formed_are_refused() {
    for head in [
        "GET / HTTP/1.1\r\nhost: one.test\r\nx-folded: a\r\n\ttransfer-encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: one.test\r\ntransfer-encoding : chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: one.test\r\nx-a: b\rx-c: d\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: one.test\r\nhost: two.test\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: one.test\r\n\r\n",
        "GET http://evil.test/ HTTP/1.1\r\nhost: one.test\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
    ] {
        let head = head.replace(
            "host: two.test\r\n",
            "host: two.test\r\nconnection: close\r\n",
        );
        check(&head, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_newlines_are_sent_on_as_whole_ones() {
    let head = "GET / HTTP/1.1\nhost: one.test\nconnection: close\n\n";
    check(head, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_are_not_well_formed_end_the_request() {
    let world = World::start().await;
    for size in ["0x5", "-5", "5 5", "ffffffffffffffffff", ""] {
        let body = format!("{size}\r\nabcde\r\n0\r\n\r\n{HIDDEN}");
        let answer = world
            .client
            .say_plain(&post("transfer-encoding: chunked", &body))
            .await;
        assert_ne!(status(&answer), 200, "{size}: {answer}");
    }
    assert!(
        world
            .origin
            .seen()
            .iter()
            .all(|seen| seen.path != "/hidden")
    );
}
