use std::path::Path;

use secrecy::ExposeSecret as _;

use super::*;
use crate::config::types::MailTls;
use crate::events::id::{CredentialName, RepoId};

fn try_read(text: &str) -> Result<Config, Problem> {
    let environment = [("KEY", "real-key"), ("NO", "false"), ("HOST", "api.test")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    read(
        text,
        &environment.into(),
        Some(SocketAddr::from(([9, 9, 9, 9], 53))),
    )
}

const WHOLE: &str = r#"
config_version: 5
vars:
  mx: mail.harbor.test
  cap_time: 5400
execution: {max_concurrent: 5, shutdown_timeout: 120, conversation_max_age_days: 21, image_prune: false}
dashboard: {enabled: true, host: 127.0.0.1, port: 5311, base_url: https://ops.harbor.test/airut}
network: {upstream_dns: 9.9.9.9, internal_ranges: {corp: 10.20.0.0/16, lab: {range: "fd12::/32", hosts: ["*.lab.test"]}}}
container_command: podman
repos:
  ferry:
    repo_url: https://git.harbor.test/fleet/ferry.git
    model: sonnet
    effort: high
    claude_version: stable
    container_path: ops/agent-image
    network: {sandbox_enabled: true}
    resource_limits: {timeout: !var cap_time, memory: 6g, cpus: 2.5, pids_limit: 700}
    secrets: {BUILD_FLAVOUR: nightly, UNSET: !env NOT_THERE}
    masked_secrets:
      ANTHROPIC_API_KEY:
        value: !env KEY
        scopes: [!env HOST]
        headers: [x-api-key, Authorization]
        allow_foreign_credentials: !env NO
      SKIPPED:
        value: !env NOT_THERE
    signing_credentials:
      tide-store:
        type: aws-sigv4
        access_key_id: {name: AWS_ACCESS_KEY_ID, value: !env KEY}
        secret_access_key: {name: AWS_SECRET_ACCESS_KEY, value: !env KEY}
        session_token: {name: AWS_SESSION_TOKEN, value: !env NOT_THERE}
        scopes: ["*.s3.eu-north-1.amazonaws.com"]
    email:
      account: {username: ferrybot@harbor.test, from: "Ferry Bot <ferrybot@harbor.test>", password: !env KEY}
      imap: {server: !var mx, connect_retries: 4, poll_interval: 30, use_idle: true, idle_reconnect_interval: 1500}
      smtp: {server: !var mx, port: 465}
      auth:
        authorized_senders: [captain@harbor.test, "*@crew.harbor.test"]
        trusted_authserv_id: mx1.harbor.test
"#;

#[test]
fn the_worked_example_reads_as_written() {
    let config = try_read(WHOLE).unwrap();
    assert_eq!(config.execution.max_concurrent, 5);
    assert_eq!(config.dashboard.port, 5311);
    let range = |name: &str| config.network.internal_ranges[name].clone();
    assert_eq!(range("corp").range.to_string(), "10.20.0.0/16");
    assert_eq!(range("corp").hosts, [""; 0]);
    assert_eq!(range("lab").range.to_string(), "fd12::/32");
    assert_eq!(range("lab").hosts, ["*.lab.test"]);
    let repo = &config.repos[&RepoId("ferry".to_owned())];
    assert_eq!(repo.limits.timeout_s, Some(5400));
    assert_eq!(repo.limits.memory_bytes, Some(6 << 30));
    assert_eq!(repo.limits.cpu_millis, Some(2500));
    assert_eq!(repo.secrets.len(), 1);
    let email = repo.email.as_ref().unwrap();
    assert_eq!((email.imap.port, email.imap.tls), (993, MailTls::Implicit));
    assert_eq!((email.smtp.port, email.smtp.tls), (465, MailTls::Implicit));
    assert_eq!(email.imap.server, "mail.harbor.test");
}

#[test]
fn gap_17_tags_count_in_lists_and_booleans() {
    let config = try_read(WHOLE).unwrap();
    let masked = &config.repos[&RepoId("ferry".to_owned())].masked_secrets;
    let secret = &masked[&CredentialName("ANTHROPIC_API_KEY".to_owned())];
    assert!(!secret.allow_foreign_credentials);
    assert_eq!(secret.scopes, ["api.test"]);
    assert_eq!(secret.value.expose_secret(), "real-key");
    assert_eq!(masked.len(), 1);
    assert!(!format!("{config:?}").contains("real-key"));
}

#[test]
fn keys_that_sign_are_read_with_the_names_of_their_variables() {
    let config = try_read(WHOLE).unwrap();
    let signing = &config.repos[&RepoId("ferry".to_owned())].signing_credentials;
    let store = &signing[&CredentialName("tide-store".to_owned())];
    assert_eq!(store.access_key_id.name, "AWS_ACCESS_KEY_ID");
    assert_eq!(store.secret_access_key.value.expose_secret(), "real-key");
    assert!(store.session_token.is_none());
    assert_eq!(store.scopes, ["*.s3.eu-north-1.amazonaws.com"]);
    let key = "access_key_id: {name: A, value: v}, secret_access_key: {name: B, value: v}";
    let repo = |rest: &str| {
        format!("repos: {{a: {{repo_url: x, signing_credentials: {{s: {{{rest}}}}}}}}}\n")
    };
    refused(
        &repo(&format!("type: other, {key}, scopes: [h]")),
        "aws-sigv4",
    );
    refused(
        &repo(&format!("type: aws-sigv4, {key}, scopes: []")),
        "s.scopes must name at least one",
    );
}

#[test]
fn an_app_of_github_is_read_and_its_key_never_goes_in_the_clear() {
    let app = |rest: &str| {
        format!(
            "repos: {{a: {{repo_url: x, github_app_credentials: {{GH_TOKEN: {{app_id: 12, \
             private_key: k, scopes: [github.com], {rest}}}}}}}}}\n"
        )
    };
    let text = format!(
        "config_version: 5\n{}",
        app("installation_id: 4471, permissions: {contents: write}, repositories: [ferry]")
    );
    let config = try_read(&text).unwrap();
    let apps = &config.repos[&RepoId("a".to_owned())].github_app_credentials;
    let read = &apps[&CredentialName("GH_TOKEN".to_owned())];
    assert_eq!(read.base_url, "https://api.github.com");
    assert_eq!(
        (read.installation_id, read.allow_foreign_credentials),
        (4471, false)
    );
    assert_eq!(read.permissions["contents"], "write");
    refused(&app("repositories: [x]"), "installation_id is required");
    refused(
        &app("installation_id: 1, base_url: \"http://git.test\""),
        "base_url must be an https:// address",
    );
}

#[test]
fn defaults_hold_where_nothing_is_said() {
    let config = defaults(None);
    assert_eq!(config.execution.max_concurrent, 3);
    assert_eq!(config.execution.shutdown_timeout_s, 60);
    assert_eq!(config.execution.queue, QueueLimits::default());
    assert_eq!(config.dashboard.port, 5200);
    assert!(config.repos.is_empty());
    let config = try_read("config_version: 5\nrepos:\n  a: {repo_url: x}\n").unwrap();
    let repo = &config.repos[&RepoId("a".to_owned())];
    assert_eq!(
        (repo.model.as_str(), repo.claude_version.as_str()),
        ("opus", "latest")
    );
    assert_eq!(repo.container_path, ".airut/container");
    assert!(repo.network_sandbox);
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let text = format!("config_version: 5\n{text}");
    let problem = try_read(&text).unwrap_err().to_string();
    assert!(problem.contains(expected), "{problem}\n{text}");
}

#[test]
fn a_range_that_is_opened_to_nobody_is_an_error() {
    refused(
        "network: {internal_ranges: {a: {range: 10.0.0.0/8, hosts: []}}}\n",
        "network.internal_ranges.a.hosts names no host",
    );
    refused(
        "network: {internal_ranges: {a: {range: 10.0.0.0/8, host: [x]}}}\n",
        "hosts",
    );
}

#[test]
fn every_wrong_place_is_named_with_what_to_do() {
    refused(
        "exeuction: {}\n",
        "2:1: unknown key exeuction; did you mean execution?",
    );
    refused(
        "execution: {max_concurent: 2}\n",
        "unknown key execution.max_concurent; did you mean max_concurrent?",
    );
    refused(
        "execution: {max_concurrent: 0}\n",
        "2:29: execution.max_concurrent must be a whole number from 1",
    );
    refused("execution: {image_prune: maybe}\n", "must be true or false");
    refused("execution: [1]\n", "execution must be a mapping");
    refused("dashboard: {port: 70000}\n", "from 1 to 65535");
    refused(
        "network: {upstream_dns: nowhere}\n",
        "the address of a resolver",
    );
    refused(
        "network: {audit: lax}\n",
        "network.audit must be one of: strict, relaxed",
    );
    refused(
        "network: {internal_ranges: {a: 10.0.0.0}}\n",
        "network.internal_ranges.a must be an address range",
    );
    refused("repos: {a: {}}\n", "repos.a.repo_url is required");
    refused(
        "repos: {../a: {repo_url: x}}\n",
        "cannot be a repository's id",
    );
    refused(
        "repos: {log: {repo_url: x}}\n",
        "cannot be a repository's id",
    );
    refused(
        "repos: {a: {repo_url: x, container_path: ../x}}\n",
        "without ..",
    );
    refused(
        "repos: {a: {repo_url: x, resource_limits: {timeout: 9}}}\n",
        "from 10 to",
    );
    refused(
        "repos: {a: {repo_url: x, resource_limits: {memory: 2x}}}\n",
        "for example 2g",
    );
    refused(
        "repos: {a: {repo_url: x, resource_limits: {memory: 0g}}}\n",
        "for example 2g",
    );
    refused(
        "repos: {a: {repo_url: x, schedules: {s: {cron: x}}}}\n",
        "repos.a.schedules.s.cron is wrong",
    );
    refused(
        "repos: {a: {repo_url: x, masked_secrets: {K: {value: v, scopes: [], headers: [h]}}}}\n",
        "K.scopes must name at least one",
    );
    refused(
        "repos: {a: {repo_url: x, secrets: {1K: v}}}\n",
        "no name of an environment variable",
    );
    refused(
        "repos: {a: {repo_url: x, email: {}}}\n",
        "repos.a.email.account is required",
    );
    refused("- a\n", "");
}

#[test]
fn numbers_out_of_reach_are_refused() {
    refused(
        "execution: {shutdown_timeout: 1e9}\n",
        "from 1 to 315360000",
    );
    refused(
        "repos: {a: {repo_url: x, resource_limits: {cpus: 1e20}}}\n",
        "from 0.01 to 100000",
    );
}

#[test]
fn other_versions_are_refused_with_words() {
    let words = |text: &str| try_read(text).unwrap_err().to_string();
    assert!(words("repos: {}\n").contains("config_version is missing"));
    assert!(words("config_version: 4\n").contains("not read by this build"));
    assert!(words("config_version: 6\n").contains("newer than this Airut reads"));
    assert!(words("config_version: x\n").contains("whole number"));
}

#[test]
fn two_repositories_cannot_share_a_mailbox() {
    let two = WHOLE
        .replace("  ferry:\n", "  ferry: &none\n")
        .replace(" &none", "");
    let repo = two.split("  ferry:\n").nth(1).unwrap();
    let text = format!("{two}  other:\n{}", repo.replace("ferrybot@", "FERRYBOT@"));
    let problem = try_read(&text).unwrap_err().to_string();
    assert!(
        problem.contains("ferry and other share a mailbox"),
        "{problem}"
    );
}

#[track_caller]
fn mail_refused(from: &str, to: &str, expected: &str) {
    assert!(WHOLE.contains(from), "{from}");
    let problem = try_read(&WHOLE.replace(from, to)).unwrap_err().to_string();
    assert!(problem.contains(expected), "{problem}");
}

#[test]
fn a_mailbox_that_could_not_answer_is_refused_with_its_place() {
    mail_refused(
        "Ferry Bot <ferrybot@harbor.test>",
        "Ferry Bot",
        "36:55: repos.ferry.email.account.from must be an address",
    );
    for pattern in [
        "harbor.test",
        "*",
        "*@",
        "c*@harbor.test",
        "*@*.test",
        "<a@b.test>",
    ] {
        mail_refused(
            "captain@harbor.test",
            &format!("\"{pattern}\""),
            "40:30: repos.ferry.email.auth.authorized_senders names",
        );
    }
    for interval in ["1e20", "inf", "NaN", "0"] {
        mail_refused(
            "poll_interval: 30",
            &format!("poll_interval: {interval}"),
            "poll_interval must be a number from 0.1 to 604800",
        );
    }
    mail_refused(
        "interval: 1500",
        "interval: 1e19",
        "must be a number from 60 to 604800",
    );
}

#[test]
fn a_backup_is_taken_every_night_where_it_is_configured() {
    let read = |backup: &str| {
        let config = try_read(&format!("config_version: 5\nbackup: {backup}\n"));
        config.map(|config| config.backup)
    };
    let check = |backup: &str, at: (i8, i8), drill: bool| {
        let backup = read(backup).unwrap().unwrap();
        assert_eq!(backup.directory, Path::new("/backup/airut"));
        assert_eq!((backup.at.hour, backup.at.minute), at);
        assert_eq!(backup.drill, drill);
    };
    assert_eq!(try_read("config_version: 5\n").unwrap().backup, None);
    check("{directory: /backup/airut}", (4, 0), true);
    check(
        "{directory: /backup/airut, at: 00:00, drill: false}",
        (0, 0),
        false,
    );
    check("{directory: /backup/airut, at: \"23:59\"}", (23, 59), true);
    for (wrong, said) in [
        ("{at: 04:00}", "backup.directory is required"),
        (
            "{directory: backup}",
            "backup.directory must be an absolute path",
        ),
        (
            "{directory: /b, at: 24:00}",
            "backup.at must be a time of day, for example 04:00",
        ),
        (
            "{directory: /b, at: 04:60}",
            "backup.at must be a time of day",
        ),
        ("{directory: /b, at: 4}", "backup.at must be a time of day"),
        (
            "{directory: /b, at: +4:00}",
            "backup.at must be a time of day",
        ),
        (
            "{directory: /b, dril: false}",
            "unknown key backup.dril; did you mean drill?",
        ),
    ] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

#[test]
fn what_the_queue_takes_is_read_within_its_limits() {
    let read = |keys: &str| {
        let text = format!("config_version: 5\nexecution: {{{keys}}}\n");
        let read = try_read(&text).map(|config| config.execution.queue);
        read.map_err(|problem| problem.to_string())
    };
    let queue = read(
        "max_concurrent_per_repo: 2, max_concurrent_per_sender: 1, max_waiting: 50, \
         max_waiting_per_sender: 5",
    );
    let expected = QueueLimits {
        per_repo_max: Some(2),
        per_sender_max: Some(1),
        waiting_max: 50,
        waiting_per_sender_max: 5,
    };
    assert_eq!(queue, Ok(expected));
    assert!(read("max_waiting: 100000").is_ok());
    for (keys, words) in [
        ("max_waiting: 100001", "a whole number from 1 to 100000"),
        ("max_waiting_per_sender: 0", "a whole number from 1 to"),
        ("max_concurrent_per_repo: 255", "from 1 to 254"),
    ] {
        let refused = read(keys).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
}
