//! Requests signed for AWS, on the wire.

use airut::events::event::ProxyEvent;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;

use crate::client::status;
use crate::world::{AWS_KEY_ID, AWS_SURROGATE_ID, World};

const SCOPE: &str = "20260101/eu-north-1/s3/aws4_request";

fn authorization(signed_headers: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={AWS_SURROGATE_ID}/{SCOPE}, \
         SignedHeaders={signed_headers}, Signature=00"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_body_arrives_with_a_signature_of_the_real_key() {
    let world = World::start().await;
    let request = Request::post("https://two.test/bucket/key")
        .header("authorization", authorization("host;x-amz-date"))
        .header("x-amz-date", "20260101T000000Z");
    let body = Full::new(Bytes::from_static(b"the body")).boxed_unsync();
    let response = world.client.ask_two(request.body(body).unwrap()).await;
    assert_eq!(response.status(), 200);
    let seen = &world.origin.seen()[0];
    let sent = seen.headers["authorization"].to_str().unwrap();
    assert!(sent.contains(&format!("Credential={AWS_KEY_ID}/{SCOPE}")));
    assert!(!sent.ends_with("Signature=00"));
    assert_eq!(seen.body, "the body");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_arrive_signed_anew_and_whole() {
    let world = World::start().await;
    let none = "0".repeat(64);
    let body = format!("5;chunk-signature={none}\r\nhello\r\n0;chunk-signature={none}\r\n\r\n");
    let hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    for (host, length) in [("one.test", body.len()), ("two.test", body.len())] {
        let put = format!(
            "PUT /bucket/key HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             authorization: {}\r\nx-amz-date: 20260101T000000Z\r\n\
             x-amz-content-sha256: {hash}\r\ncontent-length: {length}\r\n\r\n{body}",
            authorization("host;x-amz-content-sha256;x-amz-date")
        );
        let answer = world.client.say(host, &put).await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    for seen in world.origin.seen() {
        let text = std::str::from_utf8(&seen.body).unwrap();
        assert_eq!(text.len(), body.len());
        assert!(
            text.contains("\r\nhello\r\n") && !text.contains(&none),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_chunk_does_not_arrive() {
    let world = World::start().await;
    let frames = [Ok(Frame::data(Bytes::from_static(b"5\r\nhello\r\n")))];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let request = Request::put("https://two.test/bucket/key")
        .header("authorization", authorization("host;x-amz-date"))
        .header("x-amz-date", "20260101T000000Z")
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let response = world.client.ask_two(request.body(body).unwrap()).await;
    assert_eq!(response.status(), 502);
    let mut seen = world.origin.seen().into_iter();
    assert!(seen.all(|seen| seen.body == "broken off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_signed_and_what_goes_in_the_clear_is_refused() {
    let world = World::start().await;
    let get = |signed_headers| {
        format!(
            "GET /bucket/key HTTP/1.1\r\nhost: one.test\r\nconnection: close\r\n\
             x-amz-date: 20260101T000000Z\r\nauthorization: {}\r\n\r\n",
            authorization(signed_headers)
        )
    };
    let answer = world.client.say("one.test", &get("x-amz-date")).await;
    assert_eq!(status(&answer), 403);
    assert!(answer.contains("the host is not signed"), "{answer}");
    let answer = world.client.say_plain(&get("host;x-amz-date")).await;
    assert_eq!(status(&answer), 403);
    assert!(answer.contains("in the clear"), "{answer}");
    assert!(world.origin.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_signature_is_explained_without_secrets_and_a_clock_that_is_off_is_noted() {
    let world = World::start().await;
    let request = Request::post("https://two.test/refuses-signatures")
        .header("authorization", authorization("host;x-amz-date"))
        .header("x-amz-date", "20260101T000000Z");
    let body = Full::new(Bytes::from_static(b"the body")).boxed_unsync();
    let response = world.client.ask_two(request.body(body).unwrap()).await;
    assert_eq!(response.status(), 403);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, crate::answers::SIGNATURE_REFUSED);
    let refused = world.event(|event| match event {
        ProxyEvent::SignatureRefused(refused) => Some(refused.clone()),
        _ => None,
    });
    let refused = refused.await;
    assert_eq!(
        (refused.status, refused.code.as_deref(), &*refused.scope),
        (403, Some("SignatureDoesNotMatch"), SCOPE)
    );
    assert_eq!(refused.signed_headers, "host;x-amz-date");
    let told = format!("{refused:?}");
    for secret in [
        AWS_KEY_ID,
        AWS_SURROGATE_ID,
        "a-real-signing-secret",
        "the body",
    ] {
        assert!(!told.contains(secret), "{secret}");
    }
    let noted = world.event(|event| match event {
        ProxyEvent::RequestInspected(inspected) => Some(inspected.tags.clone()),
        _ => None,
    });
    let noted = noted.await;
    assert!(noted[0].starts_with("aws-clock-skew: signed "), "{noted:?}");
    assert_eq!(refused.skew.as_ref(), noted.first());
}
