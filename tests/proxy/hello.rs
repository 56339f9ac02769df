//! Connections that say oddly, or not at all, for which name they are.

use airut::events::event::ProxyEvent;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::refused::refusal;
use crate::world::{World, at};

/// Returns a TLS record with a ClientHello for TLS 1.2 that has these extensions.
fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let sized = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes()[..], bytes].concat()
    };
    let extension =
        |(kind, body): &(u16, Vec<u8>)| [&kind.to_be_bytes()[..], &sized(body)].concat();
    let algorithms = (13, sized(&[4, 3, 8, 4]));
    let groups = (10, sized(&[0, 23]));
    let mut all: Vec<u8> = [algorithms, groups].iter().flat_map(extension).collect();
    all.extend(extensions.iter().flat_map(extension));
    let suites = sized(&[0xc0, 0x2b, 0xc0, 0x2f]);
    let version_and_random = [&[3, 3][..], &[7; 32], &[0]].concat();
    let body = [version_and_random, suites, vec![1, 0], sized(&all)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let handshake = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &sized(&handshake)].concat()
}

fn server_name(name: &[u8]) -> (u16, Vec<u8>) {
    let length = u16::try_from(name.len()).unwrap();
    let entry = [&[0][..], &length.to_be_bytes(), name].concat();
    let list = u16::try_from(entry.len()).unwrap().to_be_bytes();
    (0, [&list[..], &entry].concat())
}

/// Sends bytes to the TLS port; returns what comes back until the proxy hangs up.
async fn say(world: &World, bytes: &[u8]) -> Vec<u8> {
    let address = at(&world.setup, world.setup.ports.https);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    answer
}

async fn check_refused(extensions: &[(u16, Vec<u8>)], reason: &str) {
    let world = World::start().await;
    let answer = say(&world, &hello(extensions)).await;
    // At most an alert: never a ServerHello.
    assert_ne!(answer.first(), Some(&22), "{extensions:?}");
    let refused = refusal(&world).await;
    assert!(refused.contains(reason), "{refused}");
    let reached = |line: &&String| !line.starts_with("durable");
    assert_eq!(world.journal.lines().iter().find(reached), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_without_a_plain_name_is_refused() {
    check_refused(&[], "no server name").await;
    // Encrypted Client Hello (0xfe0d): an outer one, its suite, its key and its payload, and no name.
    let key_and_payload = [&[0, 32][..], &[9; 32], &[0, 16], &[9; 16]].concat();
    let encrypted = [&[0, 0, 1, 0, 1, 7][..], &key_and_payload].concat();
    check_refused(&[(0xfe0d, encrypted)], "no server name").await;
    check_refused(&[server_name(b"127.0.0.1")], "").await;
    check_refused(&[server_name(b"two..test")], "").await;
    check_refused(&[server_name(b"2130706433")], "").await;
    check_refused(&[server_name(b"")], "").await;
    check_refused(&[server_name("b\u{fc}cher.test".as_bytes())], "").await;
    check_refused(&[server_name(b"two.test\0.evil.test")], "").await;
    check_refused(&[server_name(b"two.test"), server_name(b"evil.test")], "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_hello_are_refused_and_named_harmlessly() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nhost: two.test\r\n\r\n"[..],
        &[22, 3, 1, 0, 5, 1, 0xff, 0xff, 0xff, 0],
        &[22, 3, 1, 0, 0],
        &[0x80, 0x2e, 1, 0, 2],
    ] {
        let world = World::start().await;
        let address = at(&world.setup, world.setup.ports.https);
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream.read_to_end(&mut Vec::new()).await);
        let refused = refusal(&world).await;
        assert!(refused.starts_with("no TLS"), "{bytes:?}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_the_log_is_one_line_of_visible_characters() {
    let world = World::start().await;
    let stranger = "EVIL_test-1.test";
    let stream = world.client.tls(stranger, "http/1.1", true).await;
    let get = "GET /a%0aALLOWED HTTP/1.1\r\nhost: evil.test\"\x7f\r\n\r\n";
    let answer = crate::client::say(stream.unwrap(), get).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let line = |event: &ProxyEvent| match event {
        ProxyEvent::RequestBlocked(blocked) => Some(blocked.line.clone()),
        _ => None,
    };
    let line = world.event(line).await;
    for told in [&line.host, &line.path, &line.method] {
        assert!(
            told.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
            "{told:?}"
        );
    }
}
