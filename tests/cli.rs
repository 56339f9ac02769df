//! The command line as a person or a unit file meets it, without a daemon.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "the rules on processes and the environment are for the product"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

#[path = "cli/mail.rs"]
mod mail;
#[path = "cli/render.rs"]
mod render;
#[path = "cli/schedule.rs"]
mod schedule;
#[path = "cli/upgrade.rs"]
mod upgrade;

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_airut"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .current_dir(self.path())
            .stdin(Stdio::null());
        command.output().unwrap()
    }

    fn config(&self, text: &str) -> String {
        let path = self.path().join("airut.yaml");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_a_command_the_version_and_the_commands_are_shown() {
    let home = Home::new();
    let shown = home.run(&[]);
    assert!(shown.status.success());
    let words = said(&shown);
    assert!(words.starts_with("Airut "), "{words}");
    for command in ["init", "check", "run-gateway", "send", "reply", "replay"] {
        assert!(words.contains(command), "{command}: {words}");
    }
    assert_eq!(home.run(&["no-such-command"]).status.code(), Some(2));
}

#[test]
fn a_first_configuration_is_written_once_and_left_as_it_is() {
    let home = Home::new();
    let written = home.run(&["init"]);
    assert!(written.status.success(), "{written:?}");
    let path = home.path().join(".config/airut/airut.yaml");
    let stub = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{stub}# mine\n")).unwrap();
    let again = home.run(&["init"]);
    assert!(said(&again).contains("left as it is"), "{again:?}");
    assert!(fs::read_to_string(&path).unwrap().ends_with("# mine\n"));
}

#[test]
fn check_says_what_it_looked_at_and_names_what_is_wrong() {
    let home = Home::new();
    let good = home
        .config("config_version: 5\ndashboard: {port: 5300}\ncontainer_command: /nowhere/podman\n");
    let checked = home.run(&["check", "--config", &good]);
    let words = said(&checked);
    for heading in ["Version", "Configuration", "Dependencies", "Service"] {
        assert!(words.contains(heading), "{heading}: {words}");
    }
    assert!(words.contains("dashboard is read, but"), "{words}");
    assert!(words.contains("install /nowhere/podman 4.0"), "{words}");
    assert_eq!(checked.status.code(), Some(1));
    assert!(!words.contains('\x1b'), "no colour without a terminal");

    let email = "{account: {username: b, from: b@x.test, password: p}, imap: {server: i.test}, \
                 smtp: {server: s.test}, auth: {authorized_senders: [a@x.test], \
                 trusted_authserv_id: x.test}, tls_ca_file: /nowhere/ca.pem}";
    let lost = home.config(&format!(
        "config_version: 5\nrepos: {{work: {{repo_url: x, email: {email}}}}}\n"
    ));
    let words = said(&home.run(&["check", "--config", &lost]));
    assert!(words.contains("tls_ca_file /nowhere/ca.pem"), "{words}");
}

#[test]
fn a_configuration_that_was_named_must_be_there() {
    let home = Home::new();
    for command in ["run-gateway", "check"] {
        let refused = home.run(&[command, "--config", "/nowhere/airut.yaml"]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let words = said(&refused) + &complained(&refused);
        assert!(
            words.contains("/nowhere/airut.yaml is not there"),
            "{words}"
        );
    }
    let usual = said(&home.run(&["check"]));
    assert!(usual.contains("the defaults hold"), "{usual}");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    let home = Home::new();
    let wrong = home.config("config_version: 5\nexeuction: {}\n");
    let refused = home.run(&["run-gateway", "--config", &wrong]);
    assert_eq!(refused.status.code(), Some(1));
    let words = complained(&refused);
    assert!(words.contains("airut.yaml:2:1: unknown key"), "{words}");
}

#[test]
fn what_cannot_be_sent_is_refused_before_a_daemon_is_asked() {
    let home = Home::new();
    fs::write(home.path().join("small"), "x").unwrap();
    let large = fs::File::create(home.path().join("large")).unwrap();
    large.set_len(64 << 20).unwrap();
    for (arguments, word) in [
        (vec!["send"], "empty"),
        (vec!["send", "--attach", "none", "x"], "none"),
        (vec!["send", "--attach", "/", "x"], "it is no file"),
        (
            vec!["send", "--attach", "small", "--attach", "large", "x"],
            "more than 64 MiB",
        ),
        (vec!["send", "x"], "run-gateway"),
    ] {
        let refused = home.run(&arguments);
        let words = complained(&refused);
        assert_eq!(refused.status.code(), Some(1), "{words}");
        assert!(words.contains(word), "{words}");
    }
}

const ALLOWLIST: &str = "domains: [static.test]\nurl_prefixes:\n  - {host: api.test, path: /v1/*, \
                         methods: [POST]}\n";

#[test]
fn an_allowlist_is_checked_with_place_and_known_keys() {
    let home = Home::new();
    let file = home.path().join("allowlist.yaml");
    fs::write(&file, ALLOWLIST).unwrap();
    let checked = home.run(&["allowlist", "check", "allowlist.yaml"]);
    assert!(checked.status.success(), "{checked:?}");
    assert!(
        said(&checked).contains("1 domains, 1 url_prefixes"),
        "{checked:?}"
    );
    fs::write(&file, "domains: []\nurl_prefix: []\n").unwrap();
    let checked = home.run(&["allowlist", "check", "allowlist.yaml"]);
    assert_eq!(checked.status.code(), Some(1));
    let words = complained(&checked);
    assert!(
        words.contains("line 2") && words.contains("url_prefixes"),
        "{words}"
    );
}

#[test]
fn an_allowlist_explains_what_becomes_of_a_request() {
    let home = Home::new();
    fs::write(home.path().join("allowlist.yaml"), ALLOWLIST).unwrap();
    let ask = |method, url| home.run(&["allowlist", "explain", "allowlist.yaml", method, url]);
    let allowed = ask("POST", "https://api.test/v1/a");
    assert!(allowed.status.success(), "{allowed:?}");
    assert!(said(&allowed).contains("url_prefixes[0]"), "{allowed:?}");
    let blocked = ask("GET", "https://api.test/v1/a");
    assert_eq!(blocked.status.code(), Some(1));
    assert!(said(&blocked).contains("but not GET"), "{blocked:?}");
}

#[test]
fn questions_about_allowlists_are_answered_line_by_line() {
    let home = Home::new();
    fs::write(home.path().join("allowlist.yaml"), ALLOWLIST).unwrap();
    let questions = [
        serde_json::json!({"allowlist": "allowlist.yaml", "host": "static.test", "path": "/", "method": "GET"}),
        serde_json::json!({"allowlist": ALLOWLIST, "host": "api.test", "path": "/v2", "method": "POST"}),
        serde_json::json!({"allowlist": {"domains": ["a.test"]}, "host": "A.test", "path": "/", "method": "PUT"}),
        serde_json::json!({"allowlist": "domain: []\n", "host": "a.test", "path": "/", "method": "GET"}),
        serde_json::json!({"host": "a.test"}),
        serde_json::json!([]),
    ];
    let lines: Vec<String> = questions.iter().map(ToString::to_string).collect();
    fs::write(home.path().join("questions"), lines.join("\n")).unwrap();
    let input = fs::File::open(home.path().join("questions")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_airut"));
    command.args(["allowlist", "explain", "--jsonl"]);
    let answered = command
        .current_dir(home.path())
        .stdin(input)
        .output()
        .unwrap();
    let answers = said(&answered);
    let answers: Vec<serde_json::Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = answers
        .iter()
        .map(|answer| {
            (
                answer["allowed"].as_bool().unwrap(),
                answer["rule"].as_str(),
            )
        })
        .collect();
    let none = (false, None);
    let expected = [
        (true, Some("domains[0]")),
        none,
        (true, Some("domains[0]")),
        none,
        none,
        none,
    ];
    assert_eq!(told, expected, "{answers:?}");
    assert!(answers[3]["error"].as_str().unwrap().contains("domain"));
}
