//! `make bench`: prints `name value unit`, one line each; what cannot be measured here prints
//! `name - reason`. What is compared is measured in the same run, on the same disk.
#![expect(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod parts;

use parts::{daemon, log, podman, sled};

/// Measured by the tests of the proxy and of whole worlds only, so far.
const NOT_YET: [(&str, &str); 4] = [
    ("proxy.direct", "needs the bench of the proxy"),
    ("proxy.strict", "needs the bench of the proxy"),
    (
        "run.overhead",
        "needs a world with a model and a repository",
    ),
    ("log.rebuild", "needs a log with the kinds of a real day"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // The child that replays: its memory is its own.
    if let [_, command, directory] = arguments.as_slice()
        && command == log::REPLAY
    {
        return log::replay_child(directory.as_ref());
    }
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
    daemon::start();
    podman::bare();
    for (name, reason) in NOT_YET {
        println!("{name} - {reason}");
    }
}
