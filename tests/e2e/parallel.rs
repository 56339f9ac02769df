//! Two conversations at once.

use crate::common::mail::{ALICE, message};
use crate::common::{PATIENCE, Plan, World, until};
use crate::e2e::mail_loop::the_reply;

#[test]
fn two_conversations_run_in_parallel() {
    let Some(world) = World::start(&Plan::default()) else {
        return;
    };
    let mut daemon = world.daemon();
    for who in ["left", "right"] {
        let body = format!("[[hold:both]][[say:From {who}.]]");
        world.mail().send(
            ALICE,
            &message(ALICE, &format!("{who}@example.test"), who, &body),
        );
    }
    // Neither answer is let go before both agents have asked.
    until("two agents at once", PATIENCE, || {
        (world.hosts.turns().len() == 2).then_some(())
    });
    world.hosts.release("both");
    daemon.await_replies(2);
    the_reply(&world, "left@example.test", "From left.");
    the_reply(&world, "right@example.test", "From right.");
    let events = daemon.seen();
    let made = events
        .iter()
        .filter(|event| event.kind() == "ConversationCreated");
    assert_eq!(made.count(), 2);
}
