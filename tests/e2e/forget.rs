//! `airut forget`: with the real daemon, sandbox and Claude Code nothing of what was said is left in
//! the state directory, and the log verifies.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::common::{Plan, World};

/// Words of the message, of its file and its name, of the agent and of its file.
const CANARIES: [&str; 5] = [
    "canary-of-the-message",
    "canary-of-the-file",
    "canary-name.txt",
    "canary-of-the-agent",
    "canary-outbox.txt",
];

#[test]
fn nothing_of_a_forgotten_conversation_is_left_in_the_state_directory() {
    let Some(world) = World::start(&Plan {
        mail: false,
        ..Plan::default()
    }) else {
        return;
    };
    let mut daemon = world.daemon();
    let attached = world.dir.join(CANARIES[2]);
    fs::write(&attached, CANARIES[1]).unwrap();
    let prompt = format!(
        "{} [[bash:echo made > /outbox/{}]] [[say:{}]]",
        CANARIES[0], CANARIES[4], CANARIES[3]
    );
    let attached = attached.to_string_lossy();
    let arguments = [
        "send", "--repo", "work", "--attach", &attached, "--wait", &prompt,
    ];
    let sent = world.launch.output(&arguments);
    assert!(said(&sent).contains(CANARIES[3]), "{sent:?}");
    let conversation = daemon.await_replies(1).correlation().to_owned();
    let state = world.dir.join("state/airut");
    assert!(found(&state).len() >= 3, "{:?}", found(&state));

    let forgotten = world.launch.output(&["forget", &conversation]);
    assert!(forgotten.status.success(), "{forgotten:?}");
    let words = said(&forgotten);
    for expected in [
        "destroyed keys: 1,",
        "erased bodies: ",
        "bytes are free again",
    ] {
        assert!(words.contains(expected), "{words}");
    }
    assert_eq!(found(&state), Vec::<&str>::new());

    let verified = world.launch.output(&["verify"]);
    assert!(verified.status.success(), "{verified:?}");
    let words = said(&verified);
    assert!(
        words.contains(&format!("of conversation {conversation}")),
        "{words}"
    );
    let told = world
        .launch
        .output(&["replay", "--conversation", &conversation]);
    assert!(
        said(&told).contains("[erased]") && said(&told).contains("FORGOTTEN"),
        "{told:?}"
    );
    let again = world.launch.output(&["forget", &conversation]);
    assert!(again.status.success(), "{again:?}");
    let unknown = world.launch.output(&["forget", "00000001"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert!(daemon.stop().success());
    assert_eq!(found(&state), Vec::<&str>::new());
    let without = world.launch.output(&["forget", &conversation]);
    let words = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(words.contains("start it first"), "{words}");
}

fn found(state: &Path) -> Vec<&'static str> {
    let mut bytes = Vec::new();
    gather(state, &mut bytes);
    let has = |canary: &&&str| {
        let canary = canary.as_bytes();
        bytes.windows(canary.len()).any(|part| part == canary)
    };
    CANARIES.iter().filter(has).copied().collect()
}

fn gather(directory: &Path, bytes: &mut Vec<u8>) {
    // What goes away while it is read is not there.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        // The agent's program is large, and says nothing of anybody.
        if path.ends_with("claude-binaries") {
            continue;
        }
        bytes.extend(entry.file_name().as_encoded_bytes());
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => gather(&path, bytes),
            false => bytes.extend(fs::read(&path).unwrap_or_default()),
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
