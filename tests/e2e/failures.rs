//! When the model's side fails, the sender is told the truth.

use crate::common::log::count;
use crate::common::{Event, Plan, World};

/// What the API answers, a word of the reply (lower case), and the recorded outcome.
const FAILURES: [(&str, &str, &str); 2] = [
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

#[test]
fn gap_18_a_busy_api_is_waited_for_and_the_wait_can_be_stopped() {
    let Some(world) = World::start(&Plan {
        mail: false,
        ..Plan::default()
    }) else {
        return;
    };
    let mut daemon = world.daemon();
    for (number, status) in (1..).zip(["429", "529"]) {
        let prompt = format!("[[fail:{status}]]");
        assert!(world.launch.output(&["send", &prompt]).status.success());
        let task = daemon.await_seen("the task that is put off", |seen| {
            let put_off = |event: &&Event| event.kind() == "TaskRetryScheduled";
            let tasks: Vec<&str> = seen
                .iter()
                .filter(put_off)
                .map(|e| e.text("task"))
                .collect();
            (tasks.len() == number).then(|| tasks[number - 1].to_owned())
        });
        let classified = |event: &&Event| event.kind() == "RunOutcomeClassified";
        let last = daemon.seen().iter().rfind(classified).unwrap();
        assert_eq!(last.text("outcome"), "ApiBusy", "{status}");
        let listed = world.launch.output(&["tasks"]).stdout;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        assert!(
            listed.starts_with(&task) && listed.contains("put off until"),
            "{listed}"
        );
        assert!(world.launch.output(&["stop", &task]).status.success());
        daemon.await_replies(number);
    }
    let completed = |event: &&Event| event.kind() == "TaskCompleted";
    let ends: Vec<&str> = daemon
        .seen()
        .iter()
        .filter(completed)
        .map(|e| e.text("reason"))
        .collect();
    assert_eq!(ends, ["Stopped", "Stopped"]);
    assert_eq!(count(daemon.seen(), "SessionAbandoned"), 0);
}
