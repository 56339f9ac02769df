//! Restoring a backup, in earnest and on trial.

use std::path::Path;

use airut::events::Event;
use airut::events::event::ServiceEvent;
use airut::events::id::{StreamId, StreamVersion};
use airut::events::service::RestoreDrillCompleted;

use crate::fixture::{Machine, block_on, change_byte, cut, words};

/// Restores a machine's backup onto another; returns that one, whether it worked and what was said.
fn restore(machine: &Machine, more: &[&str]) -> (Machine, bool, String) {
    let (target, key) = (Machine::empty(), machine.log().join("log.key"));
    let backup = machine.backup();
    let mut arguments = vec!["restore", backup.to_str().unwrap()];
    arguments.extend(["--key", key.to_str().unwrap()]);
    arguments.extend(more);
    let output = target.airut(&arguments);
    let words = words(&output);
    (target, output.status.success(), words)
}

#[track_caller]
fn assert_refused(machine: &Machine, expected: &str) {
    let (target, restored, words) = restore(machine, &[]);
    assert!(!restored && words.contains(expected), "{words}");
    assert!(!target.log().exists(), "a refused restore left a log");
}

fn drills(machine: &Machine) -> Vec<RestoreDrillCompleted> {
    block_on(async {
        let log = machine.open();
        let events = log.read_stream(&StreamId::log(), StreamVersion(0), 100);
        log.close().await;
        let drill = |event| match event {
            Event::Service(ServiceEvent::RestoreDrillCompleted(completed)) => Some(completed),
            _ => None,
        };
        let events = events.unwrap().into_iter();
        events
            .filter_map(|recorded| drill(recorded.event))
            .collect()
    })
}

#[test]
fn a_restored_log_verifies_against_older_checkpoints_and_goes_on() {
    let machine = Machine::new(20);
    let older = machine.airut(&["checkpoint", "--size", "12"]).stdout;
    machine.append_body(b"a prompt");
    let done = machine.back_up();
    let (target, restored, words_of_it) = restore(&machine, &[]);
    assert!(restored, "{words_of_it}");
    let expected = "restored 21 events, root ";
    assert!(words_of_it.contains(expected), "{words_of_it}");
    assert!(
        words_of_it.contains("equal to the checkpoint"),
        "{words_of_it}"
    );
    target.append(5);
    let file = target.home.path().join("older");
    std::fs::write(&file, older).unwrap();
    let verified = target.airut(&["verify", "--from-checkpoint", file.to_str().unwrap()]);
    let words_of_it = words(&verified);
    assert!(verified.status.success(), "{words_of_it}");
    assert!(words_of_it.contains("events  26"), "{words_of_it}");
    assert!(
        words_of_it.contains("bodies  1 of 1 whole"),
        "{words_of_it}"
    );
    // It is the same log: its own backup goes on.
    let went_on = airut::service::backup::back_up(&target.state(), &machine.backup(), false);
    assert_eq!(went_on.unwrap().events, done.events + 5);
}

#[test]
fn a_backup_is_verified_where_it_lies() {
    let machine = Machine::new(20);
    machine.back_up();
    let backup = machine.backup();
    let key = std::fs::read_to_string(backup.join("public-key")).unwrap();
    let state = backup.to_str().unwrap();
    let verified = machine.airut(&["verify", "--state", state, "--key", key.trim()]);
    assert!(verified.status.success(), "{}", words(&verified));
}

