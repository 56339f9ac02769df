//! Heads that are served, and heads that are not.

use super::*;

fn judge(head: &str) -> Result<Head, Malformed> {
    let end = Progress::default().end(head.as_bytes())?;
    read(&head.as_bytes()[..end.expect("a whole head")])
}

fn with(fields: &str) -> Result<Head, Malformed> {
    judge(&format!(
        "POST / HTTP/1.1\r\nhost: a.test\r\n{fields}\r\n\r\n"
    ))
}

#[track_caller]
fn check_refused(head: &str, detail: &str) {
    let refused = judge(head).expect_err(head);
    assert_eq!(
        (refused.status.as_u16(), refused.detail),
        (400, detail),
        "{head:?}"
    );
}

#[test]
fn plain_heads_say_where_their_body_ends() {
    let length = |length| Head {
        framing: Framing::Length(length),
        may_switch: false,
    };
    assert_eq!(with("accept: */*"), Ok(length(0)));
    assert_eq!(with("Content-Length:5"), Ok(length(5)));
    assert_eq!(with("content-length:\t 5 \t"), Ok(length(5)));
    let chunked = with("Transfer-Encoding: Chunked").unwrap();
    assert_eq!(chunked.framing, Framing::Chunked);
    assert!(with("upgrade: websocket").unwrap().may_switch);
    let connect = judge("CONNECT a.test:443 HTTP/1.1\r\nhost: a.test\r\n\r\n");
    assert!(connect.unwrap().may_switch);
    assert!(judge("GET /ä?b=c HTTP/1.0\r\nx: ä\r\n\r\n").is_ok());
}

#[test]
fn a_body_framed_in_two_ways_is_refused() {
    for fields in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\nContent-Length: 5",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5\r\ncontent-length: 5",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
        "transfer-encoding: \u{b}chunked",
        "transfer-encoding:",
        "content-length: 5, 5",
        "content-length: +5",
        "content-length: -5",
        "content-length: 0x5",
        "content-length: 5 5",
        "content-length:",
        "content-length: 1000000000000000000",
        "content_length: 5",
        "Transfer_Encoding: chunked",
    ] {
        assert_eq!(with(fields).expect_err(fields).status.as_u16(), 400);
    }
    let longest = with("content-length: 999999999999999999").unwrap();
    assert_eq!(longest.framing, Framing::Length(999_999_999_999_999_999));
}

#[test]
fn lines_that_end_or_begin_oddly_are_refused() {
    check_refused("GET / HTTP/1.1\nhost: a\n\n", "a line ends without CR");
    check_refused("GET / HTTP/1.1\r\nhost: a\n\r\n", "a line ends without CR");
    check_refused(
        "\r\nGET / HTTP/1.1\r\n\r\n",
        "it does not begin with a method",
    );
    check_refused("\u{16}\u{3}\u{1}", "it does not begin with a method");
    let control = "a header's value has control characters";
    check_refused("GET / HTTP/1.1\r\nx: a\rb\r\n\r\n", control);
    check_refused("GET / HTTP/1.1\r\nx: a\0b\r\n\r\n", control);
    let folded = "a header is folded over two lines";
    check_refused("GET / HTTP/1.1\r\nx: a\r\n b: c\r\n\r\n", folded);
    check_refused("GET / HTTP/1.1\r\n\tx: a\r\n\r\n", folded);
    let name = "a header's name is no token";
    check_refused("GET / HTTP/1.1\r\nhost : a\r\n\r\n", name);
    check_refused("GET / HTTP/1.1\r\nho\0st: a\r\n\r\n", name);
    check_refused("GET / HTTP/1.1\r\n: a\r\n\r\n", name);
    check_refused("GET / HTTP/1.1\r\nhost\r\n\r\n", "a header has no colon");
}

#[test]
fn request_lines_that_are_not_plain_are_refused() {
    let three = "the request line is no method, target and version";
    check_refused("GET  / HTTP/1.1\r\n\r\n", three);
    check_refused("GET /a b HTTP/1.1\r\n\r\n", three);
    check_refused(
        "GET / \r\n\r\n",
        "the version is neither HTTP/1.1 nor HTTP/1.0",
    );
    check_refused("GET /\r\n\r\n", three);
    check_refused(
        "PRI * HTTP/2.0\r\n\r\n",
        "the version is neither HTTP/1.1 nor HTTP/1.0",
    );
    check_refused("GET\t/ / HTTP/1.1\r\n\r\n", "the method is no token");
    check_refused("G(T / HTTP/1.1\r\n\r\n", "the method is no token");
    let target = "the target has characters that no target has";
    check_refused("GET /a#b HTTP/1.1\r\n\r\n", target);
    check_refused("GET /a\0b HTTP/1.1\r\n\r\n", target);
    check_refused("GET /a\tb HTTP/1.1\r\n\r\n", target);
}

#[test]
fn heads_are_served_up_to_their_limits_and_not_beyond() {
    let fields = |count: usize| {
        judge(&format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "x: y\r\n".repeat(count)
        ))
    };
    assert!(fields(HEADERS_MAX).is_ok());
    assert_eq!(fields(HEADERS_MAX + 1).unwrap_err().status.as_u16(), 431);

    let target =
        |length: usize| judge(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(length - 1)));
    assert!(target(TARGET_BYTES_MAX).is_ok());
    assert_eq!(
        target(TARGET_BYTES_MAX + 1).unwrap_err().status.as_u16(),
        414
    );
    let endless = "a".repeat(TARGET_BYTES_MAX * 2);
    assert_eq!(judge(&endless).unwrap_err().status.as_u16(), 414);

    let method = |length: usize| judge(&format!("{} / HTTP/1.1\r\n\r\n", "A".repeat(length)));
    assert!(method(METHOD_BYTES_MAX).is_ok());
    assert_eq!(
        method(METHOD_BYTES_MAX + 1).unwrap_err().status.as_u16(),
        400
    );

    let frame = "GET / HTTP/1.1\r\nx: \r\n\r\n".len();
    let sized = |length: usize| {
        let value = "y".repeat(length - frame);
        judge(&format!("GET / HTTP/1.1\r\nx: {value}\r\n\r\n"))
    };
    assert!(sized(HEAD_BYTES_MAX).is_ok());
    assert_eq!(sized(HEAD_BYTES_MAX + 1).unwrap_err().status.as_u16(), 431);
}

#[test]
fn a_head_may_arrive_byte_by_byte() {
    let bytes = b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\nGET /next";
    let mut progress = Progress::default();
    let end = bytes.len() - "GET /next".len();
    for arrived in 0..end {
        assert_eq!(progress.end(&bytes[..arrived]), Ok(None), "{arrived}");
    }
    assert_eq!(progress.end(bytes), Ok(Some(end)));
}
