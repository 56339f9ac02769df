//! `airut send`: a message without any account.

use std::fs;
use std::process::{Output, Stdio};

use crate::common::log::count;
use crate::common::{Event, PATIENCE, Plan, World, until};

#[test]
fn a_local_message_is_answered_on_the_command_line() {
    let Some(world) = World::start(&Plan {
        mail: false,
        ..Plan::default()
    }) else {
        return;
    };
    let mut daemon = world.daemon();
    let attached = world.dir.join("list.txt");
    fs::write(&attached, "bread\n").unwrap();
    let attached = attached.to_string_lossy();
    let prompt = "[[bash:cat /inbox/list.txt && echo made > /outbox/made.txt]] [[say:Sent back.]]";
    let saved = world.dir.join("saved");
    let saved_dir = saved.to_string_lossy();
    let first = world.launch.output(&[
        "send",
        "--repo",
        "work",
        "--attach",
        &attached,
        "--save-dir",
        &saved_dir,
        "--wait",
        prompt,
    ]);
    assert!(said(&first).contains("Sent back."), "{first:?}");
    assert_eq!(
        fs::read_to_string(saved.join("made.txt")).unwrap(),
        "made\n"
    );

    let replied = daemon.await_replies(1);
    let conversation = replied.correlation().to_owned();
    let second =
        world
            .launch
            .output(&["send", "--conversation", &conversation, "--wait", "Go on."]);
    assert!(said(&second).contains("Answer after"), "{second:?}");
    daemon.await_replies(2);
    assert_eq!(count(daemon.seen(), "ConversationCreated"), 1);

    let queued = |event: &&Event| event.kind() == "TaskQueued";
    let task = daemon.seen().iter().find(queued).unwrap().text("task");
    let again = world.launch.output(&["reply", task]);
    assert!(said(&again).contains("Sent back."), "{again:?}");
    let told = world
        .launch
        .output(&["replay", "--conversation", &conversation]);
    assert!(said(&told).contains("Sent back."), "{told:?}");
    // The same while the daemon has the log: what the task could reach, who allowed it, what it sent.
    let reached = world.launch.output(&["replay", "--task", task]);
    for words in [
        "allowlist of commit",
        "last changed in",
        "ALLOWED POST",
        "bytes up",
    ] {
        assert!(said(&reached).contains(words), "{words}: {reached:?}");
    }
    assert!(daemon.stop().success());

    let board = world
        .launch
        .output(&["replay", "--to", &replied.position().to_string()]);
    assert!(said(&board).contains(&conversation), "{board:?}");
}

#[test]
fn who_waits_for_an_answer_gets_it_from_the_next_daemon() {
    let Some(world) = World::start(&Plan {
        mail: false,
        ..Plan::default()
    }) else {
        return;
    };
    let mut daemon = world.daemon();
    let prompt = "[[hold:restart]][[say:Late, but here.]]";
    let mut command = world.launch.command(&["send", "--wait", prompt]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let waiting = command.stderr(Stdio::piped()).spawn().unwrap();
    until("the agent's question", PATIENCE, || {
        (!world.hosts.turns().is_empty()).then_some(())
    });
    daemon.signal("KILL");
    daemon.await_end(PATIENCE);
    drop(daemon);

    let mut daemon = world.daemon();
    world.hosts.release("restart");
    let told = waiting.wait_with_output().unwrap();
    // What the agent made of it is shown elsewhere; here it counts that the waiting had an end.
    assert!(told.status.success(), "{told:?}");
    assert!(said(&told).contains("[conversation "), "{told:?}");
    assert!(daemon.stop().success());
}

#[test]
fn without_a_daemon_a_message_is_refused_with_words() {
    let Some(world) = World::start(&Plan {
        mail: false,
        ..Plan::default()
    }) else {
        return;
    };
    let mut command = world.launch.command(&["send", "Hello?"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("run-gateway"), "it says what to do: {words}");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
