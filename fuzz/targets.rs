//! What each fuzz target does with its input. The fuzzer runs these on a nightly compiler, and
//! `tests/fuzz.rs` runs them on the stable one over the kept inputs and changes of them.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

use airut::config::types::EmailAuth;
use airut::events::checkpoint::{LogKey, SignedCheckpoint, Verifier};
use airut::events::codec::{self, Payload, StoredRecord};
use airut::events::id::Position;
use airut::handlers::channels::email::headers::Headers;
use airut::handlers::channels::email::{auth, parse};
use airut::sandbox::allowlist_file;
use airut::sandbox::proxy::allowlist::{Allowlist, Operations, UrlPrefix};
use airut::sandbox::proxy::dns;
use airut::sandbox::proxy::filter::{self, Finding};
use airut::sandbox::proxy::github::scope;
use airut::sandbox::proxy::link::{encode, read_message};
use airut::sandbox::proxy::policy::{self, Asked, Verdict};
use airut::sandbox::proxy::signing::canonical::sha256_hex;
use airut::sandbox::proxy::signing::chunked::Resigner;
use airut::sandbox::proxy::signing::{self, Signed};
use airut::sandbox::proxy::strict::chunks::Chunks;
use airut::sandbox::proxy::strict::head::{self, Framing, Progress};
use airut::sandbox::proxy::wire::{
    AllowedRepository, FromProxy, Secret, SigningCredential, ToProxy,
};

/// A target's name and what it does with an input.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets but `proof`, which is made of the auditor's program alone.
pub(crate) const TARGETS: [Target; 10] = [
    ("allowlist", allowlist),
    ("allowlist_file", allowlist_file),
    ("checkpoint", checkpoint),
    ("codec", codec),
    ("dns", dns),
    ("graphql", graphql),
    ("head", head),
    ("mail", mail),
    ("sigv4", sigv4),
    ("wire", wire),
];

/// Longest head and body that the target `head` reads, in bytes; what is longer is cut off.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Host, path, method and then patterns, a line each: an empty allowlist allows nothing, and a
/// pattern that is the host itself allows whatever is in its place.
pub(crate) fn allowlist(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (host, path_and_query, method) = (line().to_ascii_lowercase(), line(), line());
    let asked = Asked {
        host: &host,
        path_and_query,
        method,
    };
    let mut rules = Allowlist::default();
    assert!(matches!(
        policy::judge(&rules, asked),
        Verdict::Denied { .. }
    ));
    while let Some(pattern) = lines.next() {
        rules.domains.push(pattern.to_owned());
        rules.url_prefixes.push(UrlPrefix {
            host: pattern.to_owned(),
            path: lines.next().unwrap_or_default().to_owned(),
            methods: lines.next().map(str::to_owned).into_iter().collect(),
            graphql: None,
        });
    }
    let before = policy::judge(&rules, asked);
    rules.domains.push("another-host.test".to_owned());
    let after = policy::judge(&rules, asked);
    let allowed = |verdict: &Verdict| matches!(verdict, Verdict::Allowed { .. });
    assert!(
        !allowed(&before) || allowed(&after),
        "a rule took a permission away"
    );
}

/// The file of an allowlist: it reads, or an error says where it does not.
pub(crate) fn allowlist_file(data: &[u8]) {
    if let Err(error) = allowlist_file::parse(data) {
        assert!(!error.to_string().is_empty());
    }
}

/// A checkpoint or key: what is read prints as it was read, and nothing verifies that the key did
/// not sign.
pub(crate) fn checkpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let key = LogKey::first([1; 32]).verifier();
    if let Ok(read) = SignedCheckpoint::from_note(text) {
        // Signatures of other types are passed over; without any other, nothing is left to read.
        if let Ok(again) = SignedCheckpoint::from_note(&read.to_note()) {
            assert_eq!(again, read);
        }
        assert!(read.verified_by(std::slice::from_ref(&key)).is_err());
    }
    if let Ok(read) = SignedCheckpoint::from_line(text)
        && let Ok(again) = SignedCheckpoint::from_line(&read.to_line())
    {
        assert_eq!(again, read);
    }
    if let Ok(read) = text.parse::<Verifier>() {
        assert_eq!(read.to_string().parse(), Ok(read));
    }
}

