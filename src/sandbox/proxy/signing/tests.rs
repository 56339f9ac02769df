//! Signatures against what AWS published, and refusals.

use http::header::HeaderName;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};

use super::*;
use crate::sandbox::proxy::wire::{Replaced, Secret};

const SUITE: &str = include_str!("../../../../tests/golden/sigv4/suite.json");

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    request: String,
    token: Option<String>,
    signature: Option<String>,
    string_to_sign: Option<String>,
    public_key: Option<String>,
}

fn credential(surrogate: &str, id: &str, secret: &str, token: Option<&str>) -> SigningCredential {
    SigningCredential {
        name: "store".to_owned(),
        surrogate_key_id: Secret::new(surrogate.to_owned()),
        key_id: Secret::new(id.to_owned()),
        secret: Secret::new(secret.to_owned()),
        token: token.map(|token| Replaced {
            surrogate: Secret::new("surrogate-token".to_owned()),
            value: Secret::new(token.to_owned()),
        }),
        scopes: vec!["*amazonaws.com".to_owned()],
    }
}

/// A request as text, with its signature unknown to us.
struct Request {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
}

impl Request {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let first = lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap();
        let (method, target) = first.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.to_owned(),
        }
    }

    fn sign(&mut self, credential: &SigningCredential) -> Result<Signed, Malformed> {
        let known = std::slice::from_ref(credential);
        let host = self.headers[HOST].to_str().unwrap().to_owned();
        let pending = find(&self.headers, &self.query, &host, known)?.unwrap();
        let told = pending.payload_hash(&self.headers);
        let hash = told.unwrap_or_else(|| sha256_hex(&self.body));
        let (path, query) = (self.path.clone(), self.query.clone());
        pending.sign(&self.method, &path, &query, &mut self.headers, &hash)
    }

    /// Returns the signature that the request carries once it is signed.
    fn signature(&mut self, credential: &SigningCredential) -> String {
        let signed = self.sign(credential).unwrap();
        let carrier = signed.path_and_query.unwrap_or_else(|| {
            let value = self.headers[AUTHORIZATION].to_str();
            value.unwrap().to_owned()
        });
        carrier.rsplit_once("Signature=").unwrap().1.to_owned()
    }
}

#[test]
fn every_vector_of_aws_is_signed_as_aws_signs_it() {
    let vectors: Vec<Vector> = serde_json::from_str(SUITE).unwrap();
    assert!(vectors.len() > 60);
    for vector in vectors {
        let name = &vector.name;
        let credential = credential(
            "AKIDEXAMPLE",
            "AKIDEXAMPLE",
            SECRET,
            vector.token.as_deref(),
        );
        let signature = Request::read(&vector.request).signature(&credential);
        if let Some(expected) = vector.signature {
            assert_eq!(signature, expected, "{name}");
        } else {
            let key = hex::decode(vector.public_key.unwrap()).unwrap();
            let key = VerifyingKey::from_sec1_bytes(&key).unwrap();
            let signature = DerSignature::from_bytes(&hex::decode(signature).unwrap()).unwrap();
            let string_to_sign = vector.string_to_sign.unwrap();
            let verified = key.verify(string_to_sign.as_bytes(), &signature);
            assert!(verified.is_ok(), "{name}");
        }
    }
}

const PUT_CHUNKS: &str = "PUT /examplebucket/chunkObject.txt HTTP/1.1\n\
    Host:s3.amazonaws.com\n\
    x-amz-date:20130524T000000Z\n\
    x-amz-storage-class:REDUCED_REDUNDANCY\n\
    Authorization:AWS4-HMAC-SHA256 Credential=AKIASURROGATE/20130524/us-east-1/s3/aws4_request,\
    SignedHeaders=HEADERS,Signature=00\n\
    Content-Encoding:aws-chunked\n\
    x-amz-decoded-content-length:66560\n";

fn example_key() -> SigningCredential {
    // The key of AWS's examples for chunks, with another slash than that of its suite.
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    credential("AKIASURROGATE", "AKIAIOSFODNN7EXAMPLE", secret, None)
}

