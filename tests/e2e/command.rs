//! `airut sandbox run` as a CI job meets it: streams, exit codes, environment, mounts and network.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::hosts::header;
use crate::common::parts::BASE_IMAGE;
use crate::common::{Plan, World};

/// What the sandboxed command may not see.
const SECRET: &str = "ghp_realrealrealrealrealrealrealreal0001";

/// A working copy in which commands run.
pub(super) struct Project {
    pub(super) world: World,
    pub(super) dir: PathBuf,
}

impl Project {
    /// Makes one in a world of its own.
    pub(super) fn start() -> Option<Self> {
        let world = World::start(&Plan {
            mail: false,
            ..Plan::default()
        })?;
        let dir = world.dir.join("project");
        let project = Self { world, dir };
        let dockerfile = format!("FROM {BASE_IMAGE}\n");
        project.write(".airut/container/Dockerfile", &dockerfile);
        Some(project)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// `airut sandbox` in the working copy.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.launch.command(&["sandbox"]);
        command
            .args(arguments)
            .current_dir(&self.dir)
            .env("SECRET", SECRET)
            .stdin(Stdio::null());
        command
    }

    /// Runs a script in the sandbox, with options of `run`.
    pub(super) fn run(&self, options: &[&str], script: &str) -> Output {
        let arguments = [&["run"], options, &["--", "sh", "-c", script]].concat();
        self.command(&arguments).output().unwrap()
    }

    /// As [`run`](Self::run), with the private internet behind the proxy.
    fn run_on_hosts(&self, options: &[&str], script: &str) -> Output {
        self.command_on_hosts(options, script).output().unwrap()
    }

    /// The same, not yet started.
    pub(super) fn command_on_hosts(&self, options: &[&str], script: &str) -> Command {
        let (dns, ca) = (&self.world.hosts.address, &self.world.hosts.ca_file);
        let (ca, range) = (ca.display().to_string(), format!("{dns}/32"));
        let hosts = [
            "--upstream-dns",
            dns,
            "--upstream-ca",
            &ca,
            "--internal-range",
            &range,
        ];
        self.command(&[&["run"], &hosts[..], options, &["--", "sh", "-c", script]].concat())
    }
}

pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(super) fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub(super) fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", complained(output));
}

#[test]
fn a_command_in_the_sandbox_has_its_callers_streams_and_exit_code() {
    let Some(project) = Project::start() else {
        return;
    };
    let mut command = project.command(&["run", "--", "sh", "-c", "cat; printf end >&2; exit 7"]);
    let streams = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = streams.spawn().unwrap();
    // More than any buffer on the way, without a line's end, and no text.
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let mut stdin = child.stdin.take().unwrap();
    let written = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&written).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_code(&output, 7);
    assert!(
        output.stdout == bytes,
        "{} bytes came back",
        output.stdout.len()
    );
    assert_eq!(complained(&output), "end");

    let output = project.run(&[], "pwd; echo made >made; id -u");
    assert_code(&output, 0);
    assert_eq!(said(&output), "/workspace\n0\n");
    assert_eq!(
        complained(&output),
        "",
        "nothing of ours is told unless asked for"
    );
    assert_eq!(
        fs::read_to_string(project.dir.join("made")).unwrap(),
        "made\n"
    );

    let (read_only, data) = (
        "./.airut:/data:ro",
        "echo x >/data/x || echo read-only; ls /data",
    );
    let output = project.run(&["--mount", read_only, "--mount", ".:/workspace:ro"], data);
    assert_code(&output, 0);
    assert_eq!(said(&output), "read-only\ncontainer\n");
    let output = project.run(&["--mount", ".:/workspace:ro"], "echo x >x");
    assert!(!output.status.success() && !project.dir.join("x").exists());
}

#[test]
fn a_commands_environment_is_the_files_then_the_callers_then_the_surrogates() {
    let Some(project) = Project::start() else {
        return;
    };
    project.write(
        ".airut/sandbox.yaml",
        "env: {A: file, B: file, C: file, D: !env FROM_OUTSIDE}\npass_env: [B, C, NOT_SET]\n\
         masked_secrets:\n  C: {value: !env SECRET, scopes: [origin.example.test], headers: \
         [authorization]}\n",
    );
    let mut command = project.command(&["run", "--", "env"]);
    let outside = command.env("B", "outside").env("C", "outside");
    let output = outside.env("FROM_OUTSIDE", "told").output().unwrap();
    assert_code(&output, 0);
    let env = said(&output);
    for line in [
        "A=file\n",
        "B=outside\n",
        "D=told\n",
        "IS_SANDBOX=1\n",
        "C=ghp_",
    ] {
        assert!(env.contains(line), "{line:?} in {env}");
    }
    for absent in ["NOT_SET", "FROM_OUTSIDE", SECRET, "CLAUDE_CODE"] {
        assert!(!env.contains(absent), "{absent:?} in {env}");
    }
    // Without the variable that the file asks for there is no run.
    let output = project.command(&["run", "--", "env"]).output().unwrap();
    assert_code(&output, 125);
    let words = complained(&output);
    assert!(
        words.contains("sandbox.yaml:1:42: the environment variable FROM_OUTSIDE is not set"),
        "{words}"
    );
    assert_eq!(said(&output), "");
}

