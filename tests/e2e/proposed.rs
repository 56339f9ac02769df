//! An allowlist that is proposed, against what a working daemon has decided so far: the command asks
//! the daemon, since nobody else can read the log meanwhile.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::common::{Plan, World};

/// Names what was blocked, leaves out what was allowed, and has a rule for what nobody asked.
const PROPOSED: &str = "domains: [api.anthropic.com, git.example.test]
url_prefixes:
  - {host: other.example.test, path: /wanted, methods: [GET]}
  - {host: origin.example.test, path: /bytes/*}
  - {host: origin.example.test, path: /status/*}
";

/// Returns the requests that changed, each with how often it was made.
fn changed(report: &Value, how: &str) -> Vec<(String, u64)> {
    let requests = report[how]["requests"].as_array().unwrap().iter();
    let one = |changed: &Value| {
        let request = &changed["request"];
        let part = |name: &str| request[name].as_str().unwrap();
        let line = format!("{} {}{}", part("method"), part("host"), part("path"));
        (line, changed["times"].as_u64().unwrap())
    };
    requests.map(one).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_proposed_allowlist_is_tested_against_the_log_of_a_working_daemon() {
    let Some(world) = World::start(&Plan {
        mail: false,
        ..Plan::default()
    }) else {
        return;
    };
    let mut daemon = world.daemon();
    let ask = |path: &str| format!("curl -s https://{path};");
    let asks = [
        "origin.example.test/bytes/9",
        "origin.example.test/echo",
        "origin.example.test/echo",
        "other.example.test/wanted",
        "evil.example.test/",
    ];
    let asks: String = asks.map(ask).concat();
    let prompt = format!("[[bash:{asks}]] [[say:Asked.]]");
    world.launch.output(&["send", "--wait", &prompt]);
    daemon.await_replies(1);

    let file = world.dir.join("proposed.yaml");
    fs::write(&file, PROPOSED).unwrap();
    let file = file.display().to_string();
    let test = |more: &[&str]| {
        let test = ["allowlist", "test", &file, "--against-log"];
        world.launch.output(&[&test[..], more].concat())
    };
    let tested = test(&["--json"]);
    assert_eq!(tested.status.code(), Some(3), "{tested:?}");
    let report: Value = serde_json::from_str(&said(&tested)).unwrap();
    let one = |line: &str, times| vec![(line.to_owned(), times)];
    let allowed = one("GET other.example.test/wanted", 1);
    assert_eq!(changed(&report, "newly_allowed"), allowed, "{report}");
    let blocked = one("GET origin.example.test/echo", 2);
    assert_eq!(changed(&report, "newly_blocked"), blocked, "{report}");
    let unused = json!([
        "domains[1] (git.example.test)",
        "url_prefixes[2] (origin.example.test /status/*)"
    ]);
    assert_eq!(report["unused_rules"], unused);

    let told = said(&test(&[]));
    for line in [
        "newly blocked: 2",
        "GET origin.example.test/echo (2)",
        "newly allowed: 1",
        "GET other.example.test/wanted (1)",
        "never used: url_prefixes[2] (origin.example.test /status/*)",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let since = world.launch.last_position() + 1;
    let none = test(&["--since", &since.to_string()]);
    assert_eq!(none.status.code(), Some(0), "{none:?}");
    daemon.stop();
}
