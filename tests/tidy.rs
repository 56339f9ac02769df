//! The architecture as tests: who may name whom, what is pure, where the dangerous things are.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod tidy {
    pub(crate) mod pure;
    mod secrets;
}

use std::fs;
use std::path::{Path, PathBuf};

use tidy::pure::PURE;

/// A room, and the rooms it may name.
const ROOMS: [(&str, &[&str]); 7] = [
    ("events", &[]),
    ("projections", &["events"]),
    ("config", &["events"]),
    ("sandbox", &["events", "config", "clock", "tasks"]),
    (
        "handlers",
        &[
            "events",
            "projections",
            "sandbox",
            "config",
            "clock",
            "tasks",
        ],
    ),
    (
        "service",
        &[
            "events",
            "projections",
            "sandbox",
            "config",
            "handlers",
            "clock",
            "tasks",
        ],
    ),
    ("cli", &["config", "service"]),
];

/// Files that the proxy's own build has; they name nothing that the gateway alone has.
const PROXY: &str = "src/sandbox/proxy";

/// What pure code does not name.
const IMPURE: [&str; 12] = [
    "tokio::",
    "sled::",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant::now",
    "getrandom",
    "clock::now",
    "HashMap",
];

/// What stands in one file (or directory) only.
const ONLY_IN: [(&str, &[&str]); 6] = [
    ("SystemTime::now", &["src/clock.rs"]),
    ("Instant::now", &["src/clock.rs"]),
    ("tokio::spawn", &["src/tasks.rs"]),
    ("Command::new", &["src/sandbox/process.rs"]),
    ("std::env::var", &["src/config/env.rs"]),
    ("rkyv::", &["src/events/codec.rs", "src/events/macros.rs"]),
];

/// Longest file in lines, tests left out.
const FILE_LINES_MAX: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the Rust files below a directory, with their path from the root.
fn rust_files(directory: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(path) = open.pop() {
        if path.is_file() {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            files.push((name, fs::read_to_string(&path).unwrap()));
        } else {
            let entries = fs::read_dir(&path)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let wanted =
                |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|e| e == "rs");
            open.extend(entries.filter(wanted));
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{directory} is empty");
    files
}

/// The lines that are code of the product: no comments, and nothing from the tests at the end on.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    product
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.ends_with("/testing.rs") || name.contains("/tests/")
}

fn product_files() -> Vec<(String, String)> {
    rust_files("src")
        .into_iter()
        .filter(|(name, _)| !is_test(name))
        .collect()
}

