//! What the proxy refuses, and that it says so in the log and not upstream.

use airut::events::event::ProxyEvent;
use airut::events::proxy::BlockCause;
use http_body_util::BodyExt as _;
use tokio::net::TcpStream;

use crate::client::{say, status};
use crate::origin::PRIVATE;
use crate::world::{REAL, SURROGATE, World};

fn get(host: &str, further: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{further}\r\n")
}

/// Asserts that a request is blocked for a cause and that nothing of it reached the origin.
#[track_caller]
fn assert_blocked(
    world: &World,
    answer: &str,
    expected: u16,
    cause: &BlockCause,
    seen: &BlockCause,
) {
    assert_eq!(status(answer), expected, "{answer}");
    assert_eq!(seen, cause);
    let reached = |line: &String| !line.starts_with("durable");
    assert_eq!(
        world.journal.lines().iter().find(|line| reached(line)),
        None
    );
}

pub(crate) async fn blocked(world: &World) -> BlockCause {
    let cause = |event: &ProxyEvent| match event {
        ProxyEvent::RequestBlocked(blocked) => Some(blocked.cause.clone()),
        _ => None,
    };
    world.event(cause).await
}

pub(crate) async fn refusal(world: &World) -> String {
    let reason = |event: &ProxyEvent| match event {
        ProxyEvent::ConnectionRefused(refused) => Some(refused.reason.clone()),
        _ => None,
    };
    world.event(reason).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_name_with_a_private_address_is_refused() {
    let world = World::start().await;
    let answer = world
        .client
        .say("private.test", &get("private.test", ""))
        .await;
    assert_eq!(status(&answer), 403, "{answer}");
    assert!(answer.contains(&PRIVATE.to_string()), "{answer}");
    assert_eq!(blocked(&world).await, BlockCause::Address);
    assert!(!world.journal.lines().contains(&"connected".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_other_than_the_server_name_is_refused() {
    let world = World::start().await;
    let answer = world.client.say("two.test", &get("one.test", "")).await;
    let cause = blocked(&world).await;
    assert_blocked(&world, &answer, 403, &BlockCause::HostMismatch, &cause);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_names_another_host_or_scheme_is_refused() {
    for target in [
        "http://evil.test/",
        "https://one.test/",
        "http://one.test:8081/",
    ] {
        let world = World::start().await;
        let request = get("one.test", "").replacen('/', target, 1);
        let answer = world.client.say_plain(&request).await;
        let cause = blocked(&world).await;
        assert_blocked(&world, &answer, 403, &BlockCause::HostMismatch, &cause);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_server_name_is_refused() {
    let world = World::start().await;
    assert!(world.client.tls("two.test", "h2", false).await.is_err());
    assert_eq!(refusal(&world).await, "no server name");
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_in_the_clear_is_refused() {
    let world = World::start().await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let answer = world.client.say_plain(preface).await;
    let cause = blocked(&world).await;
    assert_blocked(&world, &answer, 400, &BlockCause::Malformed, &cause);
    let upgrade = get("two.test", "upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n");
    let answer = world.client.say_plain(&upgrade).await;
    let cause = blocked(&world).await;
    assert_blocked(&world, &answer, 400, &BlockCause::Malformed, &cause);
    // Nor inside TLS, when it was not agreed on.
    let stream = world.client.tls("two.test", "http/1.1", true).await;
    assert!(!say(stream.unwrap(), preface).await.contains(" 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_never_goes_out_in_the_clear() {
    let world = World::start().await;
    let key = format!("x-api-key: {SURROGATE}\r\n");
    let answer = world.client.say_plain(&get("two.test", &key)).await;
    let cause = blocked(&world).await;
    assert_blocked(&world, &answer, 403, &BlockCause::Credential, &cause);
    assert!(answer.contains("https://two.test/"), "{answer}");

    let answer = world.client.say("two.test", &get("two.test", &key)).await;
    assert_eq!(status(&answer), 200);
    let foreign = get("two.test", "x-api-key: sk-ant-other\r\n");
    assert_eq!(status(&world.client.say_plain(&foreign).await), 200);
    let [swapped, stripped] = &world.origin.seen()[..] else {
        panic!("{:?}", world.origin.seen())
    };
    assert_eq!(swapped.headers["x-api-key"], REAL);
    assert!(!stripped.headers.contains_key("x-api-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_its_own_echo_is_refused() {
    for method in ["TRACE", "TRACK"] {
        let world = World::start().await;
        let request = get("two.test", &format!("x-api-key: {SURROGATE}\r\n"));
        let request = request.replacen("GET", method, 1);
        let answer = world.client.say("two.test", &request).await;
        let cause = blocked(&world).await;
        assert_blocked(&world, &answer, 403, &BlockCause::Method, &cause);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_handed_back_without_hints_at_other_ways() {
    let world = World::start().await;
    let request = get("two.test", "").replacen('/', "/redirect", 1);
    let answer = world.client.say("two.test", &request).await;
    assert_eq!(status(&answer), 302);
    assert!(
        answer.contains("location: https://two.test/next"),
        "{answer}"
    );
    assert!(!answer.contains("alt-svc"), "{answer}");
    assert_eq!(world.origin.seen().len(), 1, "nobody follows it");
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_are_refused_over_http2_too() {
    let world = World::start().await;
    let request = http::Request::connect("https://two.test/");
    let body = http_body_util::Empty::new().boxed_unsync();
    let response = world.client.ask_two(request.body(body).unwrap()).await;
    assert_eq!(response.status(), 403);
    assert_eq!(blocked(&world).await, BlockCause::Connect);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_listens_on_the_sandboxs_side_alone() {
    let world = World::start().await;
    let ports = world.setup.ports;
    for port in [ports.http, ports.https, ports.dns] {
        let elsewhere = TcpStream::connect(("127.0.0.3", port)).await;
        assert!(elsewhere.is_err(), "{port} is open on every address");
        let inside = TcpStream::connect((world.setup.address, port)).await;
        assert!(inside.is_ok(), "{port}");
    }
}
