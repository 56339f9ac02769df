//! All parts of one test's world, wired together.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::daemon::Launch;
use crate::common::hosts::{API_KEY, Hosts, PUSH_TOKEN};
use crate::common::mail::{self, ALICE, BOT, MailServers, PASSWORD};
use crate::common::parts::Parts;
use crate::common::repository::Repository;
use crate::common::{Daemon, Event};

/// What differs between worlds.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Whether there are mail servers; without, the local channel is the only one.
    pub(crate) mail: bool,
    /// The repository's URL.
    pub(crate) repo_url: String,
    /// Lines added to the top of the configuration.
    pub(crate) top_lines: Vec<String>,
    /// Seconds that running tasks get after a stop signal.
    pub(crate) shutdown_timeout_s: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            mail: true,
            repo_url: "https://git.example.test/work.git".to_owned(),
            top_lines: Vec::new(),
            shutdown_timeout_s: 30,
        }
    }
}

/// A test's world; dropping it removes all of it.
#[derive(Debug)]
pub(crate) struct World {
    /// How gateway processes are started in it.
    pub(crate) launch: Launch,
    /// The repository that the agent works for.
    pub(crate) repository: Repository,
    /// The private internet.
    pub(crate) hosts: Hosts,
    /// The mail servers.
    mail: Option<MailServers>,
    /// Where everything lies.
    pub(crate) dir: PathBuf,
    undertaker: Child,
    _slot: File,
}

impl World {
    /// Starts everything but the daemon; nothing where a part is missing.
    pub(crate) fn start(plan: &Plan) -> Option<Self> {
        let parts = Parts::find()?;
        let (slot, number) = take_slot();
        let name = format!("airut-test-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(&name);
        fs::create_dir_all(&dir).unwrap();
        let undertaker = undertaker(&dir, &name);
        let repository = Repository::make(&dir);
        let hosts = Hosts::start(&parts, &name, &dir);
        let base_port = 11_000 + 1_000 * number;
        let mail = plan.mail.then(|| MailServers::start(&dir, base_port));
        let launch = Launch {
            airut: parts.airut.clone(),
            environment: environment(&parts, &dir),
            config: dir.join("airut.yaml"),
            dir: dir.clone(),
        };
        install(&parts, &dir, &hosts);
        let world = Self {
            launch,
            repository,
            hosts,
            mail,
            dir,
            undertaker,
            _slot: slot,
        };
        world.configure(plan, &parts.claude_version);
        Some(world)
    }

    /// The mail servers.
    #[track_caller]
    pub(crate) fn mail(&self) -> &MailServers {
        self.mail.as_ref().expect("the plan has mail servers")
    }

    /// Starts the daemon and waits until it is up.
    pub(crate) fn daemon(&self) -> Daemon {
        Daemon::start(&self.launch)
    }

    /// The whole log.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.launch.events()
    }

    /// Names of the containers and networks that belong to runs of this world's daemon.
    pub(crate) fn sandboxes(&self, events: &[Event]) -> Vec<String> {
        let mut left = Vec::new();
        for event in events
            .iter()
            .filter(|event| event.kind() == "NetworkCreated")
        {
            left.extend(exists("network", event.text("name")));
        }
        for event in events
            .iter()
            .filter(|event| event.kind() == "ContainerCreated")
        {
            left.extend(exists("container", event.text("name")));
        }
        left
    }

    fn configure(&self, plan: &Plan, claude_version: &str) {
        let Plan {
            repo_url,
            shutdown_timeout_s,
            ..
        } = plan;
        let address = &self.hosts.address;
        let ca_file = self.hosts.ca_file.display();
        let mut lines = plan.top_lines.clone();
        lines.extend([
            "config_version: 5".to_owned(),
            format!("execution: {{max_concurrent: 2, shutdown_timeout: {shutdown_timeout_s}}}"),
            "dashboard: {enabled: false}".to_owned(),
            "network:".to_owned(),
            format!("  upstream_dns: {address}"),
            format!("  upstream_ca_file: {ca_file}"),
            format!("  internal_ranges: {{test_hosts: {address}/32}}"),
            "repos:".to_owned(),
            "  work:".to_owned(),
            format!("    repo_url: {repo_url}"),
            format!("    claude_version: {claude_version:?}"),
            "    resource_limits: {timeout: 60}".to_owned(),
            "    secrets:".to_owned(),
            "      CLAUDE_CODE_MAX_RETRIES: \"1\"".to_owned(),
            "      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: \"1\"".to_owned(),
            "    masked_secrets:".to_owned(),
            "      ANTHROPIC_API_KEY:".to_owned(),
            format!("        value: {API_KEY}"),
            "        scopes: [api.anthropic.com]".to_owned(),
            "        headers: [x-api-key]".to_owned(),
            "      GIT_TOKEN:".to_owned(),
            format!("        value: {PUSH_TOKEN}"),
            "        scopes: [git.example.test]".to_owned(),
            "        headers: [Authorization]".to_owned(),
        ]);
        if let Some(mail) = &self.mail {
            lines.extend(email_lines(mail));
        }
        fs::write(&self.launch.config, lines.join("\n") + "\n").unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("AIRUT_KEEP").is_some() {
            eprintln!("kept: {}", self.dir.display());
            fs::write(self.dir.join("keep"), b"").unwrap();
        }
        drop(self.undertaker.stdin.take());
        drop(self.undertaker.wait());
    }
}

