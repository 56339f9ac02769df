//! `airut replay` and the exports as an auditor meets them, on a real log. What is printed lies in
//! `tests/golden/replay`; `AIRUT_BLESS=1` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the rules on processes and the environment are for the product"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

#[path = "replay/story.rs"]
mod story;

/// A user with a log and without a daemon.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        story::write(&home.path().join(".local/state/airut"));
        Self(home)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_airut"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .env("TZ", "UTC")
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Returns what a command prints.
    #[track_caller]
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns what a command complains about.
    #[track_caller]
    fn complained(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.said(arguments);
        said.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Compares an output with the kept one.
#[track_caller]
fn check(name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/replay")
        .join(name);
    if std::env::var_os("AIRUT_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, said).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(said, kept, "{} is not what it should be", path.display());
}

#[test]
fn what_a_task_could_reach_who_allowed_it_and_what_it_sent_is_one_command() {
    let home = Home::new();
    let task = story::task();
    check("task.txt", &home.said(&["replay", "--task", &task]));
    // Five seconds past 14:03 the first request had left, and its end was not known yet.
    let then = home.said(&["replay", "--task", &task, "--at", "2026-11-24T14:03:05Z"]);
    check("task-at-a-time.txt", &then);
    let local = home.said(&["replay", "--task", &task, "--at", "2026-11-24 14:03:05"]);
    assert_eq!(local, then);
    let zoned = home.said(&[
        "replay",
        "--task",
        &task,
        "--at",
        "2026-11-24T16:03:05+02:00",
    ]);
    assert_eq!(zoned, then);

    let json = home.said(&["replay", "--task", &task, "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let run = &json["reach"]["runs"][0];
    assert_eq!(run["sum"]["bytes_up"], 120);
    assert_eq!(
        run["policy"]["allowlist_change"]["author"],
        "Olive <olive@example.test>"
    );
    assert!(
        run["allowlist"]
            .as_str()
            .unwrap()
            .contains("api.anthropic.com")
    );
    assert_eq!(run["decisions"].as_array().unwrap().len(), 3);
}

#[test]
fn a_conversation_is_told_with_every_decision_in_its_place() {
    let home = Home::new();
    let id = story::conversation();
    check(
        "conversation.txt",
        &home.said(&["replay", "--conversation", &id]),
    );
    let lines = home.lines(&["replay", "--conversation", &id, "--format", "jsonl"]);
    let positions: Vec<u64> = lines
        .iter()
        .map(|l| l["position"].as_u64().unwrap())
        .collect();
    assert!(positions.is_sorted(), "{positions:?}");
    let middle = positions[4].to_string();
    let rest = [
        "replay",
        "--conversation",
        &id,
        "--format",
        "jsonl",
        "--from",
        &middle,
    ];
    assert_eq!(home.lines(&rest), lines[4..]);
}

#[test]
fn every_view_is_shown_as_it_was_then() {
    let home = Home::new();
    let at = "2026-11-24T14:03:05Z";
    check(
        "views.txt",
        &home.said(&["replay", "--at", at, "--view", "all"]),
    );
    let one = home.said(&[
        "replay", "--view", "config", "--at", "17", "--format", "json",
    ]);
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["position"], 17);
    assert_eq!(one["views"]["config"]["config"]["value"]["generation"], 1);
    let all = home.lines(&["replay", "--view", "all", "--format", "cloudevents"]);
    assert_eq!(all.len(), 10);
    let ids: BTreeSet<&str> = all
        .iter()
        .map(|view| view["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 10, "each CloudEvent has an id of its own");
    // The old name of the option stays.
    assert_eq!(
        home.said(&["replay", "--to", "17"]),
        home.said(&["replay", "--at", "17"])
    );
}

#[test]
fn two_moments_are_compared() {
    let home = Home::new();
    let end = story::end().to_string();
    check(
        "diff.txt",
        &home.said(&["replay", "--diff", "12", &end, "--view", "all"]),
    );
    let same = home.said(&["replay", "--diff", "12", "12"]);
    assert!(same.contains("nothing differs"), "{same}");
    let json = home.said(&["replay", "--diff", "12", &end, "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let changes = json["changes"]["board"].as_array().unwrap();
    let place = format!("/cards/{}/status", story::task());
    assert!(
        changes
            .iter()
            .any(|change| change["path"].as_str().unwrap().starts_with(&place)),
        "{changes:#?}"
    );
}

#[test]
fn an_export_goes_on_where_the_last_one_ended() {
    let home = Home::new();
    let all = home.lines(&["events", "--format", "cloudevents"]);
    assert_eq!(all.len() as u64, story::end());
    check(
        "cloudevents.jsonl",
        &home.said(&["events", "--format", "cloudevents"]),
    );
    for (event, position) in all.iter().zip(1..) {
        assert_eq!(event["id"], position.to_string());
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], all[0]["source"]);
    }
    let rest = home.lines(&["events", "--format", "cloudevents", "--from", "10"]);
    assert_eq!(rest, all[9..]);
    let next = (story::end() + 1).to_string();
    assert_eq!(
        home.said(&["events", "--format", "jsonl", "--from", &next]),
        ""
    );
    let array = home.said(&["events", "--format", "json"]);
    let array: Vec<Value> = serde_json::from_str(&array).unwrap();
    assert_eq!(array, home.lines(&["events", "--json"]));
    let none = home.said(&["events", "--format", "json", "--from", &next]);
    assert_eq!(none.trim(), "[]");
}

#[test]
fn a_moment_or_id_that_is_not_there_is_named_with_what_to_do() {
    let home = Home::new();
    let end = story::end();
    let unknown = "0123456789ab";
    let (behind, further) = ((end + 1).to_string(), (end + 2).to_string());
    for (arguments, words) in [
        (
            vec!["replay", "--at", "2026-11-24T09:00:00Z"],
            "the log begins at 2026-11-24T14:02:50",
        ),
        (vec!["replay", "--at", "0"], "positions count from 1"),
        (vec!["replay", "--at", &behind], "the log ends at position"),
        (
            vec!["events", "--from", &further],
            "the log ends at position",
        ),
        (vec!["replay", "--task", unknown], "airut replay --at"),
        (
            vec!["replay", "--conversation", "ffffffff"],
            "there was no conversation ffffffff",
        ),
        (
            vec!["replay", "--diff", "9", "3"],
            "name the earlier moment first",
        ),
        (
            vec![
                "replay",
                "--diff",
                "2026-11-24T14:03:09Z",
                "2026-11-24T14:03:01Z",
            ],
            "name the earlier moment first",
        ),
        (
            vec!["events", "--follow", "--format", "json"],
            "use --format jsonl",
        ),
    ] {
        let complained = home.complained(&arguments);
        assert!(complained.contains(words), "{arguments:?}: {complained}");
    }
    let output = home.run(&["replay", "--at", "yesterday"]);
    let complained = String::from_utf8(output.stderr).unwrap();
    assert!(complained.contains("2026-11-24T14:03:00Z"), "{complained}");
}

#[test]
fn the_page_for_auditors_shows_real_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("doc/audit.md")).unwrap();
    for name in ["task-at-a-time.txt", "conversation.txt"] {
        let kept = fs::read_to_string(root.join("tests/golden/replay").join(name)).unwrap();
        assert!(page.contains(&kept), "doc/audit.md shows another {name}");
    }
}
