//! Damaged files, lost ones, and two daemons on one log.

use std::path::Path;

use crate::ground::{Ground, words};

/// A ground whose log has some messages; returns how many.
fn used() -> (Ground, usize) {
    let ground = Ground::new();
    let mut daemon = ground.daemon();
    for number in 0..5 {
        ground.send(&format!("message {number}")).unwrap();
    }
    daemon.stop();
    drop(daemon);
    (ground, 5)
}

fn flip(path: &Path, part: f64) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = (bytes.len() as f64 * part) as usize;
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_second_daemon_is_told_who_has_the_log_and_a_kill_9_frees_it_at_once() {
    let ground = Ground::new();
    let mut first = ground.daemon();
    ground.send("to the first").unwrap();
    let before = std::fs::read(ground.log().join("anchor")).unwrap();
    let own = first.pid();
    let said = {
        let errors = ground.airut(&[
            "run-gateway",
            "--config",
            ground.path("airut.yaml").to_str().unwrap(),
        ]);
        assert_eq!(errors.status.code(), Some(2));
        words(&errors)
    };
    let expected = format!("another Airut process (process {own}) has the log at");
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains("stop it, or use its socket"), "{said}");
    assert_eq!(std::fs::read(ground.log().join("anchor")).unwrap(), before);
    ground.send("the first one still works").unwrap();
    first.kill_9();
    let mut second = ground.daemon();
    ground.check_nothing_lost(2);
    second.stop();
    // The number of a process that runs, but has nothing to do with it.
    std::fs::write(ground.log().join("lock"), "1\n").unwrap();
    ground.daemon().stop();
}

#[test]
fn a_damaged_journal_is_refused_with_what_to_do_and_left_as_it_is() {
    let (ground, _) = used();
    let journal = ground.log().join("journal");
    flip(&journal, 0.5);
    // The index is older than the damage: it is the rebuild that reads all of the journal.
    let damaged = std::fs::read(&journal).unwrap();
    let verified = ground.airut(&["verify"]);
    assert!(!verified.status.success(), "{}", words(&verified));
    std::fs::remove_dir_all(ground.log().join("index")).unwrap();
    let said = ground.refusal();
    assert!(said.contains("is damaged at byte"), "{said}");
    assert!(said.contains("restore a backup"), "{said}");
    assert_eq!(std::fs::read(&journal).unwrap(), damaged);
}

#[test]
fn a_journal_that_lost_its_end_is_refused_with_what_to_do() {
    let (ground, _) = used();
    let journal = ground.log().join("journal");
    let bytes = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &bytes[..bytes.len() - 200]).unwrap();
    let said = ground.refusal();
    assert!(said.contains("went backwards"), "{said}");
    assert!(said.contains("restore a backup"), "{said}");
}

#[test]
fn a_damaged_page_of_the_index_costs_nothing_but_the_index() {
    let (ground, messages) = used();
    let database = ground.log().join("index/db");
    let whole = std::fs::read(&database).unwrap();
    for part in [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.999] {
        std::fs::write(&database, &whole).unwrap();
        flip(&database, part);
        let rebuilt = ground.airut(&["log", "rebuild"]);
        assert!(rebuilt.status.success(), "{part}: {}", words(&rebuilt));
        ground.check_nothing_lost(messages);
    }
}

#[test]
fn an_index_that_sled_opens_as_empty_is_made_again_by_the_daemon() {
    let (ground, messages) = used();
    let index = ground.log().join("index");
    for lost in ["db", "conf", "blobs", "snap"] {
        for entry in std::fs::read_dir(&index).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with(lost) && entry.path().is_file() {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        ground.daemon().stop();
        ground.check_nothing_lost(messages);
    }
}
