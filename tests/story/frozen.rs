//! What becomes of a conversation whose run was frozen.

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
    assert!(told.contains("podman rm --force"), "{told}");
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
