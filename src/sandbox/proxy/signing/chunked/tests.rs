//! Bodies signed in chunks: what breaks them off, how long they may be, and in which pieces.

use proptest::prelude::*;

use super::*;
use crate::sandbox::proxy::signing::claim;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn resigned(resigner: &mut Resigner, body: &[u8], pieces: usize) -> Vec<u8> {
    let mut goes = Vec::new();
    for piece in body.chunks(pieces) {
        goes.extend_from_slice(&resigner.push(piece).unwrap());
    }
    assert!(resigner.is_done());
    assert_eq!(goes.len(), body.len());
    goes
}

fn resigner(has_trailers: bool) -> Resigner {
    let header = "AWS4-HMAC-SHA256 Credential=S/20150830/us-east-1/s3/aws4_request, \
                  SignedHeaders=host, Signature=00";
    let claim = claim::of_header(header).unwrap();
    let key = Key::derive(claim.algorithm, "S", SECRET, &claim.scope).unwrap();
    let text = &claim.scope.text;
    Resigner::new(
        key,
        claim.algorithm,
        "t",
        text,
        "00".to_owned(),
        has_trailers,
    )
}

#[test]
fn malformed_chunks_break_the_request_off() {
    let none = "0".repeat(64);
    for body in [
        "5\r\nhello\r\n".to_owned(),
        format!("5;chunk-signature={none}\r\nhello!!"),
        format!("+5;chunk-signature={none}\r\nhello\r\n"),
        format!("{:x};chunk-signature={none}\r\n", CHUNK_BYTES_MAX + 1),
        "5;chunk-signature=00\r\nhello\r\n".to_owned(),
        format!("0;chunk-signature={none}\r\n\r\nmore"),
        format!("0;chunk-signature={none}\r\nx: y\r\n"),
    ] {
        assert!(resigner(false).push(body.as_bytes()).is_err(), "{body:.60}");
    }
    let unsigned = format!("0;chunk-signature={none}\r\nx-amz-checksum-crc32:a\r\n\r\n");
    assert!(resigner(true).push(unsigned.as_bytes()).is_err());
    let longest = format!("{CHUNK_BYTES_MAX:x};chunk-signature={none}\r\n");
    assert!(resigner(false).push(longest.as_bytes()).is_ok());
}

/// A body of one line, of so many bytes without its end.
fn line(has_trailers: bool, bytes: usize) -> Vec<u8> {
    let (before, last) = if has_trailers {
        let none = "0".repeat(64);
        let head = format!("0;chunk-signature={none}\r\n");
        (head, "x-amz-trailer-signature:".to_owned())
    } else {
        (String::new(), "0;chunk-signature=".to_owned())
    };
    let signature = "0".repeat(bytes - last.len());
    format!("{before}{last}{signature}\r\n\r\n").into_bytes()
}

#[test]
fn lines_are_as_long_as_they_may_be_however_they_arrive() {
    for has_trailers in [false, true] {
        let taken = |bytes, pieces| {
            let (body, mut resigner) = (line(has_trailers, bytes), resigner(has_trailers));
            let mut pieces = body.chunks(pieces);
            let taken = pieces.all(|piece| resigner.push(piece).is_ok());
            taken && resigner.is_done()
        };
        let most = LINES_BYTES_MAX;
        for pieces in [113, most, most + 1, usize::MAX] {
            assert!(taken(most - 1, pieces), "{has_trailers} {pieces}");
            assert!(taken(most, pieces), "{has_trailers} {pieces}");
            assert!(!taken(most + 1, pieces), "{has_trailers} {pieces}");
        }
    }
    let endless = "x".repeat(LINES_BYTES_MAX + 2);
    assert!(resigner(false).push(endless.as_bytes()).is_err());
}

#[test]
fn a_chunk_is_as_long_as_it_may_be() {
    let taken = |bytes: usize| {
        let none = "0".repeat(64);
        let mut body = format!("{bytes:x};chunk-signature={none}\r\n").into_bytes();
        body.resize(body.len() + bytes, b'a');
        body.extend_from_slice(format!("\r\n0;chunk-signature={none}\r\n\r\n").as_bytes());
        resigner(false).push(&body).is_ok()
    };
    assert!(taken(CHUNK_BYTES_MAX - 1));
    assert!(taken(CHUNK_BYTES_MAX));
    assert!(!taken(CHUNK_BYTES_MAX + 1));
}

proptest! {
    #[test]
    fn chunks_are_signed_alike_however_they_arrive(
        sizes in proptest::collection::vec(1_usize..300, 0..5),
        pieces in 1_usize..400,
    ) {
        let none = "0".repeat(64);
        let mut body = Vec::new();
        for size in sizes {
            body.extend(format!("{size:x};chunk-signature={none}\r\n").bytes());
            body.extend(std::iter::repeat_n(b'z', size));
            body.extend(b"\r\n");
        }
        body.extend(format!("0;chunk-signature={none}\r\n\r\n").bytes());
        let whole = resigned(&mut resigner(false), &body, body.len());
        prop_assert_eq!(resigned(&mut resigner(false), &body, pieces), whole);
    }
}