/// A record, a record whose checksum is right, and a payload of any kind and version: what is read
/// is written and read again as the same event.
pub(crate) fn codec(data: &[u8]) {
    let position = Position(1);
    let mut bytes = data.to_vec();
    let _damaged = codec::decode(&StoredRecord { position, bytes });
    bytes = data.to_vec();
    bytes.extend(crc32fast::hash(data).to_le_bytes());
    let record = StoredRecord { position, bytes };
    let _kind = codec::kind_and_version(&record.bytes);
    let _damaged = codec::decode(&record);
    let Some((head, payload)) = data.split_first_chunk::<4>() else {
        return;
    };
    let payload = Payload {
        kind: u16::from_le_bytes([head[0], head[1]]),
        version: u16::from_le_bytes([head[2], head[3]]),
        bytes: payload.to_vec(),
    };
    if let Ok(event) = codec::decode_payload(&payload) {
        let again = codec::decode_payload(&codec::encode_payload(&event));
        assert_eq!(again.ok(), Some(event));
    }
}

/// A query to the name server: an answer belongs to its query and is not much longer.
pub(crate) fn dns(data: &[u8]) {
    if let Some(answered) = dns::answer(data, Ipv4Addr::LOCALHOST) {
        assert_eq!(answered.response[..2], data[..2]);
        assert!(answered.response[2] & 0x80 != 0 && answered.response.len() <= data.len() + 16);
        assert!(!answered.name.contains(char::is_control));
    }
}

/// A mail: it says something, and its sender is permitted only from the permitted domain.
pub(crate) fn mail(data: &[u8]) {
    let content = parse::content(data);
    assert!(!content.subject.contains(['\r', '\n']));
    let permitted = EmailAuth {
        authorized_senders: vec!["*@example.test".to_owned()],
        trusted_authserv_id: "mx.example.test".to_owned(),
        microsoft_internal_fallback: true,
        verify: airut::config::types::Verify::Header,
    };
    if let Ok(sender) = auth::judge(&Headers::of(data), &permitted, None) {
        assert!(sender.address.ends_with("@example.test"));
    }
}

/// Messages of the link between proxy and daemon, from either end.
pub(crate) fn wire(data: &[u8]) {
    let mut stream = data;
    while let Some(message) = read::<FromProxy>(&mut stream) {
        let again = encode(&message);
        assert_eq!(read::<FromProxy>(&mut &again[..]), Some(message));
    }
    let mut stream = data;
    while let Some(message) = read::<ToProxy>(&mut stream) {
        let again = encode(&message);
        assert!(read::<ToProxy>(&mut &again[..]).is_some());
    }
}

/// Reads a message of bytes that are all there, so that nothing is waited for.
fn read<M: serde::de::DeserializeOwned>(stream: &mut &[u8]) -> Option<M> {
    let reading = pin!(read_message(stream));
    match reading.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(message) => message.ok().flatten(),
        Poll::Pending => None,
    }
}

/// Bytes as an HTTP/1 request: however they are cut into pieces, they are judged the same, and what is
/// accepted has none of what another server could cut apart differently.
pub(crate) fn head(data: &[u8]) {
    // Beyond limits only the status differs, by how much of a head had come.
    let bytes = &data[..data.len().min(HEAD_BYTES_MAX)];
    let end = Progress::default().end(bytes);
    let mut progress = Progress::default();
    let in_pieces = (0..=bytes.len()).find_map(|arrived| {
        let end = progress.end(&bytes[..arrived]);
        (end != Ok(None)).then_some(end)
    });
    assert_eq!(in_pieces.unwrap_or(Ok(None)), end);
    let Ok(Some(end)) = end else { return };
    let (first, rest) = bytes.split_at(end);
    let Ok(read) = head::read(first) else { return };
    let newlines = first.iter().filter(|byte| **byte == b'\n').count();
    let pairs = first.windows(2).filter(|pair| *pair == b"\r\n").count();
    let returns = first.iter().filter(|byte| **byte == b'\r').count();
    assert_eq!((newlines, returns), (pairs, pairs));
    assert!(!first.contains(&0));
    if read.framing == Framing::Chunked {
        chunks(rest);
    }
}

/// A body that is accepted whole is accepted byte by byte, and ends at the same place.
fn chunks(bytes: &[u8]) {
    let mut whole = Chunks::new();
    let Ok(length) = whole.pass(bytes) else {
        return;
    };
    let (mut chunks, mut waiting, mut passed) = (Chunks::new(), Vec::new(), 0);
    for byte in bytes {
        if chunks.is_complete() {
            break;
        }
        waiting.push(*byte);
        let some = chunks.pass(&waiting).expect("it was accepted whole");
        drop(waiting.drain(..some));
        passed += some;
    }
    assert_eq!(
        (passed, chunks.is_complete()),
        (length, whole.is_complete())
    );
}

