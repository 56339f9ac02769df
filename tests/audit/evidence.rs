//! Whatever is done to the past is found with any checkpoint that was kept from after it.

use airut::events::checkpoint::SignedCheckpoint;
use airut::events::conversation::ConversationForgotten;
use airut::events::id::{ConversationId, InboundId, Position, TaskId};
use airut::events::keys::KeyRing;
use airut::events::message::MessageRouted;
use airut::events::seal::Owner;
use airut::service::audit::Findings;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::Config;
use proptest::{prop_oneof, proptest};

use crate::attacker::{Victim, airut, event, renumber, reseal};

/// Events of the logs that are attacked.
const EVENTS: u32 = 24;

/// What is done to a log; numbers are taken modulo what there is.
#[derive(Debug, Clone, Copy)]
enum Attack {
    FlipBit { record: usize, bit: usize },
    Remove { record: usize, renumber: bool },
    Swap { record: usize, renumber: bool },
    Repeat { record: usize, renumber: bool },
    Truncate { record: usize },
}

fn attack() -> impl Strategy<Value = Attack> {
    let record = 0..EVENTS as usize;
    prop_oneof![
        (record.clone(), any::<usize>()).prop_map(|(record, bit)| Attack::FlipBit { record, bit }),
        (record.clone(), any::<bool>())
            .prop_map(|(record, renumber)| Attack::Remove { record, renumber }),
        (record.clone(), any::<bool>())
            .prop_map(|(record, renumber)| Attack::Swap { record, renumber }),
        (record.clone(), any::<bool>())
            .prop_map(|(record, renumber)| Attack::Repeat { record, renumber }),
        record.prop_map(|record| Attack::Truncate { record }),
    ]
}

