//! A full house: what is told at once though every worker is busy, what is turned away, and what a
//! stop does to whatever waits.

use airut::config::types::QueueLimits;
use airut::events::Event;
use airut::events::delivery::DeliveryKind;
use airut::events::event::TaskEvent;
use airut::events::task::CompletionReason;
use airut::handlers::channels::OutboundMessage;
use airut::handlers::operator::StopTarget;

use crate::fakes::Act;
use crate::world::{Daemon, World, conversation_of};

/// A world whose two workers are busy until the story goes on.
async fn full_house(limits: QueueLimits) -> (World, Daemon) {
    let busy = Act::AnswerWhenReleased("Done.");
    let mut world = World::new(&[busy.clone(), busy]);
    world.limits = limits;
    let daemon = world.daemon().await;
    for key in ["busy1", "busy2"] {
        daemon.receive(key, "zoe", "", key).await.unwrap();
    }
    daemon.until("AgentEventObserved", 2).await;
    (world, daemon)
}

fn told(world: &World, to: &str, kind: DeliveryKind) -> Vec<String> {
    let arrived = world.channel.arrived.lock().unwrap();
    let is_to = |message: &&OutboundMessage| {
        let target = format!("{:?}", message.target);
        message.kind == kind && target.contains(&format!("{to}@example.test"))
    };
    arrived
        .iter()
        .filter(is_to)
        .map(|message| message.body.clone())
        .collect()
}

#[tokio::test]
async fn gap_38_with_all_workers_busy_everybody_is_told_at_once() {
    let (world, daemon) = full_house(QueueLimits::default()).await;
    daemon.receive("m1", "alice", "", "Do it.").await.unwrap();
    daemon.receive("m2", "mallory", "", "Do it.").await.unwrap();
    daemon.receive("m3", "bob", "", "/status").await.unwrap();
    daemon
        .receive("m4", "carol", "", "Too long: shorten it.")
        .await
        .unwrap();
    daemon.until("MessageRejected", 1).await;
    daemon.until("TaskHeld", 1).await;
    daemon.until("TaskCompleted", 2).await;
    // Two acknowledgements of what runs, one of what waits, and two answers.
    daemon.until("DeliverySucceeded", 5).await;
    assert_eq!(world.count("TaskStarted"), 2, "nobody took a worker");
    let tasks = daemon.operator.tasks().await.unwrap();
    let holds: Vec<_> = tasks.iter().map(|task| task.holds.join(", ")).collect();
    assert_eq!(holds, ["", "", "workers"]);
    let waits = told(&world, "alice", DeliveryKind::Acknowledgement);
    assert!(waits[0].contains("2 other tasks run or wait"), "{waits:?}");
    assert!(waits[0].contains("`/stop`"), "{waits:?}");
    let status = told(&world, "bob", DeliveryKind::Reply);
    assert!(status[0].contains("2 tasks run"), "{status:?}");
    assert_eq!(
        told(&world, "carol", DeliveryKind::Reply),
        ["Too long: shorten it."]
    );
    world.sandbox.release.add_permits(2);
    daemon.until("TaskCompleted", 5).await;
    daemon.drain().await;
    // That it waited was told in place of that it began.
    assert_eq!(
        told(&world, "alice", DeliveryKind::Acknowledgement).len(),
        1
    );
    assert_eq!(world.count("TaskHeld"), 1);
}

#[tokio::test]
async fn a_full_queue_turns_away_with_words_and_still_takes_commands() {
    let limits = QueueLimits {
        waiting_per_sender_max: 2,
        waiting_max: 3,
        ..QueueLimits::default()
    };
    let (world, daemon) = full_house(limits).await;
    for key in ["a1", "a2", "a3"] {
        daemon.receive(key, "alice", "", key).await.unwrap();
    }
    for key in ["b1", "b2"] {
        daemon.receive(key, "bob", "", key).await.unwrap();
    }
    daemon.until("TaskTurnedAway", 2).await;
    let conversation = conversation_of(&world.events(), "a1");
    daemon
        .receive("a4", "alice", &conversation, "/stop")
        .await
        .unwrap();
    // The two that were turned away, the command, and what it stopped.
    daemon.until("TaskCompleted", 4).await;
    daemon.receive("a5", "alice", "", "a5").await.unwrap();
    daemon.until("TaskQueued", 9).await;
    world.sandbox.release.add_permits(2);
    daemon.until("TaskCompleted", 9).await;
    daemon.drain().await;
    let (alice, bob) = (
        told(&world, "alice", DeliveryKind::Reply),
        told(&world, "bob", DeliveryKind::Reply),
    );
    assert!(
        alice[0].contains("2 of your messages wait already"),
        "{alice:?}"
    );
    assert!(bob[0].contains("3 messages wait already"), "{bob:?}");
    assert_eq!(world.count("TaskTurnedAway"), 2);
    assert_eq!(world.sandbox.ran.lock().unwrap().len(), 2 + 3);
}

/// Returns how the tasks ended that somebody stopped, in words.
fn stopped(world: &World) -> Vec<String> {
    let events = world.events().into_iter();
    let ends = events.filter_map(|recorded| match recorded.event {
        Event::Task(TaskEvent::Completed(completed)) => {
            (completed.reason == CompletionReason::Stopped).then_some(completed.detail)
        }
        _ => None,
    });
    ends.collect()
}

#[tokio::test]
async fn gap_21_a_stop_is_reported_as_what_it_was_to_what_waits_and_to_what_runs() {
    let world = World::new(&[Act::Hang, Act::AnswerWhenReleased("Done.")]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Runs.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    daemon
        .receive("m2", "zoe", "", "Keeps the other worker.")
        .await
        .unwrap();
    daemon.until("AgentEventObserved", 2).await;
    let waiting = daemon.receive("m3", "bob", "", "Waits.").await.unwrap();
    daemon.until("TaskHeld", 1).await;
    let target = StopTarget::Task(waiting.task);
    daemon
        .operator
        .stop(target, "olive".to_owned())
        .await
        .unwrap();
    daemon.until("TaskCompleted", 1).await;
    let conversation = conversation_of(&world.events(), "m1");
    let queued = daemon.receive("m4", "alice", &conversation, "Waits for the first.");
    queued.await.unwrap();
    daemon.until("TaskQueued", 4).await;
    daemon
        .receive("m5", "alice", &conversation, "/stop")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 4).await;
    world.sandbox.release.add_permits(1);
    daemon.until("TaskCompleted", 5).await;
    daemon.drain().await;
    let mut ends = stopped(&world);
    ends.sort();
    assert_eq!(
        ends,
        [
            "stopped by alice while it ran",
            "stopped by alice while it waited for its turn",
            "stopped by olive while it waited for its turn",
        ]
    );
    let bob = told(&world, "bob", DeliveryKind::Reply);
    assert!(
        bob[0].contains("before any work on it began. Nothing was done."),
        "{bob:?}"
    );
    let alice = told(&world, "alice", DeliveryKind::Reply).join("\n");
    assert!(
        alice.contains("stopped on request by alice. Work done so far"),
        "{alice}"
    );
    assert_eq!(world.sandbox.ran.lock().unwrap().len(), 2);
}