#[test]
fn a_log_that_is_there_is_never_replaced() {
    let machine = Machine::new(4);
    machine.back_up();
    let backup = machine.backup();
    let output = machine.airut(&["restore", backup.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = words(&output);
    assert!(said.contains("there is a log with events"), "{said}");
    // A key alone is none: it is kept beside.
    let (target, key) = (Machine::empty(), machine.log().join("log.key"));
    assert!(target.airut(&["init"]).status.success());
    let arguments = [
        "restore",
        backup.to_str().unwrap(),
        "--key",
        key.to_str().unwrap(),
    ];
    let output = target.airut(&arguments);
    assert!(output.status.success(), "{}", words(&output));
    assert!(target.state().join("log.before-restore/log.key").exists());
    let own = |machine: &Machine| std::fs::read(machine.log().join("log.key")).unwrap();
    assert_eq!(own(&target), own(&machine));
}

#[test]
fn a_changed_backup_is_refused_and_says_what_differs() {
    let machine = Machine::new(20);
    machine.back_up();
    let journal = machine.backup().join("log/journal");
    for from_end in [9, 400] {
        change_byte(&journal, from_end);
        assert_refused(&machine, "the backup was changed or is damaged");
        change_byte(&journal, from_end);
    }
    let bytes = std::fs::metadata(&journal).unwrap().len();
    cut(&journal, bytes - 1);
    assert_refused(&machine, "before event 20, its last one");
    std::fs::remove_file(machine.backup().join("checkpoint")).unwrap();
    assert_refused(&machine, "there is no backup at");
}

#[test]
fn what_an_interrupted_backup_left_behind_the_checkpoint_is_not_restored() {
    let machine = Machine::new(20);
    machine.back_up();
    let journal = machine.backup().join("log/journal");
    let kept = std::fs::read(&journal).unwrap();
    for leftover in [&[0_u8; 300][..], &[200, 0, 0, 0, 9]] {
        std::fs::write(&journal, [&kept, leftover].concat()).unwrap();
        let (_target, restored, words) = restore(&machine, &[]);
        assert!(restored && words.contains("restored 20 events"), "{words}");
    }
}

#[test]
fn missing_and_damaged_bodies_are_refused_unless_the_loss_is_accepted() {
    let machine = Machine::new(4);
    let bodies = [b"first".as_slice(), b"other"].map(|body| machine.append_body(body));
    machine.back_up();
    let [missing, damaged] = bodies.map(|body| machine.backup().join("blobs").join(body));
    std::fs::remove_file(missing).unwrap();
    change_byte(&damaged, 1);
    assert_refused(&machine, "2 bodies in the backup are missing or damaged");
    let (_target, restored, words) = restore(&machine, &["--accept-loss"]);
    assert!(restored && words.contains("restored 6 events"), "{words}");
    assert!(
        words.contains("is not there") && words.contains("is damaged"),
        "{words}"
    );
}

#[test]
fn without_the_right_key_nothing_is_restored_but_a_lost_one_can_be_replaced() {
    let (machine, other) = (Machine::new(4), Machine::new(4));
    machine.back_up();
    let backup = machine.backup();
    let backup = backup.to_str().unwrap();
    let target = Machine::empty();
    let refused = |more: &[&str], expected: &str| {
        let output = target.airut(&[&["restore", backup], more].concat());
        let said = words(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!target.log().exists());
    };
    refused(&[], "give the copy that was kept with --key FILE");
    let theirs = other.log().join("log.key");
    refused(
        &["--key", theirs.to_str().unwrap()],
        "it is not signed by a key of this log",
    );
    refused(&["--key", "/nowhere"], "/nowhere: there is no such file");
    let output = target.airut(&["restore", backup, "--new-key"]);
    assert!(output.status.success(), "{}", words(&output));
    target.append(2);
}

#[test]
fn a_drill_restores_on_trial_and_records_that_it_went_well() {
    let machine = Machine::new(20);
    machine.append_body(b"a prompt");
    let backup = machine.backup();
    let output = machine.airut(&["backup", backup.to_str().unwrap(), "--drill"]);
    let said = words(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("restored 21 events on trial"), "{said}");
    let [completed] = drills(&machine).try_into().unwrap();
    let expected = RestoreDrillCompleted {
        events: 21,
        root: Some(machine.checkpoint().checkpoint().root),
        ok: true,
        detail: backup.display().to_string(),
    };
    assert_eq!(completed, expected);
    assert_eq!(leftovers(&machine.state()), 0);
}

#[test]
fn a_drill_that_fails_says_why_in_the_log_too() {
    let machine = Machine::new(20);
    let body = machine.append_body(b"a prompt");
    machine.back_up();
    change_byte(&machine.backup().join("blobs").join(body), 1);
    let backup = machine.backup();
    let arguments = ["backup", backup.to_str().unwrap(), "--drill"];
    let output = machine.airut(&arguments);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("the restore drill failed: 1 bodies"),
        "{said}"
    );
    // A backup that cannot even be taken is a drill that failed.
    change_byte(&machine.backup().join("log/journal"), 9);
    assert_eq!(machine.airut(&arguments).status.code(), Some(1));
    let [first, second] = drills(&machine).try_into().unwrap();
    assert!(
        !first.ok && first.detail.contains("is damaged"),
        "{first:?}"
    );
    assert!(
        !second.ok && second.detail.contains("differs"),
        "{second:?}"
    );
    assert_eq!(leftovers(&machine.state()), 0);
}

/// How many directories of trials are left.
fn leftovers(state: &Path) -> usize {
    let names = std::fs::read_dir(state).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("drill-")).count()
}
