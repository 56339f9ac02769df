//! The backup that the daemon takes by itself, and its drill.

use crate::ground::{Ground, until, words};

#[test]
fn a_configured_backup_is_taken_and_restored_on_trial_and_both_are_events() {
    let ground = Ground::new();
    let backup = ground.path("backup");
    ground.configure(&format!("backup: {{directory: {}}}", backup.display()));
    // As a drill that was killed left it.
    let left = ground.state().join("drill-left/log");
    std::fs::create_dir_all(&left).unwrap();
    let mut daemon = ground.daemon();
    let drilled = until("a drill", || ground.events("RestoreDrillCompleted").pop());
    assert_eq!(drilled["event"]["ok"], true, "{drilled}");
    let taken = ground.events("BackupTaken").pop().unwrap();
    assert_eq!(taken["event"]["lacking"], 0, "{taken}");
    assert_eq!(taken["event"]["root"], drilled["event"]["root"]);
    assert!(!left.exists());
    daemon.stop();
    // The next one is due tomorrow; a start does not change that.
    ground.daemon().stop();
    assert_eq!(ground.events("BackupTaken").len(), 1);
    let state = std::fs::read_dir(ground.state()).unwrap().flatten();
    let names: Vec<_> = state
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(
        !names.iter().any(|name| name.starts_with("drill-")),
        "{names:?}"
    );
    let verified = ground.airut(&["verify"]);
    assert!(verified.status.success(), "{}", words(&verified));
}

#[test]
fn a_backup_that_cannot_be_taken_is_loud_and_an_event_and_the_daemon_goes_on() {
    let ground = Ground::new();
    let directory = ground.path("somebody-elses");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("thesis.txt"), "do not touch").unwrap();
    ground.configure(&format!("backup: {{directory: {}}}", directory.display()));
    let mut daemon = ground.daemon();
    let failed = until("a failed backup", || ground.events("BackupFailed").pop());
    let error = failed["event"]["error"].as_str().unwrap();
    assert!(
        error.contains("holds other things and is no backup"),
        "{error}"
    );
    let drilled = ground.events("RestoreDrillCompleted").pop().unwrap();
    assert_eq!(drilled["event"]["ok"], false, "{drilled}");
    daemon.await_words("NO BACKUP was taken");
    daemon.await_words("ERROR");
    ground.send("all the same").unwrap();
    daemon.stop();
    ground.check_nothing_lost(1);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
}
