//! When the model's side fails, the sender is told the truth.

use crate::common::log::count;
use crate::common::{Event, Plan, World};

/// What the API answers, a word of the reply (lower case), and the recorded outcome.
const FAILURES: [(&str, &str, &str); 4] = [
    ("429", "429", "ApiBusy"),
    ("529", "overloaded", "ApiBusy"),
    ("credit", "credit balance", "ApiRefused"),
    ("too-long", "too long", "PromptTooLong"),
];

#[test]
fn a_failing_api_is_told_as_it_is() {
    let Some(world) = World::start(&Plan {
        mail: false,
        ..Plan::default()
    }) else {
        return;
    };
    let mut daemon = world.daemon();
    for (number, (failure, word, outcome)) in (1..).zip(FAILURES) {
        let prompt = format!("[[fail:{failure}]]");
        let sent = world.launch.output(&["send", "--wait", &prompt]);
        let reply = String::from_utf8_lossy(&sent.stdout).to_lowercase();
        assert!(reply.contains(word), "{failure}: {reply}");
        daemon.await_replies(number);
        let classified = |event: &&Event| event.kind() == "RunOutcomeClassified";
        let last = daemon.seen().iter().rfind(classified).unwrap();
        assert_eq!(last.text("outcome"), outcome, "{failure}");
    }
    assert_eq!(count(daemon.seen(), "TaskCompleted"), FAILURES.len());
}
