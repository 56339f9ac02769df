//! The real, static proxy as a process: bodies of any size pass through little memory.
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::answers::{FLOOD_BYTES, PIECE};
use crate::client::{read_until, status};
use crate::world::World;

/// Most memory that the proxy may ever have had: 30 MB.
const PEAK_KIB_MAX: u64 = 30 * 1000 * 1000 / 1024;

fn binary() -> Option<PathBuf> {
    let named = std::env::var_os("AIRUT_PROXY_BIN").map(PathBuf::from);
    let found = named.filter(|path| path.exists());
    if found.is_none() {
        let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
        assert!(
            !required,
            "AIRUT_PROXY_BIN names no airut-proxy (make proxy)"
        );
        eprintln!("SKIPPED: AIRUT_PROXY_BIN names no airut-proxy (make proxy)");
    }
    found
}

/// Returns the most memory that a process had, in KiB.
fn peak_kib(process: u32) -> u64 {
    let status =
        std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
    let status = status.unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_each_way_passes_through_little_memory() {
    let Some(binary) = binary() else { return };
    for host in ["one.test", "two.test"] {
        let (world, process) = World::start_process(&binary).await;
        let mut stream = world.client.tls(host, "http/1.1", true).await.unwrap();
        let get = format!("GET /flood HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(get.as_bytes()).await.unwrap();
        assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 200);
        let (mut buffer, mut received) = (vec![0; 256 * 1024], 0);
        loop {
            match stream.read(&mut buffer).await.unwrap() {
                0 => break,
                read => received += read as u64,
            }
        }
        assert!(received >= FLOOD_BYTES, "{received}");

        let mut stream = world.client.tls(host, "http/1.1", true).await.unwrap();
        let post =
            format!("POST /sink HTTP/1.1\r\nhost: {host}\r\ncontent-length: {FLOOD_BYTES}\r\n\r\n");
        stream.write_all(post.as_bytes()).await.unwrap();
        for _ in 0..FLOOD_BYTES / PIECE.len() as u64 {
            stream.write_all(PIECE).await.unwrap();
        }
        stream.flush().await.unwrap();
        assert_eq!(status(&read_until(&mut stream, "\r\n\r\n").await), 200);
        let told = read_until(&mut stream, &FLOOD_BYTES.to_string()).await;
        assert_eq!(told, FLOOD_BYTES.to_string());
        let peak = peak_kib(process);
        assert!(peak <= PEAK_KIB_MAX, "{host}: {peak} KiB");
    }
}