/// Does it; returns the first position that is not what it was, and whether the records themselves
/// show it.
fn commit(victim: &Victim, attack: Attack) -> (u64, bool) {
    let mut records: Vec<Vec<u8>> = victim.groups().concat();
    let (first, shows) = match attack {
        Attack::FlipBit { record, bit } => {
            let bytes = &mut records[record];
            // The checksum itself is put right again.
            let bit = bit % ((bytes.len() - 4) * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            reseal(bytes);
            (record, bit < 64)
        }
        Attack::Remove { record, renumber } => {
            records.remove(record);
            (record, !renumber && record < records.len())
        }
        Attack::Swap { record, renumber } => {
            let record = record.min(records.len() - 2);
            records.swap(record, record + 1);
            (record, !renumber)
        }
        Attack::Repeat { record, renumber } => {
            records.insert(record, records[record].clone());
            (record + 1, !renumber)
        }
        Attack::Truncate { record } => {
            records.truncate(record);
            (record, false)
        }
    };
    let mut groups: Vec<Vec<Vec<u8>>> = records.chunks(2).map(<[_]>::to_vec).collect();
    match attack {
        Attack::Remove { renumber: true, .. }
        | Attack::Swap { renumber: true, .. }
        | Attack::Repeat { renumber: true, .. } => renumber(&mut groups),
        _ => {}
    }
    victim.rewrite(&groups);
    (first as u64 + 1, shows)
}

/// The first difference tells where, as exactly as can be known.
#[track_caller]
fn assert_found(findings: &Findings, changed: u64, shows: bool, what: &str) {
    let first = findings.differences.first();
    assert!(first.is_some(), "{what}: nothing was found");
    let first = first.unwrap();
    assert!(first.first.is_some(), "{what}: {first}");
    let from = first.first.unwrap();
    let to = first.last.unwrap();
    assert!(
        from.0 <= changed && changed <= to.0,
        "{what}: {changed} is not {first}"
    );
    if shows {
        assert_eq!(
            (from, to),
            (Position(changed), Position(changed)),
            "{what}: {first}"
        );
    }
}

proptest! {
    #![proptest_config(Config { cases: 60, failure_persistence: None, ..Config::default() })]

    #[test]
    fn an_attacker_with_disk_and_key_is_found_by_any_checkpoint_from_after(
        attack in attack(),
        later in 0..=u64::from(EVENTS),
        earlier in 0..=u64::from(EVENTS),
    ) {
        let victim = Victim::new(EVENTS);
        let kept: Vec<SignedCheckpoint> =
            [later, earlier].iter().map(|size| victim.checkpoint(*size)).collect();
        let (changed, shows) = commit(&victim, attack);
        let findings = victim.findings(&kept);
        if later.max(earlier) >= changed {
            assert_found(&findings, changed, shows, &format!("{attack:?}"));
            // What was there before the change still agrees.
            for (size, judged) in [later, earlier].iter().zip(&findings.witnesses) {
                assert_eq!(judged.is_ok(), *size < changed, "{size}: {judged:?}");
            }
        }
    }

    #[test]
    fn any_flipped_bit_of_the_file_is_found_without_any_checkpoint(bit in any::<usize>()) {
        let victim = Victim::new(EVENTS);
        victim.flip_file_bit(bit);
        let findings = victim.findings(&[]);
        assert!(!findings.differences.is_empty(), "{bit}");
        let first = findings.differences[0].first.unwrap();
        let at_most = Position(u64::from(EVENTS));
        assert!(first <= at_most, "{first}");
    }
}

#[test]
fn an_untouched_log_is_what_it_was() {
    let victim = Victim::new(EVENTS);
    let kept: Vec<SignedCheckpoint> = [0, 1, 17, 24].map(|size| victim.checkpoint(size)).into();
    victim.append(5);
    let findings = victim.findings(&kept);
    assert_eq!(findings.differences, []);
    assert_eq!(findings.witnesses, [Ok(()), Ok(()), Ok(()), Ok(())]);
    assert_eq!((findings.size, findings.torn_bytes), (29, 0));
}

#[test]
fn a_log_put_into_anothers_place_is_found() {
    let (victim, other) = (Victim::new(EVENTS), Victim::new(EVENTS));
    let kept = victim.checkpoint(3);
    let findings = other.findings(&[kept]);
    let words = findings.witnesses[0].clone().unwrap_err();
    assert!(words.contains("not signed by a key of this log"), "{words}");
    assert!(!findings.differences.is_empty());
}

#[test]
fn a_body_that_is_missing_or_changed_is_found_at_the_event_that_names_it() {
    let victim = Victim::new(EVENTS);
    let file = victim.append_body(b"what the agent was asked");
    let bodies = victim.findings(&[]).bodies;
    assert_eq!((bodies.whole, bodies.all), (1, 1));
    std::fs::write(&file, b"what the agent was told").unwrap();
    let differences = victim.findings(&[]).differences;
    assert_eq!(differences[0].first, Some(Position(25)));
    assert!(
        differences[0].what.contains("is damaged"),
        "{differences:?}"
    );
    std::fs::remove_file(&file).unwrap();
    let differences = victim.findings(&[]).differences;
    assert!(
        differences[0].what.contains("is not there"),
        "{differences:?}"
    );
}

#[test]
fn an_index_that_says_something_else_is_found() {
    let victim = Victim::new(EVENTS);
    let mut groups = victim.groups();
    let record = &mut groups[4][1];
    let end = record.len();
    record[end - 10] ^= 1;
    reseal(record);
    // The journal alone; the index still has what was there.
    victim.write(&groups);
    let differences = victim.findings(&[]).differences;
    let exact = differences
        .iter()
        .find(|found| found.what.contains("index"))
        .unwrap();
    assert_eq!(
        (exact.first, exact.last),
        (Some(Position(10)), Some(Position(10)))
    );
}

#[test]
fn verify_says_where_and_fails() {
    let victim = Victim::new(EVENTS);
    let home = victim.home.path();
    let kept = home.join("kept");
    let checkpoint = airut(home, &["checkpoint"]);
    assert!(checkpoint.status.success(), "{checkpoint:?}");
    std::fs::write(&kept, &checkpoint.stdout).unwrap();
    victim.append_events(&[event(1)]);
    let verify = ["verify", "--from-checkpoint", kept.to_str().unwrap()];
    let good = airut(home, &verify);
    let words = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success(), "{words}{good:?}");
    assert!(words.contains("24 events, unchanged"), "{words}");

    commit(
        &victim,
        Attack::Remove {
            record: 9,
            renumber: true,
        },
    );
    let bad = airut(home, &verify);
    let words = String::from_utf8_lossy(&bad.stdout).into_owned();
    assert_eq!(bad.status.code(), Some(1), "{words}");
    assert!(words.contains("at a position from 1 to 24"), "{words}");
    assert!(words.contains("The log is NOT what it was."), "{words}");
    let json = airut(home, &[verify.as_slice(), &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json["ok"], &json["differences"][0]["first"]),
        (&false.into(), &1.into())
    );
}

#[test]
fn saved_mails_prove_that_the_past_was_changed() {
    let victim = Victim::new(EVENTS);
    let home = victim.home.path();
    let mails = home.join("mails");
    std::fs::create_dir(&mails).unwrap();
    for size in [4, 20] {
        let line = victim.checkpoint(size).to_line().replace(' ', "\r\n\t");
        let mail = format!("Date: day {size}\r\nAirut-Checkpoint: {line}\r\n\r\nDone.\r\n");
        std::fs::write(mails.join(format!("{size}.eml")), mail).unwrap();
    }
    let verify = ["verify", "--mail", mails.to_str().unwrap()];
    let good = airut(home, &verify);
    assert!(good.status.success(), "{good:?}");
    check_that_a_change_is_told(&victim, &verify, "day 4", "day 20");
}