fn room_of(name: &str) -> &str {
    let name = name.trim_start_matches("src/");
    name.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn a_room_names_only_the_rooms_it_may() {
    let mut faults = Vec::new();
    for (name, text) in product_files() {
        let room = room_of(&name);
        let Some((_, may_name)) = ROOMS.iter().find(|(known, _)| *known == room) else {
            continue;
        };
        for line in code(&text) {
            for named in line.split("crate::").skip(1) {
                // Which rooms a list names cannot be told line by line.
                let is_list = named.starts_with('{');
                let named = named.split([':', ';', ' ', '{', ',', ')']).next().unwrap();
                let is_forbidden = named != room && !named.is_empty() && !may_name.contains(&named);
                if is_list || is_forbidden {
                    faults.push(format!("{name}: {}", line.trim()));
                }
            }
        }
    }
    assert_eq!(faults, [""; 0]);
}

#[test]
fn configuration_names_only_the_ids_of_events() {
    for (name, text) in product_files()
        .iter()
        .filter(|(name, _)| room_of(name) == "config")
    {
        for line in code(text).filter(|line| line.contains("crate::events")) {
            assert!(
                line.contains("crate::events::id"),
                "{name}: {}",
                line.trim()
            );
        }
    }
}

#[test]
fn the_proxy_names_nothing_of_the_gateway() {
    for (name, text) in product_files()
        .iter()
        .filter(|(name, _)| name.starts_with(PROXY))
    {
        for line in code(text) {
            for named in [
                "crate::events",
                "crate::config",
                "crate::handlers",
                "crate::projections",
            ] {
                assert!(!line.contains(named), "{name}: {}", line.trim());
            }
        }
    }
}

#[test]
fn the_auditors_program_shares_no_code_with_what_it_checks() {
    for (name, text) in product_files()
        .iter()
        .filter(|(name, _)| name.starts_with("src/bin/airut-verify"))
    {
        let ours = ["command", "merkle", "note", "proof", "record"];
        for line in code(text) {
            let named = line.split("crate::").skip(1);
            let mut named = named.map(|named| named.split([':', ';']).next().unwrap());
            let faulty = line.contains("airut::") || !named.all(|named| ours.contains(&named));
            assert!(!faulty, "{name}: {}", line.trim());
            let elsewhere = line.contains("#[path") && !line.contains("\"airut-verify/");
            assert!(!elsewhere, "{name}: {}", line.trim());
        }
    }
}

#[test]
fn pure_files_stay_pure() {
    let mut faults = Vec::new();
    for (name, text) in product_files() {
        if !PURE
            .iter()
            .any(|pure| name == *pure || name.starts_with(&format!("{pure}/")))
        {
            continue;
        }
        for line in code(&text) {
            for impure in IMPURE.iter().filter(|impure| line.contains(**impure)) {
                faults.push(format!("{name}: {impure} in {}", line.trim()));
            }
        }
    }
    assert_eq!(faults, [""; 0]);
    for pure in PURE {
        assert!(
            root().join(pure).exists(),
            "{pure} is listed as pure but is not there"
        );
    }
}

#[test]
fn dangerous_things_stand_in_one_place_each() {
    let mut faults = Vec::new();
    for (name, text) in product_files() {
        for (thing, places) in ONLY_IN {
            if !places.contains(&name.as_str()) && code(&text).any(|line| line.contains(thing)) {
                faults.push(format!(
                    "{name} names {thing}, which belongs into {places:?}"
                ));
            }
        }
    }
    assert_eq!(faults, [""; 0]);
}

#[test]
fn sled_is_known_to_the_log_alone() {
    for (name, text) in product_files() {
        if name.starts_with("src/events/log/sled") {
            continue;
        }
        for line in code(&text).filter(|line| line.contains("sled::")) {
            let names_our_module = line.contains("log::sled::") || line.contains("[`sled");
            assert!(names_our_module, "{name}: {}", line.trim());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_is_not_too_long() {
    for (name, text) in product_files() {
        assert!(
            text.starts_with("//!"),
            "{name} does not begin with what it is for"
        );
        let lines = text
            .split("#[cfg(test)]")
            .next()
            .unwrap_or_default()
            .lines()
            .count();
        assert!(lines <= FILE_LINES_MAX, "{name} has {lines} lines");
    }
}

#[test]
fn no_test_is_switched_off_and_no_file_of_tests_is_forgotten() {
    for (name, text) in [rust_files("src"), rust_files("tests")].concat() {
        if name == "tests/tidy.rs" {
            continue;
        }
        for switched_off in ["#[ignore", "#[should_panic", "todo!(", "unimplemented!("] {
            assert!(!text.contains(switched_off), "{name}: {switched_off}");
        }
        let unnumbered = |line: &str| line.contains("TODO") && !line.contains("TODO(#");
        assert!(
            !text.lines().any(unnumbered),
            "{name}: a TODO without the number of its issue"
        );
    }
    // Cargo finds each file directly in tests/; those in directories must be named by one.
    let named: String = rust_files("tests")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    for (name, _) in rust_files("tests") {
        let path = Path::new(&name);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let is_root =
            path.parent() == Some(Path::new("tests")) || ["main", "mod", "program"].contains(&stem);
        let declared = named.contains(&format!("mod {stem};"));
        assert!(is_root || declared, "{name} is named by no test");
    }
}

#[test]
fn the_disk_format_is_pinned() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = |name: &str| {
        manifest
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    assert!(line("sled =").contains("\"=0.34.7\""));
    let rkyv = line("rkyv =");
    for feature in [
        "bytecheck",
        "little_endian",
        "pointer_width_32",
        "unaligned",
        "default-features = false",
    ] {
        assert!(rkyv.contains(feature), "rkyv without {feature}");
    }
}

#[test]
fn the_main_programs_stay_small() {
    for program in [
        "src/bin/airut.rs",
        "src/bin/airut-proxy.rs",
        "src/bin/airut-sandbox.rs",
        "src/bin/airut-verify.rs",
    ] {
        let lines = fs::read_to_string(root().join(program))
            .unwrap()
            .lines()
            .count();
        assert!(lines <= 40, "{program} has {lines} lines");
    }
}
