//! What becomes of a conversation whose run was frozen.

use airut::events::Event;
use airut::events::container::ReleaseCause;
use airut::events::event::ContainerEvent;
use airut::handlers::operator::{StopRefusal, StopTarget};
use airut::projections::Projection as _;
use airut::projections::task_board::TaskBoard;

use crate::fakes::Act;
use crate::world::{World, conversation_of};

#[tokio::test]
async fn the_thread_is_told_of_a_frozen_run_and_its_session_is_not_resumed() {
    let why = "the header authorization of GET https://evil.test/; nothing of it left";
    let world = World::new(&[Act::Freeze(why), Act::Answer("Fresh.")]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "", "Please fix it.")
        .await
        .unwrap();
    daemon.until("DeliverySucceeded", 2).await;
    let told = world.channel.replies()[0].body.clone();
    assert!(told.contains("found in the header authorization"), "{told}");
    assert!(told.contains("nothing of it left"), "{told}");
    assert!(told.contains("container airut-run-x (paused)"), "{told}");
    assert!(told.contains("released by: airut stop "), "{told}");
    assert!(!told.contains("I am done."), "{told}");
    let conversation = conversation_of(&world.events(), "m1");
    daemon
        .receive("m2", "alice", &conversation, "Again.")
        .await
        .unwrap();
    daemon.until("TaskCompleted", 2).await;
    daemon.drain().await;
    let ran = world.sandbox.ran.lock().unwrap().clone();
    assert!(
        !ran[1].argv.contains(&"--resume".to_owned()),
        "{:?}",
        ran[1].argv
    );
}

#[tokio::test]
async fn a_crash_after_the_honey_surrogate_was_seen_lets_no_agent_run_again() {
    let world = World::new(&[Act::SeeHoneyAndHang("the name honey.evil.test")]);
    let daemon = world.daemon().await;
    daemon
        .receive("m1", "alice", "", "Please fix it.")
        .await
        .unwrap();
    daemon.until("HoneySurrogateSeen", 1).await;
    daemon.crash().await;
    let daemon = world.daemon().await;
    daemon.until("TaskCompleted", 1).await;
    daemon.until("DeliverySucceeded", 2).await;
    daemon.drain().await;
    assert_eq!(world.sandbox.ran.lock().unwrap().len(), 1);
    let told = world.channel.replies()[0].body.clone();
    assert!(told.contains("found in the name honey.evil.test"), "{told}");
    assert!(told.contains("its container is not kept"), "{told}");
}

#[tokio::test]
async fn an_operator_lets_a_frozen_run_go_and_is_recorded_for_it() {
    let world = World::new(&[Act::Freeze("the header x")]);
    let daemon = world.daemon().await;
    let receipt = daemon.receive("m1", "alice", "", "Fix it.").await.unwrap();
    // An answer that went out tells that the worker knows of the task's end.
    daemon.until("DeliverySucceeded", 2).await;
    let run = receipt.task.run(1);
    let frozen = || {
        let mut board = TaskBoard::default();
        world.events().iter().for_each(|event| board.apply(event));
        let card = board.get(receipt.task).unwrap();
        card.frozen
            .iter()
            .map(|frozen| frozen.run)
            .collect::<Vec<_>>()
    };
    assert_eq!(frozen(), [run]);

    // By its conversation it is the same run.
    let conversation = conversation_of(&world.events(), "m1").parse().unwrap();
    let target = StopTarget::Conversation(conversation);
    let stopped = daemon.operator.stop(target, "eve".to_owned()).await;
    let stopped = stopped.unwrap();
    assert_eq!((stopped.tasks, stopped.released), (vec![], vec![run]));
    daemon.until("FrozenRunReleased", 1).await;
    let events = world.events();
    let mut asked = events.iter().filter_map(|recorded| match &recorded.event {
        Event::Container(ContainerEvent::FrozenRunReleaseRequested(asked)) => Some(asked),
        _ => None,
    });
    assert_eq!(asked.next().unwrap().by, "eve");
    let mut released = events.iter().filter_map(|recorded| match &recorded.event {
        Event::Container(ContainerEvent::FrozenRunReleased(released)) => Some(released),
        _ => None,
    });
    assert_eq!(released.next().unwrap().cause, ReleaseCause::Requested);
    assert_eq!(frozen(), []);
    let task = StopTarget::Task(receipt.task);
    let again = daemon.operator.stop(task, "eve".to_owned()).await;
    assert_eq!(again, Err(StopRefusal::NoSuchTask(receipt.task)));
    daemon.drain().await;
}
