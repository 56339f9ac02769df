//! What belongs together, what waits for what, and what is resumed.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex};

use airut::events::Event;
use airut::events::delivery::DeliveryTarget;
use airut::events::event::{MessageEvent, TaskEvent};
use airut::events::id::InboundId;
use airut::handlers::channels::OutboundMessage;

use crate::fakes::Act;
use crate::world::{World, conversation_of};

#[tokio::test]
async fn a_second_message_resumes_the_session() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "cc bob", "First.")
        .await
        .unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    let conversation = conversation_of(&world.events(), "m1");
    daemon
        .receive("m2", "bob", &conversation, "Second.")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    let session = format!("session-{}", ran[0].run);
    assert_eq!(ran[1].argv[..2], ["--resume".to_owned(), session]);
    assert!(ran[0].prompt.contains("Subject: Fix it"));
    assert!(!ran[1].prompt.contains("Subject:"), "{}", ran[1].prompt);
    assert_eq!(world.count("ConversationCreated"), 1);
    assert_eq!(world.count("ConversationParticipantJoined"), 1);
    assert_eq!(world.count("WorkspaceCloned"), 1);
}

#[tokio::test]
async fn an_unknown_conversation_becomes_a_new_one() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "ffffffff", "First.")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 1).await;
    daemon.drain().await;
    assert_ne!(conversation_of(&world.events(), "m1"), "ffffffff");
    let ran = world.sandbox.ran.lock().unwrap();
    assert!(
        ran[0].prompt.contains("Subject: Fix it"),
        "{}",
        ran[0].prompt
    );
}

#[tokio::test]
async fn messages_to_a_busy_conversation_are_answered_together() {
    let world = World::new(&[Act::AnswerWhenReleased("First."), Act::Answer("All.")]);
    let daemon = world.daemon().await;
    let first = daemon.receive("m1", "alice", "cc bob carol", "First.");
    first.await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    let messages = [
        ("m2", "bob", "1"),
        ("m3", "carol", "22"),
        ("m4", "bob", "333"),
    ];
    for (key, sender, text) in messages {
        let received = daemon.receive(key, sender, &conversation, text).await;
        received.unwrap();
    }
    daemon.until("TaskQueued", 4).await;
    world.sandbox.release.add_permits(1);
    daemon.until("TaskCompleted", 2).await;
    daemon.until("DeliverySucceeded", 4).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert_eq!(ran.len(), 2);
    let prompt = &ran[1].prompt;
    let at = |words: &str| prompt.find(words).unwrap();
    assert!(at("UTC]\n1") < at("UTC]\n22") && at("UTC]\n22") < at("UTC]\n333"));
    assert_eq!(world.count("TaskCoalesced"), 2);
    // Law 2: whoever wrote is answered once, under the newest of their own messages.
    let mut answered: Vec<_> = world.channel.replies()[1..].iter().map(threading).collect();
    answered.sort();
    let expected = [("bob", "<3@example.test>"), ("carol", "<2@example.test>")];
    let expected = expected.map(|(who, under)| {
        let to = format!("{who}@example.test");
        (to, under.to_owned())
    });
    assert_eq!(answered, expected);
    let ids: BTreeSet<_> = world
        .channel
        .replies()
        .into_iter()
        .map(|r| r.delivery)
        .collect();
    assert_eq!(ids.len(), 3);
}

/// Returns to whom a reply went, and which message it answers.
fn threading(reply: &OutboundMessage) -> (String, String) {
    match &reply.target {
        DeliveryTarget::Email {
            to, in_reply_to, ..
        } => (to.clone(), in_reply_to.clone()),
        DeliveryTarget::Local | DeliveryTarget::Slack { .. } => panic!("not a mail"),
    }
}

#[tokio::test]
async fn conversations_run_beside_each_other_up_to_the_limit() {
    let world = World::new(&[Act::AnswerWhenReleased("1"), Act::AnswerWhenReleased("2")]);
    let daemon = world.daemon().await;
    for key in ["m1", "m2", "m3"] {
        daemon.receive(key, "alice", "", key).await.unwrap();
    }
    daemon.until("TaskQueued", 3).await;
    daemon.until("AgentEventObserved", 2).await;
    assert_eq!(world.count("TaskStarted"), 2);
    world.sandbox.release.add_permits(2);
    daemon.until("TaskCompleted", 3).await;
    daemon.drain().await;
    assert_eq!(*world.sandbox.most_alive.lock().unwrap(), 2);
}

