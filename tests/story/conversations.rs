//! What belongs together, what waits for what, and what is resumed.

use airut::events::Event;
use airut::events::event::TaskEvent;

use crate::fakes::Act;
use crate::world::{World, conversation_of};

#[tokio::test]
async fn a_second_message_resumes_the_session() {
    let world = World::new(&[]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
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
}

#[tokio::test]
async fn messages_to_a_busy_conversation_are_answered_together() {
    let world = World::new(&[Act::AnswerWhenReleased("First."), Act::Answer("Both.")]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "First.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    for (key, sender) in [("m2", "bob"), ("m3", "carol")] {
        daemon
            .receive(key, sender, &conversation, key)
            .await
            .unwrap();
    }
    daemon.until("TaskQueued", 3).await;
    world.sandbox.release.add_permits(1);
    daemon.until("TaskCompleted", 2).await;
    daemon.until("DeliverySucceeded", 3).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert_eq!(ran.len(), 2);
    assert!(ran[1].prompt.contains("[bob ") && ran[1].prompt.contains("[carol "));
    assert_eq!(world.count("TaskCoalesced"), 1);
    let replies = world.channel.replies();
    assert_eq!(replies.len(), 2);
    let to = format!("{:?}", replies[1].target);
    assert!(to.contains("carol@example.test"), "{to}");
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
    assert!(!interrupted);
}