/// Changes what was recorded between two saved answers, and expects to be told so.
#[track_caller]
fn check_that_a_change_is_told(victim: &Victim, verify: &[&str], good: &str, bad: &str) {
    commit(
        victim,
        Attack::Swap {
            record: 9,
            renumber: true,
        },
    );
    let told = airut(victim.home.path(), verify);
    let words = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told.status.code(), Some(1), "{words}");
    assert!(words.contains(&format!("ok    {good}")), "{words}");
    assert!(words.contains(&format!("bad   {bad}")), "{words}");
    assert!(words.contains("at a position from 5 to 20"), "{words}");
}

#[test]
fn saved_slack_messages_prove_that_the_past_was_changed() {
    let victim = Victim::new(EVENTS);
    let home = victim.home.path();
    let message = |size: u64| {
        let delivery = "00000000000000aa";
        let checkpoint = victim.checkpoint(size).to_line();
        let payload = serde_json::json!({
            "delivery": delivery, "part": "1", "parts": "1", "checkpoint": checkpoint,
        });
        serde_json::json!({
            "type": "message", "user": "U0HERALD01", "text": "Done.", "ts": format!("17672256{size:02}.000100"),
            "metadata": {"event_type": "airut_reply", "event_payload": payload},
        })
    };
    let asked = serde_json::json!({"type": "message", "user": "U1", "ts": "1767225600.000100"});
    let answer = serde_json::json!({"ok": true, "messages": [asked, message(4), message(20)]});
    let thread = home.join("thread.json");
    std::fs::write(&thread, answer.to_string()).unwrap();
    let verify = ["verify", "--slack", thread.to_str().unwrap()];
    let good = airut(home, &verify);
    let words = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success(), "{words}");
    assert!(words.contains("20 events, unchanged"), "{words}");
    assert!(words.contains("1 messages carry no checkpoint"), "{words}");
    check_that_a_change_is_told(
        &victim,
        &verify,
        "2026-01-01T00:00:04Z",
        "2026-01-01T00:00:20Z",
    );
    std::fs::write(&thread, r#"{"ok":false,"error":"thread_not_found"}"#).unwrap();
    let none = airut(home, &verify);
    let words = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(words.contains("thread_not_found"), "{words}");
    assert_eq!(none.status.code(), Some(1), "{words}");
}

#[test]
fn a_copy_without_its_index_and_key_is_checked_with_the_key_that_an_auditor_has() {
    let victim = Victim::new(EVENTS);
    let key = victim.findings(&[]).keys[0].to_string();
    let copy = victim.home.path().join("copy");
    std::fs::create_dir_all(copy.join("log")).unwrap();
    for file in ["journal", "anchor"] {
        std::fs::copy(victim.log().join(file), copy.join("log").join(file)).unwrap();
    }
    let state = copy.to_str().unwrap();
    let checked = airut(
        victim.home.path(),
        &["verify", "--state", state, "--key", &key],
    );
    let words = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{words}{checked:?}");
    let files = std::fs::read_dir(copy.join("log")).unwrap().count();
    assert_eq!(
        (files, copy.join("blobs").exists()),
        (2, false),
        "nothing was written"
    );
    let unknown = airut(victim.home.path(), &["verify", "--state", state]);
    let words = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(words.contains("--key"), "{words}");
}

#[test]
fn a_body_that_is_gone_needs_a_tombstone_and_with_one_its_key_must_be_gone_too() {
    let victim = Victim::new(EVENTS);
    let file = victim.append_body(b"what the agent was asked");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(victim.findings(&[]).differences.len(), 1);
    let conversation = ConversationId(1);
    let routed = MessageRouted {
        inbound: InboundId([1; 16]),
        conversation,
        new: true,
        task: TaskId(1),
    };
    let forgotten = ConversationForgotten {
        conversation,
        keys: 1,
        bodies: 1,
        bytes_freed: 85,
    };
    victim.append_events(&[routed.into(), forgotten.into()]);
    let findings = victim.findings(&[]);
    let what = &findings.differences[0].what;
    assert!(what.contains("is there all the same"), "{what}");
    assert_eq!(findings.differences.len(), 1);
    let keys = KeyRing::of_state(&victim.state());
    keys.destroy(Owner::Task(TaskId(1))).unwrap();
    let findings = victim.findings(&[]);
    assert_eq!(findings.differences, []);
    let bodies = findings.bodies;
    assert_eq!((bodies.whole, bodies.erased, bodies.all), (0, 1, 1));
    assert_eq!(bodies.erasures[0].position, Position(27));
}