#[tokio::test]
async fn an_unusable_session_is_left_and_the_message_answered_in_a_fresh_one() {
    let acts = [
        Act::Answer("Good."),
        Act::UnknownSession,
        Act::Answer("Fresh."),
    ];
    let world = World::new(&acts);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
    daemon.until("TaskCompleted", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    daemon
        .receive("m2", "alice", &conversation, "Second.")
        .await
        .unwrap();
    daemon.until("DeliverySucceeded", 3).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert_eq!(ran[1].run.task, ran[2].run.task);
    assert_eq!((ran[1].run.attempt, ran[2].run.attempt), (1, 2));
    assert!(ran[2].prompt.contains("> Good."), "{}", ran[2].prompt);
    assert!(!ran[2].argv.contains(&"--resume".to_owned()));
    // Gap 19: what the first run cost is not lost.
    assert_eq!(world.channel.replies()[1].body, "Fresh.\n\n*Cost: $0.0150*");
}

#[tokio::test]
async fn gap_19_the_effort_is_kept_in_the_recovery_and_every_attempt_is_counted() {
    let acts = [
        Act::Answer("Good."),
        Act::UnknownSession,
        Act::SpendUntilTimeout,
    ];
    let mut world = World::new(&acts);
    world.effort = Some("high".to_owned());
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
    daemon.until("TaskCompleted", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    let second = daemon.receive("m2", "alice", &conversation, "Second.");
    second.await.unwrap();
    daemon.until("DeliverySucceeded", 3).await;
    daemon.drain().await;
    for run in world.sandbox.ran.lock().unwrap().iter() {
        let at = run.argv.iter().position(|word| word == "--effort").unwrap();
        assert_eq!(run.argv[at + 1], "high");
    }
    let reply = world.channel.replies().remove(1).body;
    assert!(reply.contains("time limit"), "{reply}");
    assert!(reply.contains("Looking."), "{reply}");
    // The unusable session's half cent, and what the run at its time limit had used.
    assert!(reply.ends_with("*Cost: $10.0050*"), "{reply}");
}

#[tokio::test]
async fn gap_19_what_a_restart_cut_off_is_counted_once() {
    let acts = [Act::SpendAndHang, Act::SpendAndHang, Act::Answer("Done.")];
    let world = World::new(&acts);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
    daemon.until("AgentEventObserved", 2).await;
    daemon.crash().await;
    let daemon = world.daemon().await;
    daemon.until("AgentEventObserved", 4).await;
    daemon.crash().await;
    let daemon = world.daemon().await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    assert_eq!(world.count("RunCutOff"), 2);
    let reply = world.channel.replies().remove(0).body;
    assert!(reply.ends_with("*Cost: $20.0100*"), "{reply}");
}

#[tokio::test]
async fn a_session_that_a_crash_left_as_unusable_is_not_tried_again() {
    let acts = [
        Act::Answer("Good."),
        Act::UnknownSessionAndHang,
        Act::Answer("Fresh."),
    ];
    let world = World::new(&acts);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
    daemon.until("TaskCompleted", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    let second = daemon.receive("m2", "alice", &conversation, "Second.");
    second.await.unwrap();
    daemon.until("AgentEventObserved", 4).await;
    daemon.crash().await;
    let daemon = world.daemon().await;
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert_eq!(ran.len(), 3);
    assert!(ran[1].argv.contains(&"--resume".to_owned()));
    assert!(!ran[2].argv.contains(&"--resume".to_owned()));
    assert!(ran[2].prompt.contains("> Good."), "{}", ran[2].prompt);
    let directory = format!("work/conversations/{conversation}/events.jsonl");
    let lines = std::fs::read_to_string(world.state_dir().join(directory)).unwrap();
    // Each run's lines once, and a blank line between two runs.
    assert_eq!(lines.lines().count(), 3 + 1 + 1 + 1 + 3, "{lines}");
}

#[tokio::test]
async fn a_drain_lets_the_running_task_end_and_begins_no_other() {
    let world = World::new(&[Act::AnswerWhenReleased("Last.")]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    daemon
        .receive("m2", "alice", &conversation, "Second.")
        .await
        .unwrap();
    daemon.until("TaskQueued", 2).await;
    daemon.signals.drain.cancel();
    world.sandbox.release.add_permits(1);
    daemon.drain().await;
    assert_eq!(world.channel.replies().len(), 1);
    assert_eq!(world.count("TaskStarted"), 1);
    let daemon = world.daemon().await;
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
    let events = world.events();
    let interrupted = events
        .iter()
        .any(|recorded| matches!(recorded.event, Event::Task(TaskEvent::Interrupted(_))));
    assert!(
        !interrupted,
        "gap 5: what waited at the shutdown is not lost, and begins once"
    );
}

/// Set once the later of two messages was read.
static LATER_WAS_READ: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

#[tokio::test]
async fn messages_of_one_source_are_routed_in_the_order_they_were_received_in() {
    let world = World::new(&[]);
    *world.channel.change.lock().unwrap() = Some(|triaged| {
        let (was_read, changed) = &LATER_WAS_READ;
        let mut was_read = was_read.lock().unwrap();
        if triaged.body == "Later." {
            *was_read = true;
            changed.notify_all();
        } else {
            drop(changed.wait_while(was_read, |was_read| !*was_read).unwrap());
        }
    });
    let daemon = world.daemon().await;
    for (key, text) in [("m1", "Earlier."), ("m2", "Later.")] {
        daemon.receive(key, "alice", "", text).await.unwrap();
    }
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
    let routed: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|recorded| match recorded.event {
            Event::Message(MessageEvent::Routed(routed)) => Some(routed.inbound),
            _ => None,
        })
        .collect();
    assert_eq!(routed, ["m1", "m2"].map(InboundId::from_dedupe_key));
}