#[test]
fn what_keeps_a_command_from_running_is_exit_code_125_and_says_what_to_do() {
    let Some(project) = Project::start() else {
        return;
    };
    let check = |arguments: &[&str], expected: &str| {
        let output = project.command(arguments).output().unwrap();
        assert_code(&output, 125);
        let words = complained(&output);
        assert!(words.contains(expected), "{arguments:?}: {words}");
    };
    check(
        &["run"],
        "no command is given: airut sandbox run [OPTIONS] -- COMMAND",
    );
    check(
        &["run", "--config", "none.yaml", "--", "true"],
        "none.yaml is not there",
    );
    check(
        &["run", "--allowlist", "none.yaml", "--", "true"],
        "none.yaml: No such file",
    );
    check(
        &["run", "--dockerfile", "Nofile", "--", "true"],
        "Nofile: No such file",
    );
    check(
        &["run", "--mount", "nowhere:/data", "--", "true"],
        "nowhere cannot be mounted",
    );
    check(
        &["run", "--container-command", "no-engine", "--", "true"],
        "no-engine could not be started",
    );
    check(
        &["run", "--network-log", "/dev/full", "--", "true"],
        "/dev/full: ",
    );
    project.write("wrong.yaml", "domainz: []\n");
    check(
        &["run", "--allowlist", "wrong.yaml", "--", "true"],
        "wrong.yaml: ",
    );
    project.write("Dockerfile", "FROM localhost/there-is-no-such-image\n");
    check(
        &["run", "--dockerfile", "Dockerfile", "--", "true"],
        "the image cannot be built",
    );
    check(
        &["image", "hash", "--dockerfile", "Nofile"],
        "Nofile: No such file",
    );
    // The command's own failures are its own.
    let output = project
        .command(&["run", "--", "no-such-program"])
        .output()
        .unwrap();
    assert_code(&output, 127);
}

#[test]
fn a_command_reaches_what_is_allowed_and_its_secret_is_never_visible() {
    let Some(project) = Project::start() else {
        return;
    };
    let hosts = &project.world.hosts;
    project.write(
        ".airut/network-allowlist.yaml",
        "domains: [origin.example.test]\n",
    );
    project.write(
        ".airut/sandbox.yaml",
        "masked_secrets:\n  TOKEN: {value: !env SECRET, scopes: [origin.example.test], headers: \
         [Authorization]}\n",
    );
    let script = "curl -sS -o /dev/null -w '%{http_code} ' -H \"Authorization: Bearer $TOKEN\" \
                  https://origin.example.test/echo; \
                  curl -sS -o /dev/null -w '%{http_code}' https://other.example.test/secret; \
                  cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n' >&2";
    let options = [
        "--network-log",
        "logs/net.log",
        "--network-log-live",
        "--debug",
    ];
    let output = project.run_on_hosts(&options, script);
    assert_code(&output, 0);
    assert_eq!(said(&output), "200 403");
    let asked = hosts.requests_to("origin.example.test");
    assert_eq!(
        header(&asked[0], "authorization"),
        [format!("Bearer {SECRET}")]
    );
    assert!(hosts.requests_to("other.example.test").is_empty());

    let log = fs::read_to_string(project.dir.join("logs/net.log")).unwrap();
    let forward = "FORWARD GET https://origin.example.test/echo (domains[0])\n";
    let allowed = "ALLOWED GET https://origin.example.test/echo -> 200 [masked: 1]\n";
    let blocked = "BLOCKED GET https://other.example.test/secret -> 403\n";
    assert!(log.starts_with("=== TASK START "), "{log}");
    assert!(log.contains(blocked), "{log}");
    assert!(
        log.find(forward).unwrap() < log.find(allowed).unwrap(),
        "{log}"
    );
    let words = complained(&output);
    assert!(words.contains(&format!("[net] {allowed}")), "{words}");
    assert!(
        words.contains("the command can rewrite its own network log there"),
        "{words}"
    );
    assert!(words.contains("TOKEN=ghp_") && !words.contains("[net] FORWARD"));
    for text in [&words, &log] {
        assert!(!text.contains(SECRET), "{text}");
    }

    // Another run goes on in the same file; without an allowlist nothing is allowed.
    fs::remove_file(project.dir.join(".airut/network-allowlist.yaml")).unwrap();
    let options = ["--network-log", "logs/net.log"];
    let output = project.run_on_hosts(&options, script);
    assert_eq!(said(&output), "403 403");
    let both = fs::read_to_string(project.dir.join("logs/net.log")).unwrap();
    assert!(both.starts_with(&log) && both.matches("=== TASK START ").count() == 2);
    assert!(!complained(&output).contains("[net]"));
    assert_eq!(kept_logs(&project.world.dir), 0);
    project.run(&[], "true");
    assert_eq!(
        kept_logs(&project.world.dir),
        1,
        "a log that nobody named is kept all the same"
    );
}

fn kept_logs(dir: &Path) -> usize {
    let kept = fs::read_dir(dir.join("state/airut/sandbox/network"));
    kept.map_or(0, Iterator::count)
}
