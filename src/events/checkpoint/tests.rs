use super::*;

/// The example of C2SP's `signed-note`.
const PUBLISHED_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

/// Its signature over `This is an example message.\n`.
const PUBLISHED_SIGNATURE: &str =
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=";

fn key() -> LogKey {
    LogKey::first([7; 32])
}

fn note() -> String {
    key().checkpoint(12, Sha256([5; 32])).to_note()
}

#[test]
fn the_published_key_and_signature_verify() {
    let key: Verifier = PUBLISHED_KEY.parse().unwrap();
    assert_eq!(key.to_string(), PUBLISHED_KEY);
    let signature = NoteSignature::parse("example.com/foo", PUBLISHED_SIGNATURE);
    let signature = signature.unwrap().unwrap();
    assert_eq!(signature.key_hash, key.hash());
    assert!(key.verifies(b"This is an example message.\n", &signature.signature));
    assert!(!key.verifies(b"This is an example message!\n", &signature.signature));
}

#[test]
fn a_checkpoint_reads_back_as_note_and_as_line() {
    let signed = key().checkpoint(12, Sha256([5; 32]));
    let note = SignedCheckpoint::from_note(&signed.to_note()).unwrap();
    assert_eq!(note, signed);
    let folded = signed.to_line().replace(' ', "\r\n\t ");
    assert_eq!(SignedCheckpoint::from_line(&folded).unwrap(), signed);
    assert_eq!(note.verified_by(&[key().verifier()]), Ok(()));
}

#[test]
fn any_changed_character_of_a_note_is_refused() {
    let note = note();
    let keys = [key().verifier()];
    for (at, letter) in note.char_indices() {
        for other in ['A', 'b', '0', '1', ' ', '\n'] {
            if letter == other {
                continue;
            }
            let mut changed = note.clone();
            changed.replace_range(at..at + letter.len_utf8(), &other.to_string());
            let read = SignedCheckpoint::from_note(&changed);
            let verified = read.and_then(|read| read.verified_by(&keys));
            assert!(verified.is_err(), "{changed}");
        }
    }
}

#[test]
fn numbers_have_one_form() {
    for size in ["012", "+12", "-1", "", "18446744073709551616"] {
        let changed = note().replacen("\n12\n", &format!("\n{size}\n"), 1);
        assert!(SignedCheckpoint::from_note(&changed).is_err(), "{size}");
    }
}

#[test]
fn signatures_of_others_are_passed_over() {
    let other = LogKey::later("witness", [9; 32]);
    let more = "— witness AAAAAA==\n— witness2 c2hvcnRlcg==\n";
    let note = note() + more;
    let read = SignedCheckpoint::from_note(&note).unwrap();
    assert_eq!(read.verified_by(&[key().verifier()]), Ok(()));
    let unknown = read.verified_by(&[other.verifier()]);
    assert_eq!(unknown, Err(CheckpointError::UnknownKey));
}

#[test]
fn a_key_signs_for_its_own_log_only() {
    let signed = key().checkpoint(12, Sha256([5; 32]));
    let text = signed.text.replace(key().origin(), "airut-log/other");
    let signature = key().sign(text.as_bytes());
    let signature = NoteSignature {
        signature,
        ..signed.signatures[0].clone()
    };
    let forged = SignedCheckpoint {
        checkpoint: Checkpoint::parse(&text).unwrap(),
        text,
        signatures: vec![signature],
    };
    let verified = forged.verified_by(&[key().verifier()]);
    assert_eq!(verified, Err(CheckpointError::UnknownKey));
}

#[test]
fn a_private_key_reads_back_and_is_never_printed() {
    let key = LogKey::later("airut-log/1", [3; 32]);
    let text = key.to_private_text();
    let read = LogKey::from_private_text(&text).unwrap();
    assert_eq!(read.to_private_text(), text);
    assert!(!format!("{key:?}").contains(&BASE64_STANDARD.encode([3; 32])[4..40]));
    assert!(LogKey::from_private_text(&text.replace("airut-log/1", "airut-log/2")).is_err());
    assert!(LogKey::from_private_text("").is_err());
}

proptest::proptest! {
    #[test]
    fn anything_at_all_is_read_without_panic(text: String, cut in 0..300_usize, by: String) {
        drop(SignedCheckpoint::from_note(&text));
        drop(SignedCheckpoint::from_line(&text));
        drop(text.parse::<Verifier>());
        drop(LogKey::from_private_text(&text));
        let note = note();
        if let Some((head, tail)) = note.split_at_checked(cut) {
            drop(SignedCheckpoint::from_note(&format!("{head}{by}{tail}")));
        }
    }
}
