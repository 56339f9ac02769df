//! A stop that lets running work finish: the sandbox stays up until it has (gap 4).

use crate::common::mail::{ALICE, message};
use crate::common::{PATIENCE, Plan, World, until};
use crate::e2e::mail_loop::the_reply;

#[test]
fn a_stop_lets_the_running_task_finish_and_answer() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut daemon = world.daemon();
    let body = "[[hold:drain]][[say:Finished.]]";
    world
        .mail()
        .send(ALICE, &message(ALICE, "drain@example.test", "Slow", body));
    until("the agent's question", PATIENCE, || {
        (!world.hosts.turns().is_empty()).then_some(())
    });

    daemon.signal("TERM");
    daemon.await_event("the drain", |event| event.kind() == "DrainStarted");
    world.hosts.release("drain");
    assert!(daemon.await_end(PATIENCE).success());
    the_reply(&world, "drain@example.test", "Finished.");

    let events = world.events();
    let last = events.last().unwrap();
    assert_eq!(
        (last.kind(), last.field("unfinished").as_u64()),
        ("ServiceStopped", Some(0))
    );
    assert_eq!(world.sandboxes(&events), Vec::<String>::new());
}
