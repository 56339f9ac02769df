//! `airut pentest` against the real sandbox: nothing gets out. And against none, to see that the suite
//! would notice.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(clippy::print_stderr, reason = "a skipped part is said aloud")]
#![expect(
    clippy::disallowed_methods,
    reason = "the command is run as a person runs it, and parts are named by the environment"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use airut::events::run::RunLimits;
use airut::service::command_run::Surroundings;
use airut::service::command_run::context::Context;
use airut::service::pentest::fakes::Credentials;
use airut::service::pentest::report::Report;
use airut::service::pentest::{self, Plan};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const BASE_IMAGE: &str = "localhost/airut-test-base:latest";

/// Fewest vectors that must have been tried.
const RUN_MIN: u64 = 80;

/// Returns the static proxy, or says aloud what is missing.
fn proxy() -> Option<PathBuf> {
    let exists = ["image", "exists", BASE_IMAGE];
    let image = Command::new("podman").args(exists).status();
    let proxy = std::env::var_os("AIRUT_PROXY_BIN").map(PathBuf::from);
    let missing = match (&proxy, image.is_ok_and(|status| status.success())) {
        (Some(proxy), true) if proxy.is_file() => return Some(proxy.clone()),
        (_, false) => format!("Podman with {BASE_IMAGE} (make setup)"),
        (_, true) => "AIRUT_PROXY_BIN names no airut-proxy (make proxy)".to_owned(),
    };
    let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
    assert!(!required, "a real part is missing: {missing}");
    eprintln!("SKIPPED: {missing}");
    None
}

fn home() -> TempDir {
    tempfile::Builder::new().prefix("airut").tempdir().unwrap()
}

fn airut(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_airut"));
    command.args(arguments).current_dir(home);
    for name in ["XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"] {
        command.env(name, home.join(name));
    }
    command
}

#[test]
fn nothing_gets_out_of_a_sandbox() {
    if proxy().is_none() {
        return;
    }
    let home = home();
    let mut command = airut(home.path(), &["pentest", "--image", BASE_IMAGE, "--json"]);
    let output = command.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {complaints}"));
    let failed: Vec<&Value> = report["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|outcome| outcome["verdict"] == "failed")
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(report["failed"], 0);
    assert_eq!(report["denied_queries"], 0);
    assert!(report["passed"].as_u64().unwrap() >= RUN_MIN, "{report}");
    assert!(output.status.success());
    let left = ["network", "ls", "--format", "{{.Name}}"];
    let left = Command::new("podman").args(left).output().unwrap();
    let left = String::from_utf8_lossy(&left.stdout).into_owned();
    // Another suite may be running.
    let own = report["name"].as_str().unwrap();
    assert!(!left.contains(own), "{left}");
}

const ALLOWLIST: &str = "\
domains: [pypi.example.test, '*.crates.example.test']
url_prefixes:
  - {host: git.example.test, path: '/ours/*', methods: [GET, POST]}
  - {host: api.example.test, path: /graphql, graphql: {queries: [viewer], mutations: [addComment]}}
";

const CONFIG: &str = "\
config_version: 5
repos:
  work:
    repo_url: REPOSITORY
    masked_secrets:
      GIT_TOKEN: {value: not-looked-at-by-the-suite, scopes: [git.example.test], headers: [authorization]}
";

/// Makes a repository with an allowlist and an image of its own, and a configuration that names it.
fn repository(home: &Path) {
    let repository = home.join("repository");
    for (path, text) in [
        (".airut/network-allowlist.yaml", ALLOWLIST),
        (
            ".airut/container/Dockerfile",
            &format!("FROM {BASE_IMAGE}\n"),
        ),
    ] {
        let path = repository.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for arguments in [
        &["init", "-q", "-b", "main"][..],
        &["add", "-A"],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.test",
            "commit",
            "-q",
            "-m",
            "first",
        ],
    ] {
        let mut git = Command::new("git");
        let done = git
            .args(arguments)
            .current_dir(&repository)
            .status()
            .unwrap();
        assert!(done.success(), "{arguments:?}");
    }
    let config = home.join("XDG_CONFIG_HOME/airut");
    std::fs::create_dir_all(&config).unwrap();
    let text = CONFIG.replace("REPOSITORY", repository.to_str().unwrap());
    std::fs::write(config.join("airut.yaml"), text).unwrap();
}

#[test]
fn the_users_own_rules_hold_in_a_sandbox_of_the_users_own() {
    if proxy().is_none() {
        return;
    }
    let home = home();
    repository(home.path());
    let mut command = airut(
        home.path(),
        &["pentest", "--repo", "work", "--json", "--only", "P"],
    );
    let output = command.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {complaints}"));
    let outcomes = report["outcomes"].as_array().unwrap();
    let of = |family: &str| {
        let is_of = |outcome: &&Value| {
            outcome["id"].as_str().unwrap().starts_with(family) && outcome["verdict"] == "passed"
        };
        outcomes.iter().filter(is_of).count()
    };
    assert_eq!(report["failed"], 0, "{report:#}");
    assert_eq!(report["not_run"], 0, "{report:#}");
    assert_eq!((of("P1"), of("P3"), of("P4")), (4, 1, 1), "{report:#}");
    assert!(of("P2") >= 12 && of("P5") == 2, "{report:#}");
    let mut command = airut(home.path(), &["pentest", "--repo", "other"]);
    let output = command.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.contains("it has: work"), "{complaints}");
}

/// Without the network sandbox every way out is open, and each must be seen to be.
#[tokio::test(flavor = "multi_thread")]
async fn the_suite_notices_a_sandbox_that_is_none() {
    let Some(proxy_binary) = proxy() else { return };
    let home = home();
    let report = without_network_sandbox(home.path(), proxy_binary).await;
    let verdict = |id: &str| {
        let found = report.outcomes.iter().find(|outcome| outcome.id == id);
        found.unwrap_or_else(|| panic!("{id} is not there")).verdict
    };
    for id in [
        "K7", "N1.4", "N2.1", "N2.4", "N2.12", "N2.16", "N3.1", "N3.3", "N4.16", "N4.17", "N4.26",
        "N9.1", "N9.3", "N11.1", "N16.1", "N17.1", "N18.1", "N20.1", "N21.1", "N21.3", "N22.1",
        "N23.1", "C3.1", "C5.2", "C10.1",
    ] {
        assert_eq!(verdict(id), "failed", "{id}: {:#?}", report.outcomes);
    }
    assert!(report.denied_queries > 0);
}

async fn without_network_sandbox(home: &Path, proxy_binary: PathBuf) -> Report {
    let plan = Plan {
        surroundings: Surroundings {
            state_dir: home.join("state"),
            runtime_dir: home.join("run"),
            proxy_binary,
            container_command: "podman".to_owned(),
            upstream_dns: "192.0.2.53:53".parse().unwrap(),
            internal_ranges: vec![],
            upstream_ca: None,
        },
        image: Context {
            dockerfile: format!("FROM {BASE_IMAGE}\n").into_bytes(),
            files: vec![],
        },
        limits: RunLimits::default(),
        credentials: Credentials::default(),
        allowlist: None,
        network_sandbox: false,
        only: None,
    };
    pentest::run(plan, &CancellationToken::new()).await.unwrap()
}
