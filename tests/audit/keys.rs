//! The log's key: made once, changed with the old one's word for it.

use std::os::unix::fs::PermissionsExt as _;

use airut::events::checkpoint::{LogKey, rotation_text};
use airut::events::service::LogKeyRotated;

use crate::attacker::{Victim, airut};

#[test]
fn init_makes_the_key_that_signs_and_only_its_owner_reads_it() {
    let home = tempfile::TempDir::new().unwrap();
    let init = airut(home.path(), &["init"]);
    let words = String::from_utf8_lossy(&init.stdout).into_owned();
    assert!(init.status.success(), "{init:?}");
    let file = home.path().join("airut/log/log.key");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = LogKey::from_private_text(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert!(words.contains(&key.verifier().to_string()), "{words}");
    let again = airut(home.path(), &["init"]);
    assert!(again.status.success(), "{again:?}");
    let after = std::fs::read_to_string(&file).unwrap();
    assert_eq!(after, key.to_private_text(), "a key that is there stays");
}

#[test]
fn a_changed_key_is_trusted_through_the_old_one() {
    let victim = Victim::new(6);
    let home = victim.home.path();
    let old = victim.checkpoint(5);
    for _ in 0..2 {
        let rotated = airut(home, &["log", "rotate-key"]);
        assert!(rotated.status.success(), "{rotated:?}");
        assert!(!victim.log().join("log.key.next").exists());
    }
    victim.append(3);
    let new = victim.checkpoint(9);
    assert_ne!(old.to_note().lines().last(), new.to_note().lines().last());
    let findings = victim.findings(&[old, new]);
    assert_eq!(findings.differences, []);
    assert_eq!(findings.keys.len(), 3);
    let first = findings.keys[0].to_string();
    let pinned = airut(home, &["verify", "--key", &first]);
    assert!(pinned.status.success(), "{pinned:?}");
    let other = LogKey::first([5; 32]).verifier().to_string();
    let pinned = airut(home, &["verify", "--key", &other]);
    assert_eq!(pinned.status.code(), Some(1), "{pinned:?}");
}

#[test]
fn an_interrupted_change_of_the_key_is_completed_by_the_next_call() {
    let victim = Victim::new(6);
    let next = LogKey::later(victim.checkpoint(1).checkpoint().origin.as_str(), [8; 32]);
    let waiting = victim.log().join("log.key.next");
    std::fs::write(&waiting, next.to_private_text()).unwrap();
    // A daemon works with the old key meanwhile.
    victim.append(2);
    let rotated = airut(victim.home.path(), &["log", "rotate-key"]);
    assert!(rotated.status.success(), "{rotated:?}");
    let findings = victim.findings(&[]);
    assert_eq!(findings.differences, []);
    assert_eq!(findings.keys.last(), Some(&next.verifier()));
}

#[test]
fn a_change_of_the_key_that_the_old_one_did_not_sign_is_found() {
    let victim = Victim::new(6);
    let own = std::fs::read_to_string(victim.log().join("log.key")).unwrap();
    let own = LogKey::from_private_text(&own).unwrap();
    let thief = LogKey::later(own.origin(), [9; 32]);
    let (old_key, new_key) = (own.verifier().to_string(), thief.verifier().to_string());
    let signature = thief.sign(rotation_text(&old_key, &new_key).as_bytes());
    let rotated = LogKeyRotated {
        old_key,
        new_key,
        signature: hex::encode(signature),
    };
    victim.append_events(&[rotated.into()]);
    let differences = victim.findings(&[]).differences;
    assert!(
        differences[0].what.contains("not signed by the old one"),
        "{differences:?}"
    );
}
