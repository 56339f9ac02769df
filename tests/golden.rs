//! The bytes of every kind and version of event ever released (law 5): they decode for ever, and
//! what is written today is what was written then. `make bless` rewrites them.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use airut::events::Event;
use airut::events::codec::{self, Payload};
use airut::events::log::audit::KINDS_WITH_BODIES;

#[path = "golden/catalogue.rs"]
mod catalogue;
#[path = "golden/policy.rs"]
mod policy;
#[path = "golden/replies.rs"]
mod replies;
#[path = "golden/samples.rs"]
mod samples;

use samples::samples;

/// Set by `make bless`.
fn is_blessing() -> bool {
    std::env::var_os("AIRUT_BLESS").is_some()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `MessageReceived` version 1 lies at `tests/golden/events/MessageReceived.v1.bin`.
fn file(name: &str, version: u16, extension: &str) -> PathBuf {
    root().join(format!("tests/golden/events/{name}.v{version}.{extension}"))
}

/// Compares a file with what it should hold, or writes it when blessing.
#[track_caller]
fn check(path: &Path, expected: &[u8]) {
    if is_blessing() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, expected).unwrap();
    }
    let found = fs::read(path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what it should be (make bless)",
        path.display()
    );
}

/// The bytes of a file: kind, version, payload.
fn bytes(payload: &Payload) -> Vec<u8> {
    let mut bytes = payload.kind.to_le_bytes().to_vec();
    bytes.extend(payload.version.to_le_bytes());
    bytes.extend(&payload.bytes);
    bytes
}

fn payload(bytes: &[u8]) -> Payload {
    let (head, payload) = bytes.split_at(4);
    Payload {
        kind: u16::from_le_bytes([head[0], head[1]]),
        version: u16::from_le_bytes([head[2], head[3]]),
        bytes: payload.to_vec(),
    }
}

#[test]
fn the_current_version_of_every_kind_is_written_as_it_always_was() {
    for sample in samples() {
        let payload = codec::encode_payload(&sample);
        check(
            &file(sample.name(), payload.version, "bin"),
            &bytes(&payload),
        );
        let shown = format!("{sample:#?}\n");
        check(
            &file(sample.name(), payload.version, "txt"),
            shown.as_bytes(),
        );
    }
}

#[test]
fn every_version_of_every_kind_ever_released_decodes() {
    let current: BTreeSet<(u16, u16)> = Event::kinds()
        .iter()
        .map(|(kind, ..)| (*kind, codec::current_version(*kind).unwrap()))
        .collect();
    for (kind, version) in current {
        let name = Event::kinds()
            .iter()
            .find(|(known, ..)| *known == kind)
            .unwrap()
            .1;
        for version in 1..=version {
            let stored = fs::read(file(name, version, "bin")).unwrap();
            let event = codec::decode_payload(&payload(&stored)).unwrap();
            let shown = fs::read_to_string(file(name, version, "txt")).unwrap();
            assert_eq!(format!("{event:#?}\n"), shown, "{name} version {version}");
        }
    }
}

#[test]
fn every_kind_has_a_sample_and_a_number_of_its_own() {
    let sampled: BTreeSet<u16> = samples().iter().map(Event::kind).collect();
    let kinds: Vec<u16> = Event::kinds().iter().map(|(kind, ..)| *kind).collect();
    let distinct: BTreeSet<u16> = kinds.iter().copied().collect();
    assert_eq!(kinds.len(), distinct.len(), "a number is given twice");
    assert_eq!(sampled, distinct, "a kind has no sample");
}

#[test]
fn no_golden_file_is_left_over() {
    let names: BTreeSet<&str> = Event::kinds().iter().map(|(_, name, _)| *name).collect();
    for entry in fs::read_dir(root().join("tests/golden/events")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let kind = name.split('.').next().unwrap();
        assert!(
            names.contains(kind),
            "{name} belongs to no kind; kinds are for ever"
        );
    }
}

#[test]
fn damaged_payloads_are_errors_and_never_panics() {
    for sample in samples() {
        let whole = codec::encode_payload(&sample);
        for length in 0..whole.bytes.len() {
            let cut = Payload {
                bytes: whole.bytes[..length].to_vec(),
                ..whole.clone()
            };
            // Some cuts leave a valid shorter archive; what counts is that none panics.
            drop(codec::decode_payload(&cut));
        }
    }
}

#[test]
fn the_catalogue_in_the_documentation_is_fresh() {
    check(
        &root().join("doc/events.md"),
        catalogue::document().as_bytes(),
    );
}

#[test]
fn an_audit_looks_for_bodies_in_every_kind_that_names_one() {
    for sample in samples() {
        let json = serde_json::to_string(&sample).unwrap();
        if json.contains("\"media_type\"") {
            let (kind, name) = (sample.kind(), sample.name());
            assert!(KINDS_WITH_BODIES.contains(&kind), "{name}");
        }
    }
}