/// A request body, and a document in a body, before both judges of GraphQL: no pattern allows nothing,
/// every pattern allows whatever one allows, and no repository allows what every one is asked for.
pub(crate) fn graphql(data: &[u8]) {
    graphql_body(data);
    let document = serde_json::json!({ "query": String::from_utf8_lossy(data) });
    graphql_body(document.to_string().as_bytes());
}

fn graphql_body(body: &[u8]) {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let asked = Asked {
        host: "api.github.com",
        path_and_query: "/graphql",
        method: "POST",
    };
    let passes = |pattern: &str| {
        let patterns: Vec<String> = pattern.split_whitespace().map(str::to_owned).collect();
        let operations = Operations {
            queries: patterns.clone(),
            mutations: patterns.clone(),
            subscriptions: patterns,
        };
        let head = filter::Head {
            asked,
            headers: &headers,
        };
        matches!(
            filter::graphql::check(&operations, head, body),
            Finding::Pass { .. }
        )
    };
    assert!(!passes(""));
    assert!(!passes("node*") || passes("*"));
    let ours = AllowedRepository {
        node_id: "R_kgDOABPHjQ".to_owned(),
        full_name: "fleet/ferry".to_owned(),
    };
    let judged = scope::judge(body, std::slice::from_ref(&ours));
    assert!(judged.is_ok() || scope::judge(body, &[]).is_err());
}

/// A request as text, a line each of method, path with query and headers, and after a blank line its
/// body. Signed with the real key, it holds no surrogate token and signs again as the same, and a body
/// that is signed in chunks keeps its length however it arrives.
pub(crate) fn sigv4(data: &[u8]) {
    let blank = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = data.split_at(blank.map_or(data.len(), |at| at + 2));
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let method = lines.next().unwrap_or_default();
    let Ok(target) = PathAndQuery::try_from(lines.next().unwrap_or_default()) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.trim().parse()) {
            headers.append(name, value);
        }
    }
    headers.insert(HOST, HeaderValue::from_static("s3.amazonaws.com"));
    let first = signing_credential("surrogate");
    let Some((signed, sent)) = sign(method, &target, headers, &first) else {
        return;
    };
    assert!(sent.get("x-amz-security-token").is_none());
    let now = signed.path_and_query.as_deref().map(PathAndQuery::try_from);
    let now = now.map_or(target, |now| now.expect("a target stays one"));
    if let Some((again, sent_again)) = sign(method, &now, sent.clone(), &signing_credential("real"))
        && !signs_itself(&sent)
    {
        assert_eq!(sent_again, sent);
        assert!(
            again
                .path_and_query
                .is_none_or(|again| again == now.as_str())
        );
        resign(signed.resigner, again.resigner, body);
    }
}

/// Whether a client counts its own signature among what is signed, which no server does.
fn signs_itself(headers: &HeaderMap) -> bool {
    let told = headers
        .get(AUTHORIZATION)
        .and_then(|told| told.to_str().ok());
    told.is_some_and(|told| told.to_ascii_lowercase().contains("authorization"))
}

fn signing_credential(known_as: &str) -> SigningCredential {
    SigningCredential {
        name: "store".to_owned(),
        surrogate_key_id: Secret::new(known_as.to_owned()),
        key_id: Secret::new("real".to_owned()),
        secret: Secret::new("secret".to_owned()),
        token: None,
        scopes: vec!["*".to_owned()],
    }
}

fn sign(
    method: &str,
    target: &PathAndQuery,
    mut headers: HeaderMap,
    credential: &SigningCredential,
) -> Option<(Signed, HeaderMap)> {
    let query = target.query().unwrap_or_default();
    let known = std::slice::from_ref(credential);
    let pending = signing::find(&headers, query, "s3.amazonaws.com", known).ok()??;
    let hash = pending.payload_hash(&headers);
    let hash = hash.unwrap_or_else(|| sha256_hex(""));
    let signed = pending.sign(method, target.path(), query, &mut headers, &hash);
    signed.ok().map(|signed| (signed, headers))
}

fn resign(whole: Option<Resigner>, pieces: Option<Resigner>, body: &[u8]) {
    let (Some(mut whole), Some(mut pieces)) = (whole, pieces) else {
        return;
    };
    let Ok(out) = whole.push(body) else { return };
    let mut out_in_pieces = Vec::new();
    for piece in body.chunks(7) {
        let out = pieces.push(piece).expect("it was accepted whole");
        out_in_pieces.extend_from_slice(&out);
    }
    assert_eq!(out_in_pieces, out);
    assert!(!whole.is_done() || out.len() == body.len());
}
