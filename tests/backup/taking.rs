//! Taking a backup: beside a writer, only what is new, and never over what it should keep.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use airut::events::id::{AtMs, StreamId};
use airut::events::log::{Append, Context};
use airut::events::seal::BODY_OVERHEAD_BYTES;

use crate::fixture::{Machine, block_on, change_byte, copy_all, cut, event, words};

/// Lets the writer end, also when the test fails.
struct StopsWriter<'a>(&'a AtomicBool);

impl Drop for StopsWriter<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn length(path: &std::path::Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn only_what_is_new_is_copied() {
    let machine = Machine::new(20);
    machine.append_body(b"the first prompt");
    let first = machine.back_up();
    let journal = machine.log().join("journal");
    assert_eq!((first.events, first.bodies), (21, 1));
    assert_eq!(first.body_bytes, 16 + BODY_OVERHEAD_BYTES);
    assert_eq!(first.journal_bytes, length(&journal));
    let before = length(&journal);
    machine.append(3);
    machine.append_body(b"another");
    let second = machine.back_up();
    assert_eq!(second.journal_bytes, length(&journal) - before);
    assert_eq!((second.events, second.bodies), (25, 1));
    assert_eq!(second.body_bytes, 7 + BODY_OVERHEAD_BYTES);
    let third = machine.back_up();
    assert_eq!((third.journal_bytes, third.bodies), (0, 0));
    assert_eq!((third.events, third.root), (25, second.root));
}

#[test]
fn a_backup_beside_a_writer_is_whole_and_grows_with_the_log() {
    let machine = Machine::new(10);
    machine.back_up();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stops = StopsWriter(&stop);
        scope.spawn(|| {
            block_on(async {
                let log = machine.open();
                let stream = StreamId::from_stored("stream:2".to_owned());
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let events = vec![event(number), event(number + 1)];
                    let append = Append::to(&stream, events, Context::system(AtMs(8)));
                    log.append(append).await.unwrap();
                }
                log.close().await;
            });
        });
        let mut events = 10;
        while events < 100 {
            let done = machine.back_up();
            assert!(done.events >= events, "it became shorter");
            assert_eq!(machine.checkpoint().checkpoint().root, done.root);
            events = done.events;
        }
    });
    let restored = Machine::empty();
    let key = machine.log().join("log.key");
    let backup = machine.backup();
    let (backup, key) = (backup.to_str().unwrap(), key.to_str().unwrap());
    let output = restored.airut(&["restore", backup, "--key", key]);
    assert!(output.status.success(), "{}", words(&output));
}

#[test]
fn an_interrupted_backup_is_taken_up() {
    let machine = Machine::new(20);
    let body = machine.append_body(b"the body");
    let whole = machine.back_up();
    let journal = machine.backup().join("log/journal");
    let checkpoint = machine.backup().join("checkpoint");
    let (bytes, kept) = (length(&journal), std::fs::read(&journal).unwrap());
    let signed = std::fs::read(&checkpoint).unwrap();
    machine.append(6);
    // What a crash may leave behind the checkpoint: zeros, other bytes, half a group.
    for leftover in [&[0_u8; 300][..], b"other bytes", &[200, 0, 0, 0, 9]] {
        std::fs::write(&journal, [&kept, leftover].concat()).unwrap();
        let done = machine.back_up();
        let source = std::fs::read(machine.log().join("journal")).unwrap();
        assert_eq!(std::fs::read(&journal).unwrap(), source);
        assert_eq!(done.events, 27);
        std::fs::write(&checkpoint, &signed).unwrap();
    }
    // And what a disk may lose.
    cut(&journal, bytes / 2);
    cut(&machine.backup().join("blobs").join(&body), 3);
    let done = machine.back_up();
    assert_eq!((done.bodies, done.body_bytes), (1, 8 + BODY_OVERHEAD_BYTES));
    assert!(done.events > whole.events);
    // The first run of all, interrupted before it had a checkpoint.
    std::fs::remove_file(&checkpoint).unwrap();
    change_byte(&journal, 9);
    assert_eq!(machine.back_up().events, 27);
}

#[test]
fn a_backup_that_was_changed_is_not_extended() {
    let machine = Machine::new(20);
    machine.back_up();
    let before = machine.checkpoint();
    change_byte(&machine.backup().join("log/journal"), 9);
    machine.append(2);
    let refusal = machine.refusal();
    assert!(
        refusal.contains("differs from the log at byte"),
        "{refusal}"
    );
    assert_eq!(machine.checkpoint(), before);
    change_byte(&machine.backup().join("log/journal"), 9);
    change_byte(&machine.backup().join("checkpoint"), 9);
    let refusal = machine.refusal();
    assert!(refusal.contains("checkpoint"), "{refusal}");
}

