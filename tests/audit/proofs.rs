//! What `airut prove` prints, `airut-verify` believes; and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use airut::events::id::Position;
use airut::service::audit::Prover;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::attacker::{Victim, airut};

/// Events of the log whose proofs are checked.
const EVENTS: u32 = 13;

struct Auditor {
    directory: tempfile::TempDir,
    key: String,
}

impl Auditor {
    fn of(victim: &Victim) -> Self {
        let key = victim.findings(&[]).keys[0].to_string();
        let directory = tempfile::TempDir::new().unwrap();
        Self { directory, key }
    }

    fn save(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn check(&self, command: &str, files: &[&Path]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_airut-verify"))
            .args([command, "--key", &self.key])
            .args(files)
            .env_clear()
            .output()
            .unwrap()
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn every_record_is_proved_and_no_other() {
    let victim = Victim::new(EVENTS);
    let (auditor, prover) = (Auditor::of(&victim), Prover::read(&victim.state()).unwrap());
    for size in [1, 2, 7, 8, u64::from(EVENTS)] {
        for position in 1..=size {
            let proof = prover.inclusion(Position(position), Some(size)).unwrap();
            let checked = auditor.check("inclusion", &[&auditor.save("proof", &proof)]);
            let said = words(&checked);
            assert!(checked.status.success(), "{position} of {size}: {said}");
            assert!(
                said.contains(&format!("position {position}: event of kind 4")),
                "{said}"
            );
            let record = victim.groups().concat()[position as usize % 13].clone();
            if size > 1 && position as usize != 13 {
                let mut other = record;
                other[..8].copy_from_slice(&position.to_le_bytes());
                let lines = proof.lines().map(|line| match line.strip_prefix("extra ") {
                    Some(_) => format!("extra {}\n", BASE64_STANDARD.encode(&other)),
                    None => format!("{line}\n"),
                });
                let forged = auditor.save("forged", &lines.collect::<String>());
                let checked = auditor.check("inclusion", &[&forged]);
                assert!(
                    words(&checked).contains("NOT in the log"),
                    "{}",
                    words(&checked)
                );
            }
        }
    }
    assert!(prover.inclusion(Position(0), None).is_err());
    assert!(prover.inclusion(Position(14), None).is_err());
}

#[test]
fn every_growth_is_proved_and_no_other() {
    let victim = Victim::new(EVENTS);
    let (auditor, prover) = (Auditor::of(&victim), Prover::read(&victim.state()).unwrap());
    let other = Prover::read(&Victim::new(2).state());
    assert!(other.is_ok());
    for new in 1..=u64::from(EVENTS) {
        let checkpoints = (1..=new).map(|old| prover.checkpoint(Some(old)).unwrap());
        for (old, checkpoint) in (1..=new).zip(checkpoints) {
            let proof = prover.consistency(old, new).unwrap();
            let files = [
                auditor.save("old", &checkpoint),
                auditor.save("proof", &proof),
            ];
            let checked = auditor.check("consistency", &[&files[0], &files[1]]);
            assert!(
                checked.status.success(),
                "{old} of {new}: {}",
                words(&checked)
            );
            if old < new {
                // The proof of another size does not pass for this one.
                let wrong = prover.consistency(old + 1, new).unwrap();
                let wrong = wrong.replace(&format!("old {}", old + 1), &format!("old {old}"));
                let wrong = auditor.save("wrong", &wrong);
                let checked = auditor.check("consistency", &[&files[0], &wrong]);
                let same = std::fs::read(&wrong).unwrap() == std::fs::read(&files[1]).unwrap();
                assert!(same || !checked.status.success(), "{old} of {new}");
            }
        }
    }
    assert!(prover.consistency(0, 3).is_err());
    assert!(prover.consistency(4, 3).is_err());
    assert!(prover.consistency(3, 14).is_err());
}

#[test]
fn any_changed_letter_of_a_proof_is_refused() {
    let victim = Victim::new(5);
    let auditor = Auditor::of(&victim);
    let proof = airut(victim.home.path(), &["prove", "3"]);
    assert!(proof.status.success(), "{proof:?}");
    let proof = String::from_utf8(proof.stdout).unwrap();
    for (at, letter) in proof.char_indices().step_by(3) {
        let other = if letter == 'B' { "C" } else { "B" };
        let mut changed = proof.clone();
        changed.replace_range(at..at + letter.len_utf8(), other);
        let checked = auditor.check("inclusion", &[&auditor.save("changed", &changed)]);
        assert!(!checked.status.success(), "{at}: {changed}");
    }
    let cut = auditor.save("cut", &proof[..proof.len() - 1]);
    assert!(!auditor.check("inclusion", &[&cut]).status.success());
}

#[test]
fn a_checkpoint_and_its_growth_are_checked_as_printed() {
    let victim = Victim::new(5);
    let (home, auditor) = (victim.home.path(), Auditor::of(&victim));
    let print = |arguments: &[&str]| {
        let printed = airut(home, arguments);
        assert!(printed.status.success(), "{printed:?}");
        String::from_utf8(printed.stdout).unwrap()
    };
    let old = auditor.save("old", &print(&["checkpoint"]));
    assert!(auditor.check("checkpoint", &[&old]).status.success());
    victim.append(4);
    let proof = auditor.save("proof", &print(&["prove", "--consistency", "5", "9"]));
    let checked = auditor.check("consistency", &[&old, &proof]);
    assert!(
        words(&checked).contains("the first 5 of the 9 records"),
        "{}",
        words(&checked)
    );
    let stranger = Auditor {
        key: airut::events::checkpoint::LogKey::first([4; 32])
            .verifier()
            .to_string(),
        ..auditor
    };
    assert!(words(&stranger.check("checkpoint", &[&old])).contains("none of the given keys"));
}

#[test]
fn nothing_is_signed_on_top_of_a_changed_past() {
    let victim = Victim::new(8);
    let mut groups = victim.groups();
    groups.swap(1, 2);
    victim.write(&groups);
    let refused = airut(victim.home.path(), &["checkpoint"]);
    assert!(
        words(&refused).contains("nothing is signed"),
        "{}",
        words(&refused)
    );
    assert_eq!(refused.status.code(), Some(1));
}

/// Whatever an attacker writes into a proof, the auditor's own code neither panics nor believes it.
mod anything {
    use proptest::prelude::any;
    use proptest::proptest;

    use airut::events::checkpoint::LogKey;
    use airut::events::id::Sha256;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use crate::merkle::{Hash, is_consistent, leaf, root_from_inclusion};
    use crate::note::{Key, Note};
    use crate::proof::{Consistency, Inclusion};
    use crate::record;

    proptest! {
        #[test]
        fn is_read_without_panic(text: String, bytes: Vec<u8>, index: u64) {
            drop(Key::parse(&text));
            drop(record::describe(&bytes, index));
            let key = LogKey::first([1; 32]);
            let keys = [Key::parse(&key.verifier().to_string()).unwrap()];
            let note = key.checkpoint(3, Sha256([7; 32])).to_note();
            for note in [text.clone(), note.replacen('3', &text, 1)] {
                let Ok(read) = Note::parse(&note) else {
                    continue;
                };
                assert!(text == "3" || read.signed_by(&keys).is_err());
            }
            let extra = BASE64_STANDARD.encode(&bytes);
            let proof = format!("c2sp.org/tlog-proof@v1\nextra {extra}\nindex {index}\n\n{note}");
            let proof = Inclusion::parse(&proof).unwrap();
            assert!(proof.checkpoint.signed_by(&keys).is_ok());
            assert!(proof.check().is_err());
            drop(record::describe(&proof.record, proof.index));
            let proof = format!("airut/consistency-proof@v1\nold {index}\n\n{note}");
            let proof = Consistency::parse(&proof).unwrap();
            let mut old = Note::parse(&note).unwrap();
            (old.size, old.root[0]) = (index, 9);
            assert!(proof.check(&old).is_err());
            for first in ["c2sp.org/tlog-proof@v1", "airut/consistency-proof@v1"] {
                let text = format!("{first}\n{text}\n\na\n1\n{text}\n\n{text}\n");
                assert!(Inclusion::parse(&text).is_err() && Consistency::parse(&text).is_err());
            }
        }

        #[test]
        fn leads_to_no_root(path: Vec<Hash>, index: u64, size: u64, old: u64, root: Hash) {
            let led_to = root_from_inclusion(leaf(b"x"), index, size, &path);
            assert_ne!(led_to, Some(root));
            let whole = root_from_inclusion(leaf(b"x"), index % 3, size % 3, &path);
            assert_ne!(whole, Some(root));
            let consistent = is_consistent((old, &leaf(b"old")), (size, &root), &path);
            assert!(!consistent, "{old} {size}");
        }

        #[test]
        fn has_one_length(path in proptest::collection::vec(any::<Hash>(), 0..70), index: u64) {
            let led_to = root_from_inclusion(leaf(b"x"), index, u64::MAX, &path);
            assert!(led_to.is_none() || path.len() <= 64);
        }
    }
}
