//! What stories and the simulation share: messages, the lines of an agent, and a repository that is
//! always the same.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use airut::config::types::{
    Audit, Config, Dashboard, Execution, Limits, Network, QueueLimits, Repo,
};
use airut::events::container::{ContainerExited, ContainerRole, ContainerStarted};
use airut::events::id::{ChannelKind, ConversationId, RepoId, RunId, SessionId};
use airut::events::message::{
    AuthenticationMethod, HintSource, MessageSource, RejectionReason, ReplyAddress,
};
use airut::events::run::{AgentEventObserved, LineBody};
use airut::handlers::channels::{Incoming, Triage, Triaged};
use airut::sandbox::agent::Transcript;
use airut::sandbox::mirrors::{GitError, LastChange, MirrorHead, Mirrors};
use airut::sandbox::port::RunRequest;
use airut::sandbox::recorder::{PortFuture, RecordError, Recorder};

/// A message of the fake channel: `sender|conversation or nothing|subject|text`.
pub(crate) fn raw(sender: &str, hint: &str, subject: &str, text: &str) -> String {
    format!("{sender}|{hint}|{subject}|{text}")
}

/// Judges such a message.
pub(crate) fn read(raw: &[u8]) -> Triage {
    let text = String::from_utf8(raw.to_vec()).unwrap();
    let parts: Vec<&str> = text.splitn(4, '|').collect();
    let [sender, hint, subject, body] = parts[..] else {
        panic!("a mail that makes its reader panic");
    };
    if sender == "mallory" {
        return Triage::Rejected {
            reason: RejectionReason::NotAuthorized,
            detail: "no rule permits mallory".to_owned(),
        };
    }
    let named = hint.strip_prefix("cc ").unwrap_or_default();
    let invites = named.split_whitespace().map(str::to_owned).collect();
    let hint: Option<ConversationId> = hint.parse().ok();
    let verdict = if body.starts_with("Too long:") {
        Triage::Declined
    } else {
        Triage::Accepted
    };
    let triaged = Triaged {
        sender_name: String::new(),
        method: AuthenticationMethod::Dmarc,
        identity: sender.to_owned(),
        evidence: "mx.example.test".to_owned(),
        rule: "*@example.test".to_owned(),
        body: body.to_owned(),
        subject: subject.to_owned(),
        conversation_hint: hint.map(|hint| (hint, HintSource::SubjectTag)),
        invites,
        model_hint: None,
        attachments: vec![],
        reply_to: ReplyAddress::Email {
            to: format!("{sender}@example.test"),
            message_id: format!("<{}@example.test>", body.len()),
            references: vec![],
        },
    };
    verdict(Box::new(triaged))
}

/// Returns a message as the channel meets it.
pub(crate) fn incoming(key: &str, sender: &str, hint: &str, text: &str) -> Incoming {
    Incoming {
        repo: repo(),
        channel: ChannelKind::Email,
        source: MessageSource::Socket,
        dedupe_key: key.to_owned(),
        raw: raw(sender, hint, "Fix it", text).into_bytes(),
        media_type: "message/rfc822".to_owned(),
        claimed_sender: sender.to_owned(),
        title: "Fix it".to_owned(),
    }
}

pub(crate) fn repo() -> RepoId {
    RepoId("work".to_owned())
}

pub(crate) const UNKNOWN: &str = "No conversation found with session ID: x";

pub(crate) fn session_of(request: &RunRequest) -> String {
    let resumed = request.argv.iter().position(|word| word == "--resume");
    resumed.map_or_else(
        || format!("session-{}", request.run),
        |at| request.argv[at + 1].clone(),
    )
}

pub(crate) fn keep_session(request: &RunRequest, session: &str) {
    let project = source_of(request, "/root/.claude").join("projects/-workspace");
    std::fs::create_dir_all(&project).unwrap();
    std::fs::write(project.join(format!("{session}.jsonl")), "").unwrap();
}

pub(crate) fn source_of(request: &RunRequest, target: &str) -> PathBuf {
    let mut mounts = request.mounts.iter();
    let mount = mounts.find(|mount| mount.target == target);
    PathBuf::from(&mount.unwrap().source)
}

pub(crate) fn said(text: &str) -> String {
    format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
}

pub(crate) fn result(text: &str, session: &str) -> String {
    format!(
        r#"{{"type":"result","subtype":"success","is_error":false,"result":"{text}","session_id":"{session}","num_turns":2,"duration_ms":900,"total_cost_usd":0.01}}"#
    )
}

pub(crate) fn failure(subtype: &str, status: &str, text: &str) -> String {
    format!(
        r#"{{"type":"result","subtype":"{subtype}","is_error":true,"api_error_status":{status},"result":"{text}","errors":["{text}"],"total_cost_usd":0.005}}"#
    )
}

pub(crate) fn limited(resets_at: u64) -> String {
    format!(
        r#"{{"type":"rate_limit_event","rate_limit_info":{{"status":"rejected","resetsAt":{resets_at},"rateLimitType":"five_hour"}}}}"#
    )
}

