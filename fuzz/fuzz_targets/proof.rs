//! Any text as a proof for the auditor's program: it neither panics nor believes what no key signed.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/bin/airut-verify/merkle.rs"]
mod merkle;
#[path = "../../src/bin/airut-verify/note.rs"]
mod note;
#[path = "../../src/bin/airut-verify/proof.rs"]
mod proof;
#[path = "../../src/bin/airut-verify/record.rs"]
mod record;

/// C2SP's example of a key; nobody here can sign with it.
const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

fuzz_target!(|text: &str| {
    let Ok(key) = note::Key::parse(KEY) else {
        return;
    };
    let keys = [key];
    if let Ok(read) = proof::Inclusion::parse(text) {
        assert!(read.checkpoint.signed_by(&keys).is_err());
        // What an unsigned proof claims to lead to counts for nothing; it must only not panic.
        let _unsigned = read.check();
        let _words = record::describe(&read.record, read.index);
    }
    if let Ok(read) = proof::Consistency::parse(text) {
        let _unsigned = read.check(&read.checkpoint);
        assert!(read.checkpoint.signed_by(&keys).is_err());
    }
});
