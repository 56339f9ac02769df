//! The log on a real disk in the hands of an attacker: whatever is done to it, anybody with an older
//! checkpoint finds out, and proofs are checked by a program that shares no code with the log.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the rules on processes and the environment are for the product"
)]

// The auditor's own code; it is a program, which nothing can name.
#[path = "audit/attacker.rs"]
mod attacker;
#[path = "audit/evidence.rs"]
mod evidence;
#[path = "audit/keys.rs"]
mod keys;
#[path = "../src/bin/airut-verify/merkle.rs"]
mod merkle;
#[path = "../src/bin/airut-verify/note.rs"]
mod note;
#[path = "../src/bin/airut-verify/proof.rs"]
mod proof;
#[path = "audit/proofs.rs"]
mod proofs;
#[path = "../src/bin/airut-verify/record.rs"]
mod record;
