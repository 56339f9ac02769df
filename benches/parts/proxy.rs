//! The proxy: the same requests straight to the origin, through a relay that does nothing but TLS,
//! through the proxy with every decision durable, and through mitmdump, which records nothing. TLS on
//! both sides, one client, one origin, one disk.
//!
//! `strict` speaks HTTP/2 upstream, because the origin offers it; `strict_one` is the same with an
//! origin that has HTTP/1.1 alone, and `relaxed` lets the disk be a little behind.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use airut::config::types::Audit;
use tokio::runtime::Runtime;

use self::client::Way;
use self::guarded::Guarded;
use self::mitmdump::Mitmdump;
use self::origin::{LARGE_BYTES, Origin};
use self::relay::Relay;
use super::{median, print, print_ms, status_mib};

mod client;
mod guarded;
mod mitmdump;
pub(crate) mod origin;
pub(crate) mod relay;

/// Proxies started of which the median counts, and downloads of which the median counts.
const ROUNDS: usize = 5;

/// After its start the proxy rests so long before its memory is read.
const REST: Duration = Duration::from_secs(1);

/// Measures all of it.
pub(crate) fn measure() {
    let origin = Origin::start();
    let direct = Way::new(origin.https, &origin.authority);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    download(&runtime, "proxy.direct", &direct, ROUNDS);
    keep_alive(&runtime, "proxy.direct", &direct);
    connections(&runtime, "proxy.direct", &direct);
    let relay = Relay::start(&origin);
    download(&runtime, "proxy.relay", &relay.way, ROUNDS);
    connections(&runtime, "proxy.relay", &relay.way);
    drop(relay);
    match guarded::binary() {
        Some(binary) => measure_strict(&runtime, &binary, &origin),
        None => println!("proxy.strict.* - airut-proxy is missing (make proxy)"),
    }
    match mitmdump::binary() {
        Some(binary) => measure_mitmdump(&runtime, &binary, &origin),
        None => println!("proxy.mitmdump.* - mitmdump is missing (scripts/setup.sh bench)"),
    }
}

/// Measures the yardstick; one download, since each takes it long.
fn measure_mitmdump(runtime: &Runtime, binary: &Path, origin: &Origin) {
    let name = "proxy.mitmdump";
    let mitmdump = Mitmdump::start(binary, origin);
    runtime.block_on(mitmdump.way.ask_once());
    print_ms("proxy.mitmdump.ready", mitmdump.since.elapsed());
    print(
        "proxy.mitmdump.idle_rss",
        status_mib(&mitmdump.process(), "VmRSS"),
        "MiB",
    );
    keep_alive(runtime, name, &mitmdump.way);
    connections(runtime, name, &mitmdump.way);
    download(runtime, name, &mitmdump.way, 1);
    let peak = status_mib(&mitmdump.process(), "VmHWM");
    print("proxy.mitmdump.download_rss", peak, "MiB");
}

fn measure_strict(runtime: &Runtime, binary: &Path, origin: &Origin) {
    ready(runtime, binary, origin);
    let guarded = Guarded::start(binary, origin, origin.https, Audit::Strict);
    sleep(REST);
    let process = guarded.process();
    print("proxy.idle_rss", status_mib(&process, "VmRSS"), "MiB");
    download(runtime, "proxy.strict", &guarded.way, ROUNDS);
    let peak = status_mib(&process, "VmHWM");
    print("proxy.strict.download_rss", peak, "MiB");
    let asked = keep_alive(runtime, "proxy.strict", &guarded.way);
    connections(runtime, "proxy.strict", &guarded.way);
    print("proxy.strict.rss", status_mib(&process, "VmRSS"), "MiB");
    let durable = guarded.end();
    assert!(durable >= asked, "{asked} answers, {durable} events");
    for (name, https, audit) in [
        ("proxy.strict_one", origin.https_one, Audit::Strict),
        ("proxy.relaxed", origin.https, Audit::Relaxed),
    ] {
        let guarded = Guarded::start(binary, origin, https, audit);
        download(runtime, name, &guarded.way, ROUNDS);
        let asked = keep_alive(runtime, name, &guarded.way);
        let durable = guarded.end();
        assert!(durable >= asked, "{asked} answers, {durable} events");
    }
}

/// Measures from the start of the process to its first answer, which comes from the origin.
fn ready(runtime: &Runtime, binary: &Path, origin: &Origin) {
    let start = |_| {
        let guarded = Guarded::start(binary, origin, origin.https, Audit::Strict);
        runtime.block_on(guarded.way.ask_once());
        let elapsed = guarded.since.elapsed();
        guarded.end();
        elapsed
    };
    let ready = median((0..ROUNDS).map(start).collect());
    print_ms("proxy.ready", ready.unwrap());
}

/// Measures small bodies over connections that are kept; returns how many came.
fn keep_alive(runtime: &Runtime, name: &str, way: &Way) -> u64 {
    let mut answers = 0;
    for connections in [1, 16, 64] {
        let load = runtime.block_on(way.keep_asking(connections));
        let rate = load.per_second();
        print(&format!("{name}.rps.c{connections}"), rate, "requests/s");
        match connections {
            1 => print_ms(&format!("{name}.p50.c1"), load.percentile(50)),
            16 => print_ms(&format!("{name}.p99.c16"), load.percentile(99)),
            _ => {}
        }
        answers += load.answers();
    }
    answers
}

/// Measures new connections with one request each. Behind the proxy the connection to the origin
/// is kept, so that each way has one handshake.
fn connections(runtime: &Runtime, name: &str, way: &Way) {
    let rate = runtime.block_on(way.keep_opening()).per_second();
    print(&format!("{name}.tls_new"), rate, "connections/s");
}

fn download(runtime: &Runtime, name: &str, way: &Way, rounds: usize) {
    let taken = (0..rounds).map(|_| runtime.block_on(way.download()));
    let taken = median(taken.collect()).unwrap();
    let rate = LARGE_BYTES as f64 / 1e6 / taken.as_secs_f64();
    print(&format!("{name}.download"), rate, "MB/s");
}
