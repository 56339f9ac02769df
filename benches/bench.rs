//! `make bench`: prints `name value unit`, one line each; what cannot be measured here prints
//! `name - reason`. What is compared is measured in the same run, on the same disk.
//!
//! `make bench ONLY=proxy` measures one section alone: `log`, `rebuild` (a part of it),
//! `daemon`, `mail`, `run`, `allowlist` or `proxy`.
#![expect(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#![expect(clippy::print_stdout, reason = "the figures are the output")]

#[path = "../tests/common/mod.rs"]
#[expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "the world of the end-to-end tests, which needs more of it"
)]
mod common;
mod parts;
#[path = "../tests/email/post.rs"]
#[expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "the servers of the tests of mail, which need more of them"
)]
mod post;

use parts::{allowlist, daemon, log, mail, podman, proxy, rebuild, run, sled};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // The children: what is measured of them is their own.
    if let [_, command, directory] = arguments.as_slice() {
        match command.as_str() {
            log::REPLAY => return log::replay_child(directory.as_ref()),
            proxy::origin::SERVE => return proxy::origin::serve_child(directory.as_ref()),
            proxy::relay::RELAY => return proxy::relay::relay_child(directory.as_ref()),
            _ => {}
        }
    }
    let mut sections = arguments
        .iter()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    let only = sections.next().map(String::as_str);
    let wanted = |section: &str| only.is_none_or(|only| only == section);
    if wanted("log") {
        measure_log();
    }
    if wanted("log") || wanted("rebuild") {
        rebuild::measure();
    }
    if wanted("daemon") {
        daemon::start();
    }
    if wanted("mail") {
        mail::intake();
    }
    if wanted("run") {
        let bare = podman::bare();
        run::overhead(bare);
    }
    if wanted("allowlist") {
        allowlist::measure();
    }
    if wanted("proxy") {
        proxy::measure();
    }
}

fn measure_log() {
    for writers in [1, 16, 64] {
        let done = log::append(writers);
        sled::append(writers, &done);
    }
    let million = log::fill();
    log::open_and_scan(million.path());
    log::verify(million.path());
    log::replay_rss(million.path());
    drop(million);
    sled::scan();
}
