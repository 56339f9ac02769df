//! The daemon dies between any two commits, and every message still gets exactly one answer, or one
//! that is labelled as a possible duplicate.

use airut::events::Event;
use airut::events::event::TaskEvent;
use airut::events::task::InterruptionDecision;
use airut::projections::Feed;
use airut::projections::views::Views;

use crate::fakes::Act;
use crate::world::World;

/// Runs the way of one message with a crash after each number of commits, until none is met.
async fn crash_everywhere(searchable: bool) -> u64 {
    for commits in 1.. {
        let world = World::new(&[]);
        *world.channel.is_searchable.lock().unwrap() = searchable;
        let unharmed = live_through(&world, commits).await;
        let daemon = world.daemon().await;
        // The source was not told before the message was durable, so it hands it in again.
        daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
        daemon.until("TaskCompleted", 1).await;
        settle(&world, &daemon).await;
        daemon.drain().await;
        check(&world, commits, searchable);
        if unharmed {
            return commits;
        }
    }
    unreachable!("the way of a message is finite")
}

/// Returns whether the message was answered before the machine was gone.
async fn live_through(world: &World, commits: u64) -> bool {
    let Some(daemon) = world.daemon_that_dies_after(commits).await else {
        return false;
    };
    let received = daemon.receive("m1", "alice", "", "Hello.").await;
    let mut unharmed = false;
    if received.is_ok() {
        let wait = async {
            loop {
                let deliveries = world.count("DeliverySucceeded");
                if deliveries == 2 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let patience = std::time::Duration::from_millis(400);
        unharmed = tokio::time::timeout(patience, wait).await.is_ok();
    }
    daemon.crash().await;
    unharmed
}

/// Waits until the outbox is empty.
async fn settle(world: &World, daemon: &crate::world::Daemon) {
    daemon.until("ReplyRecorded", 1).await;
    let empty = async {
        while !world.views().view().state.outbox.open().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let settled = tokio::time::timeout(std::time::Duration::from_secs(20), empty).await;
    settled.expect("the outbox empties");
}

#[track_caller]
fn check(world: &World, commits: u64, searchable: bool) {
    let place = format!("crash after {commits} commits, searchable: {searchable}");
    assert_eq!(world.count("TaskCompleted"), 1, "{place}");
    assert_eq!(world.count("ReplyRecorded"), 1, "{place}");
    assert_eq!(world.count("MessageReceived"), 1, "{place}");
    let replies = world.channel.replies();
    let unlabelled = replies
        .iter()
        .filter(|reply| !reply.labelled_duplicate)
        .count();
    assert_eq!(unlabelled.max(1), 1, "{place}: two unlabelled answers");
    assert!(
        (1..=2).contains(&replies.len()),
        "{place}: {} answers",
        replies.len()
    );
    if searchable {
        assert_eq!(replies.len(), 1, "{place}");
    }
    for (index, recorded) in world.events().iter().enumerate() {
        assert_eq!(recorded.position.0, index as u64 + 1, "{place}: a gap");
    }
    assert!(
        world.sandbox.alive.lock().unwrap().is_empty(),
        "{place}: an orphan"
    );
}

#[tokio::test]
async fn a_crash_between_any_two_commits_leaves_exactly_one_answer() {
    let boundaries = crash_everywhere(true).await;
    assert!(boundaries >= 12, "only {boundaries} boundaries");
}

#[tokio::test]
async fn where_nothing_can_be_searched_a_second_answer_is_labelled() {
    crash_everywhere(false).await;
}

#[tokio::test]
async fn an_agent_that_was_cut_off_is_run_again_in_its_session() {
    let world = World::new(&[Act::Hang, Act::Answer("Done after all.")]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    daemon.crash().await;
    assert_eq!(world.count("TaskCompleted"), 0);
    let daemon = world.daemon().await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let reply = world.channel.replies().remove(0).body;
    let words = "*The service restarted while your message was being worked on.";
    assert!(
        reply.starts_with(&format!("Done after all.\n\n{words}")),
        "gap 3: {reply}"
    );
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert_eq!(ran.len(), 2);
    assert_eq!(
        ran[1].argv[..2],
        ["--resume".to_owned(), format!("session-{}", ran[0].run)]
    );
    assert!(
        ran[1].prompt.contains("you were cut off"),
        "{}",
        ran[1].prompt
    );
}

#[tokio::test]
async fn an_answer_that_was_complete_is_used_without_a_second_run() {
    let world = World::new(&[Act::AnswerAndHang("Already done.")]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("AgentEventObserved", 3).await;
    daemon.crash().await;
    let daemon = world.daemon().await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    assert_eq!(world.sandbox.ran.lock().unwrap().len(), 1);
    let reply = world.channel.replies().remove(0).body;
    assert_eq!(
        reply, "Already done.\n\n*Cost: $0.0100*",
        "gap 3: nothing ran again"
    );
}

#[tokio::test]
async fn a_task_that_ends_the_service_again_and_again_is_given_up() {
    let world = World::new(&[Act::Hang, Act::Hang, Act::Hang, Act::Hang]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    daemon.crash().await;
    for runs in 2..=4 {
        let daemon = world.daemon().await;
        daemon.until("AgentEventObserved", runs).await;
        daemon.crash().await;
    }
    let daemon = world.daemon().await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let events = world.events();
    let abandoned = events.iter().any(|recorded| {
        matches!(&recorded.event, Event::Task(TaskEvent::Interrupted(interrupted))
            if interrupted.decision == InterruptionDecision::Abandon)
    });
    assert!(abandoned);
    let reply = world.channel.replies().remove(0).body;
    assert!(reply.contains("restarted"), "{reply}");
}

#[tokio::test]
async fn every_view_rebuilt_from_any_checkpoint_equals_the_live_one() {
    let world = World::new(&[Act::Hang, Act::Answer("Done.")]);
    let daemon = world.daemon().await;
    daemon.receive("m1", "alice", "", "Hello.").await.unwrap();
    daemon.receive("m2", "mallory", "", "Hello.").await.unwrap();
    daemon.until("AgentEventObserved", 1).await;
    daemon.until("MessageRejected", 1).await;
    daemon.crash().await;
    let daemon = world.daemon().await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    let (events, live) = (world.events(), world.views().checkpoint());
    let mut prefix = Feed::<Views>::new();
    for recorded in &events {
        let mut rest = Feed::<Views>::restore(&prefix.checkpoint()).unwrap();
        events.iter().for_each(|recorded| rest.apply(recorded));
        assert_eq!(rest.checkpoint(), live, "cut before {}", recorded.position);
        prefix.apply(recorded);
    }
    assert_eq!(prefix.checkpoint(), live);
}
