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
