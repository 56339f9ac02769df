//! Any text as a checkpoint or key: what is read prints as it was read, and nothing verifies that
//! the key did not sign.
#![no_main]

use airut::events::checkpoint::{LogKey, SignedCheckpoint, Verifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let key = LogKey::first([1; 32]).verifier();
    if let Ok(read) = SignedCheckpoint::from_note(text) {
        // Signatures of other types are passed over; without any other, nothing is left to read.
        if let Ok(again) = SignedCheckpoint::from_note(&read.to_note()) {
            assert_eq!(again, read);
        }
        assert!(read.verified_by(std::slice::from_ref(&key)).is_err());
    }
    if let Ok(read) = SignedCheckpoint::from_line(text) {
        if let Ok(again) = SignedCheckpoint::from_line(&read.to_line()) {
            assert_eq!(again, read);
        }
    }
    if let Ok(read) = text.parse::<Verifier>() {
        assert_eq!(read.to_string().parse(), Ok(read));
    }
});