/// A message of a model whose million tokens of input cost four dollars.
pub(crate) fn spent() -> String {
    r#"{"type":"assistant","message":{"id":"m-1","model":"claude-opus-5-5","usage":{"input_tokens":2500000,"output_tokens":1},"content":[{"type":"text","text":"Looking."}]}}"#.to_owned()
}

pub(crate) fn started(run: RunId) -> airut::events::Event {
    let role = ContainerRole::Agent;
    ContainerStarted { run, role }.into()
}

pub(crate) fn exited(run: RunId, exit_code: i32) -> airut::events::Event {
    ContainerExited {
        run,
        role: ContainerRole::Agent,
        exit_code,
        out_of_memory: false,
        duration_ms: 1000,
    }
    .into()
}

/// Records each line by itself, so that a crash may come between any two.
pub(crate) async fn observe(
    recorder: &dyn Recorder,
    run: RunId,
    lines: Vec<String>,
) -> Result<(), RecordError> {
    let mut transcript = Transcript::default();
    for (index, line) in (1..).zip(lines) {
        let facts = transcript.observe(&line);
        let observed = AgentEventObserved {
            run,
            index,
            event_type: facts.event_type,
            subtype: facts.subtype,
            session: facts.session.map(|session| SessionId(session.0)),
            line: LineBody::Inline(line),
        };
        recorder.record(vec![observed.into()]).await?;
    }
    Ok(())
}

/// Mirrors of a repository that is always the same; `unreachable` is one that cannot be fetched.
pub(crate) struct FakeMirrors;

impl Mirrors for FakeMirrors {
    fn fetch<'a>(
        &'a self,
        _: &'a RepoId,
        url: &'a str,
    ) -> PortFuture<'a, Result<MirrorHead, GitError>> {
        assert_ne!(url, "panicking", "a panic while a task is prepared");
        let fetched = if url == "unreachable" {
            Err(GitError::Remote("could not resolve host".to_owned()))
        } else {
            Ok(MirrorHead {
                branch: "main".to_owned(),
                commit: "c0ffee".to_owned(),
                created: true,
            })
        };
        Box::pin(std::future::ready(fetched))
    }

    fn read_file<'a>(
        &'a self,
        _: &'a RepoId,
        _: &'a str,
        _: &'a str,
    ) -> PortFuture<'a, Result<Vec<u8>, GitError>> {
        Box::pin(std::future::ready(Ok(b"domains: []\n".to_vec())))
    }

    fn last_change<'a>(
        &'a self,
        _: &'a RepoId,
        commit: &'a str,
        _: &'a str,
    ) -> PortFuture<'a, Result<LastChange, GitError>> {
        let change = LastChange {
            commit: commit.to_owned(),
            author: "Olive <olive@example.test>".to_owned(),
            committed_at: "2026-11-20T09:00:00+00:00".to_owned(),
        };
        Box::pin(std::future::ready(Ok(change)))
    }

    fn read_directory<'a>(
        &'a self,
        _: &'a RepoId,
        _: &'a str,
        _: &'a str,
    ) -> PortFuture<'a, Result<Vec<(String, Vec<u8>)>, GitError>> {
        let dockerfile = ("Dockerfile".to_owned(), b"FROM scratch\n".to_vec());
        Box::pin(std::future::ready(Ok(vec![dockerfile])))
    }

    fn clone_workspace<'a>(
        &'a self,
        _: &'a RepoId,
        _: &'a str,
        destination: &'a Path,
    ) -> PortFuture<'a, Result<(), GitError>> {
        let made = std::fs::create_dir_all(destination);
        let made = made.map_err(|error| GitError::Local(error.to_string()));
        Box::pin(std::future::ready(made))
    }
}
pub(crate) fn config(repo_url: &str) -> Config {
    Config {
        backup: None,
        execution: Execution {
            max_concurrent: 2,
            queue: QueueLimits::default(),
            shutdown_timeout_s: 5,
            conversation_max_age_days: 7,
            image_prune: true,
        },
        dashboard: Dashboard {
            enabled: false,
            host: "127.0.0.1".to_owned(),
            port: 5200,
            base_url: Some("https://airut.example.test/".to_owned()),
        },
        network: Network {
            honey: true,
            upstream_dns: SocketAddr::from((Ipv4Addr::LOCALHOST, 53)),
            internal_ranges: BTreeMap::new(),
            audit: Audit::Strict,
            upstream_ca_file: None,
        },
        container_command: "podman".to_owned(),
        repos: BTreeMap::from([(repo(), repository(repo_url))]),
    }
}

fn repository(repo_url: &str) -> Repo {
    Repo {
        repo_url: repo_url.to_owned(),
        model: "opus".to_owned(),
        effort: None,
        claude_version: "latest".to_owned(),
        container_path: ".airut/container".to_owned(),
        network_sandbox: true,
        limits: Limits::default(),
        secrets: BTreeMap::new(),
        masked_secrets: BTreeMap::new(),
        signing_credentials: BTreeMap::new(),
        github_app_credentials: BTreeMap::new(),
        email: None,
        slack: None,
        schedules: BTreeMap::new(),
    }
}