#[test]
fn a_log_that_was_rolled_back_or_rewritten_does_not_touch_the_backup() {
    let machine = Machine::new(20);
    let earlier = machine.home.path().join("earlier");
    copy_all(&machine.state(), &earlier);
    machine.append(6);
    machine.back_up();
    let before = machine.checkpoint();
    std::fs::remove_dir_all(machine.state()).unwrap();
    copy_all(&earlier, &machine.state());
    let refusal = machine.refusal();
    assert!(
        refusal.contains("the log has 20 events and the backup 26"),
        "{refusal}"
    );
    machine.append_events(&(100..130).map(event).collect::<Vec<_>>());
    let refusal = machine.refusal();
    assert!(refusal.contains("the log was rewritten"), "{refusal}");
    assert_eq!(machine.checkpoint(), before);
}

#[test]
fn a_damaged_log_does_not_touch_the_backup() {
    let machine = Machine::new(20);
    machine.back_up();
    change_byte(&machine.log().join("journal"), 400);
    let refusal = machine.refusal();
    assert!(refusal.contains("airut verify"), "{refusal}");
}

#[test]
fn a_directory_of_another_log_or_of_other_things_is_refused() {
    let (machine, other) = (Machine::new(4), Machine::new(4));
    other.back_up();
    copy_all(&other.backup(), &machine.backup());
    let refusal = machine.refusal();
    assert!(refusal.contains("is a backup of the log"), "{refusal}");
    std::fs::remove_dir_all(machine.backup()).unwrap();
    std::fs::create_dir(machine.backup()).unwrap();
    std::fs::write(machine.backup().join("letter"), "").unwrap();
    let refusal = machine.refusal();
    assert!(refusal.contains("is no backup"), "{refusal}");
    let state = machine.state();
    let output = machine.airut(&["backup", state.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(
        words(&output).contains("is no backup"),
        "{}",
        words(&output)
    );
}

#[test]
fn a_body_that_the_log_lost_fails_the_backup_of_everything_else() {
    let machine = Machine::new(4);
    let body = machine.append_body(b"lost");
    machine.append_body(b"kept");
    std::fs::remove_file(machine.state().join("blobs").join(body)).unwrap();
    let backup = machine.backup();
    let output = machine.airut(&["backup", backup.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(
        words(&output).contains("event 5: the body"),
        "{}",
        words(&output)
    );
    assert_eq!(machine.checkpoint().checkpoint().size, 6);
}

#[test]
fn the_private_key_goes_with_it_only_when_asked_for() {
    let machine = Machine::new(4);
    machine.back_up();
    let copy = machine.backup().join("log/log.key");
    assert!(!copy.exists());
    let backup = machine.backup();
    let backup = backup.to_str().unwrap();
    let output = machine.airut(&["backup", backup, "--with-key"]);
    assert!(output.status.success(), "{}", words(&output));
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // From then on it follows the log's.
    let rotated = machine.airut(&["log", "rotate-key"]);
    assert!(rotated.status.success(), "{}", words(&rotated));
    machine.back_up();
    let own = std::fs::read(machine.log().join("log.key")).unwrap();
    assert_eq!(std::fs::read(&copy).unwrap(), own);
    let restored = Machine::empty();
    let output = restored.airut(&["restore", backup]);
    assert!(output.status.success(), "{}", words(&output));
}

#[test]
fn after_a_conversation_is_forgotten_the_next_backup_forgets_it_too() {
    let machine = Machine::new(4);
    let body = machine.append_body(b"the prompt");
    machine.back_up();
    let copies = [machine.state(), machine.backup()];
    let file = |place: &std::path::Path| place.join("blobs").join(&body);
    let key = |place: &std::path::Path| place.join("keys/00/000000000001");
    assert!(copies.iter().all(|place| file(place).exists()));
    assert!(copies.iter().all(|place| length(&key(place)) == 32));
    machine.forget(&body);
    let done = machine.back_up();
    assert_eq!(done.erased_bytes, 10 + BODY_OVERHEAD_BYTES);
    assert_eq!(done.lacking.count, 0);
    assert!(copies.iter().all(|place| !file(place).exists()));
    assert!(copies.iter().all(|place| length(&key(place)) == 0));
    let backup = machine.backup();
    let drilled = machine.airut(&["backup", backup.to_str().unwrap(), "--drill"]);
    let said = words(&drilled);
    assert!(drilled.status.success(), "{said}");
    let key = std::fs::read_to_string(backup.join("public-key")).unwrap();
    let (state, key) = (backup.to_str().unwrap(), key.trim());
    let verified = machine.airut(&["verify", "--state", state, "--key", key]);
    let said = words(&verified);
    assert!(said.contains("bodies  0 of 1 whole, 1 erased"), "{said}");
    assert!(said.contains("1 bodies of conversation 00000001"), "{said}");
    assert!(verified.status.success(), "{said}");
}
