//! An agent that says at once which letters it was given: the numbers that it finds in its prompt; asked
//! to, it sends the files back that it was given. It knows no channel.

use std::collections::BTreeSet;

use airut::sandbox::port::RunRequest;
use tokio_util::sync::CancellationToken;

use crate::parts::source_of;
use crate::passing::Agent;

/// What stands before the number of a letter; `tests/soak/letter.rs` has the same.
const MARK: &str = "soak-";

/// What a letter says that wants its files back; `tests/soak/long.rs` says it.
const FILES_BACK: &str = "Send the files back.";

/// This agent.
pub(crate) struct Instant;

impl Agent for Instant {
    async fn work(&self, request: &RunRequest, _: &CancellationToken) -> Option<String> {
        let prompt = String::from_utf8_lossy(&request.stdin);
        if prompt.contains(FILES_BACK) {
            send_files_back(request);
        }
        Some(echo(&prompt))
    }
}

fn send_files_back(request: &RunRequest) {
    let [inbox, outbox] = ["/inbox", "/outbox"].map(|target| source_of(request, target));
    for file in std::fs::read_dir(inbox).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), outbox.join(file.file_name())).unwrap();
    }
}

/// Names every letter of a prompt once.
fn echo(prompt: &str) -> String {
    let number = |rest: &str| {
        rest.get(..6)
            .filter(|text| text.parse::<u32>().is_ok())
            .map(str::to_owned)
    };
    let numbers: BTreeSet<String> = prompt.split(MARK).skip(1).filter_map(number).collect();
    let numbers: Vec<String> = numbers
        .iter()
        .map(|number| format!("{MARK}{number}"))
        .collect();
    format!("echo: {}", numbers.join(" "))
}