fn email_lines(mail: &MailServers) -> Vec<String> {
    vec![
        "    email:".to_owned(),
        format!("      tls_ca_file: {}", mail.ca_file().display()),
        format!(
            "      account: {{username: {BOT}, from: \"Airut <{BOT}>\", password: {PASSWORD}}}"
        ),
        format!(
            "      imap: {{server: localhost, port: {}, poll_interval: 2, tls: implicit}}",
            mail.port("IMAPS_PORT")
        ),
        format!(
            "      smtp: {{server: localhost, port: {}, tls: starttls}}",
            mail.port("SUBMISSION_PORT")
        ),
        "      auth:".to_owned(),
        format!("        authorized_senders: [{ALICE}]"),
        "        trusted_authserv_id: mail.example.test".to_owned(),
    ]
}

/// The environment of the daemon: nothing of whoever runs the tests but where programs are.
fn environment(parts: &Parts, dir: &Path) -> Vec<(String, String)> {
    let under = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let mut environment = vec![
        ("HOME".to_owned(), under("home")),
        ("XDG_CONFIG_HOME".to_owned(), under("home/.config")),
        ("XDG_STATE_HOME".to_owned(), under("state")),
        ("XDG_RUNTIME_DIR".to_owned(), under("runtime")),
        (
            "AIRUT_PROXY_BIN".to_owned(),
            parts.proxy.to_string_lossy().into_owned(),
        ),
        ("RUST_BACKTRACE".to_owned(), "1".to_owned()),
    ];
    for name in [
        "PATH",
        "CONTAINERS_CONF",
        "CONTAINERS_STORAGE_CONF",
        "RUST_LOG",
    ] {
        environment.extend(
            std::env::var(name)
                .ok()
                .map(|value| (name.to_owned(), value)),
        );
    }
    environment
}

/// Puts what the daemon expects into its home: git's settings and the agent's binary.
fn install(parts: &Parts, dir: &Path, hosts: &Hosts) {
    let cache = dir
        .join("state/airut/claude-binaries")
        .join(&parts.claude_version);
    for made in [&cache, &dir.join("home"), &dir.join("runtime")] {
        fs::create_dir_all(made).unwrap();
    }
    let binary = cache.join("claude");
    if fs::hard_link(&parts.claude, &binary).is_err() {
        std::os::unix::fs::symlink(&parts.claude, &binary).unwrap();
    }
    let git = format!(
        "[http]\n\tsslCAInfo = {}\n\tcurloptResolve = git.example.test:443:{}\n",
        hosts.ca_file.display(),
        hosts.address,
    );
    fs::write(dir.join("home/.gitconfig"), git).unwrap();
}

/// Starts what cleans up once this process lets go of it, whatever happens to this process.
pub(crate) fn undertaker(dir: &Path, name: &str) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/undertaker.sh");
    let mut command = Command::new(script);
    command
        .arg(dir)
        .arg(name)
        .arg(mail::script())
        .stdin(Stdio::piped())
        .process_group(0);
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// Takes a number that no other world on this machine has, for its ports.
pub(crate) fn take_slot() -> (File, u16) {
    let slots = (0..20).find_map(|number| {
        let path = std::env::temp_dir().join(format!("airut-test-slot-{number}"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.try_lock().is_ok().then_some((file, number))
    });
    slots.expect("fewer than twenty worlds at once")
}

fn exists(kind: &str, name: &str) -> Option<String> {
    let asked = Command::new("podman")
        .args([kind, "exists", name])
        .status()
        .unwrap();
    asked.success().then(|| format!("{kind} {name}"))
}