fn chunks(signature: &str, end: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for size in [65_536, 1024] {
        body.extend(format!("{size:x};chunk-signature={signature}\r\n").bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        body.extend(b"\r\n");
    }
    body.extend(format!("0;chunk-signature={signature}\r\n{end}").bytes());
    body
}

fn resigned(resigner: &mut Resigner, body: &[u8], pieces: usize) -> String {
    let mut goes = Vec::new();
    for piece in body.chunks(pieces) {
        goes.extend_from_slice(&resigner.push(piece).unwrap());
    }
    assert!(resigner.is_done());
    assert_eq!(goes.len(), body.len());
    String::from_utf8(goes).unwrap()
}

/// AWS, "Transferring payload in multiple chunks (chunked upload)", its example.
#[test]
fn chunks_are_signed_as_in_the_example_of_aws() {
    let headers = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;\
                   x-amz-decoded-content-length;x-amz-storage-class";
    let text = format!(
        "{}Content-Length:66824\nx-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD\n",
        PUT_CHUNKS.replace("HEADERS", headers)
    );
    let mut request = Request::read(&text);
    let mut resigner = request.sign(&example_key()).unwrap().resigner.unwrap();
    let sent = request.headers[AUTHORIZATION].to_str().unwrap();
    assert!(sent.contains("Credential=AKIAIOSFODNN7EXAMPLE/"));
    let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    assert!(sent.ends_with(seed), "{sent}");
    let body = chunks(&"0".repeat(64), "\r\n");
    assert_eq!(body.len(), 66_824);
    let goes = resigned(&mut resigner, &body, 1000);
    for signature in [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ] {
        assert!(goes.contains(signature), "{signature}");
    }
}

/// AWS, "Signature calculations for trailing headers", its example.
#[test]
fn trailers_are_signed_as_in_the_example_of_aws() {
    let headers = "content-encoding;host;x-amz-content-sha256;x-amz-date;\
                   x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer";
    let text = format!(
        "{}x-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\n\
         x-amz-trailer:x-amz-checksum-crc32c\n",
        PUT_CHUNKS.replace("HEADERS", headers)
    );
    let mut resigner = Request::read(&text)
        .sign(&example_key())
        .unwrap()
        .resigner
        .unwrap();
    let none = "0".repeat(64);
    let trailers =
        format!("x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:{none}\r\n\r\n");
    let goes = resigned(&mut resigner, &chunks(&none, &trailers), 333);
    for signature in [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
    ] {
        assert!(goes.contains(signature), "{signature}\n{}", &goes[66_000..]);
    }
}

/// AWS, "Authenticating requests: using query parameters", its example.
#[test]
fn an_s3_url_is_presigned_as_in_the_example_of_aws() {
    let text = "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIASURROGATE\
                %2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
                &X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=00 HTTP/1.1\n\
                Host:examplebucket.s3.amazonaws.com\n";
    let signature = Request::read(text).signature(&example_key());
    assert_eq!(
        signature,
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
}

#[test]
fn ecdsa_chunks_keep_their_width() {
    let headers = "host;x-amz-content-sha256;x-amz-date";
    let scope = "/20130524/s3/aws4_request";
    let text = PUT_CHUNKS
        .replace("HEADERS", headers)
        .replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
        .replace("/20130524/us-east-1/s3/aws4_request", scope);
    let text = format!("{text}x-amz-content-sha256:STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD\n");
    let mut resigner = Request::read(&text)
        .sign(&example_key())
        .unwrap()
        .resigner
        .unwrap();
    let goes = resigned(&mut resigner, &chunks(&"*".repeat(144), "\r\n"), 5000);
    assert!(goes.contains(";chunk-signature=30"));
}

#[test]
fn a_session_token_is_replaced_and_a_foreign_one_removed() {
    let text = "GET / HTTP/1.1\nHost:a.amazonaws.com\nX-Amz-Date:20150830T123600Z\n\
                X-Amz-Security-Token:surrogate-token\n\
                Authorization:AWS4-HMAC-SHA256 Credential=S/20150830/us-east-1/sts/aws4_request, \
                SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=00\n";
    let mut request = Request::read(text);
    request
        .sign(&credential("S", "REAL", SECRET, Some("real-token")))
        .unwrap();
    assert_eq!(request.headers[TOKEN], "real-token");
    let mut request = Request::read(text);
    request
        .sign(&credential("S", "REAL", SECRET, None))
        .unwrap();
    assert!(!request.headers.contains_key(TOKEN));
    let sent = request.headers[AUTHORIZATION].to_str().unwrap();
    assert!(sent.contains("SignedHeaders=host;x-amz-date, "), "{sent}");
}

#[track_caller]
fn refused(from: &str, to: &str, why: &str) {
    let text = "GET / HTTP/1.1\nHost:a.amazonaws.com\nX-Amz-Date:20150830T123600Z\n\
                Authorization:AWS4-HMAC-SHA256 Credential=S/20150830/us-east-1/sts/aws4_request, \
                SignedHeaders=host;x-amz-date, Signature=00\n";
    assert!(text.contains(from));
    let refusal = Request::read(&text.replace(from, to))
        .sign(&credential("S", "REAL", SECRET, None))
        .err();
    assert_eq!(refusal.map(|malformed| malformed.0), Some(why));
}

#[test]
fn what_would_be_good_elsewhere_or_at_another_time_is_refused() {
    refused("=host;", "=", "the host is not signed");
    refused(
        "X-Amz-Date:20150830T",
        "X-Amz-Date:20150831T",
        "its date is not that of its scope",
    );
    refused(
        "X-Amz-Date:20150830T123600Z",
        "X-Amz-Date:20150830",
        "its date is none",
    );
    refused("X-Amz-Date", "X-Date", "it has no date");
    refused("/us-east-1/", "/", "the scope is none");
    refused(", Signature=00", "", "the header lacks one of its parts");
}

#[test]
fn a_signature_of_another_key_or_to_another_host_is_left_alone() {
    let text = "GET / HTTP/1.1\nHost:a.test\n\
                Authorization:AWS4-HMAC-SHA256 Credential=S/20150830/us-east-1/sts/aws4_request, \
                SignedHeaders=host, Signature=00\n";
    let request = Request::read(text);
    let known = |id| [credential(id, "REAL", SECRET, None)];
    let found = |host, id| {
        find(&request.headers, "", host, &known(id))
            .unwrap()
            .is_some()
    };
    assert!(found("a.amazonaws.com", "S"));
    assert!(!found("a.test", "S"));
    assert!(!found("a.amazonaws.com", "OTHER"));
}
