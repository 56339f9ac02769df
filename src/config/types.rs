//! The configuration as the rest of Airut sees it: parsed, checked, with defaults filled in. Pure;
//! it knows no YAML, no file and no environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::events::id::{CredentialName, RepoId};

pub mod schedule;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// How much runs at once, and for how long things are kept.
    pub execution: Execution,
    /// The dashboard.
    pub dashboard: Dashboard,
    /// The backup that the daemon takes by itself; nothing unless it is configured.
    pub backup: Option<Backup>,
    /// How sandboxes reach the world.
    pub network: Network,
    /// The engine's command; `podman` unless a test needs another.
    pub container_command: String,
    /// The repositories, by id.
    pub repos: BTreeMap<RepoId, Repo>,
}

/// `execution:`
#[derive(Debug, Clone)]
pub struct Execution {
    /// Tasks executing at once; at least 1, default 3.
    pub max_concurrent: usize,
    /// How many tasks may run and wait for whom.
    pub queue: QueueLimits,
    /// How long running tasks may go on after a stop signal, in seconds; at least 1, default 60.
    pub shutdown_timeout_s: u64,
    /// How long an idle conversation is kept, in days; at least 1, default 7.
    pub conversation_max_age_days: u32,
    /// Whether old images are removed; default true.
    pub image_prune: bool,
}

/// What one repository and one sender may take of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Tasks of a repository executing at once (`execution.max_concurrent_per_repo`); as many as
    /// there is room for by default.
    pub per_repo_max: Option<usize>,
    /// Tasks of a sender executing at once (`execution.max_concurrent_per_sender`); as many as there
    /// is room for by default.
    pub per_sender_max: Option<usize>,
    /// Tasks waiting at once (`execution.max_waiting`); whoever writes then is told to write later.
    pub waiting_max: usize,
    /// Tasks of a sender waiting at once (`execution.max_waiting_per_sender`); a sender who writes
    /// more is told to write later.
    pub waiting_per_sender_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            per_repo_max: None,
            per_sender_max: None,
            waiting_max: 10_000,
            waiting_per_sender_max: 1000,
        }
    }
}

/// `dashboard:`
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// Whether there is one; default true.
    pub enabled: bool,
    /// Address it listens on; default 127.0.0.1.
    pub host: String,
    /// Port it listens on; default 5200.
    pub port: u16,
    /// Prefix of links in messages; no links without it.
    pub base_url: Option<String>,
}

/// `backup:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where it goes; an absolute path.
    pub directory: PathBuf,
    /// When it is taken each day, by the machine's own time; default 04:00.
    pub at: TimeOfDay,
    /// Whether it is restored on trial afterwards; default true.
    pub drill: bool,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    /// From 0 to 23.
    pub hour: i8,
    /// From 0 to 59.
    pub minute: i8,
}

/// `network:`
#[derive(Debug, Clone)]
pub struct Network {
    /// The resolver that proxies ask; the first `nameserver` of `/etc/resolv.conf` by default.
    pub upstream_dns: SocketAddr,
    /// Internal address ranges that allowed hosts may resolve to, by name; none by default.
    pub internal_ranges: BTreeMap<String, InternalRange>,
    /// A PEM file of further authorities that upstream hosts may be certified by.
    pub upstream_ca_file: Option<PathBuf>,
    /// Whether conversations have a honey surrogate; default true.
    pub honey: bool,
    /// When a request may leave; default `strict`.
    pub audit: Audit,
}

/// `network.audit`: when a request may leave a sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Audit {
    /// Once its decision is durable.
    #[default]
    Strict,
    /// At once, while the disk is at most 50 ms behind.
    Relaxed,
}

/// `network.internal_ranges.<name>`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalRange {
    /// The addresses, in CIDR form.
    pub range: IpNet,
    /// Patterns of the hosts that may resolve to them; none means every allowed host.
    pub hosts: Vec<String>,
}

/// `repos.<id>`
#[derive(Debug, Clone)]
pub struct Repo {
    /// URL that git clones from.
    pub repo_url: String,
    /// Model of new conversations; default `opus`.
    pub model: String,
    /// Effort of new conversations.
    pub effort: Option<String>,
    /// `latest`, `stable` or a version; default `latest`.
    pub claude_version: String,
    /// Directory of the Dockerfile in the repository; default `.airut/container`.
    pub container_path: String,
    /// Whether the network sandbox is on; default true.
    pub network_sandbox: bool,
    /// Limits of each run.
    pub limits: Limits,
    /// Plain environment variables (their values are secret to logs and events all the same).
    pub secrets: BTreeMap<String, SecretString>,
    /// Credentials of which the container only sees surrogates, by environment variable.
    pub masked_secrets: BTreeMap<CredentialName, MaskedSecret>,
    /// Keys for AWS of which the container only sees surrogates, by the operator's name for them.
    pub signing_credentials: BTreeMap<CredentialName, SigningSecret>,
    /// Apps of GitHub of whose tokens the container only sees surrogates, by environment variable.
    pub github_app_credentials: BTreeMap<CredentialName, GithubAppSecret>,
    /// The mailbox, if mail is used.
    pub email: Option<Email>,
    /// The Slack app, if Slack is used.
    pub slack: Option<Slack>,
    /// Work that nobody writes for, by name.
    pub schedules: BTreeMap<String, schedule::Schedule>,
}

/// `repos.<id>.resource_limits`; nothing given means no limit.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Wall clock seconds; at least 10.
    pub timeout_s: Option<u64>,
    /// Bytes of memory and swap together.
    pub memory_bytes: Option<u64>,
    /// Thousandths of a processor; at least 10.
    pub cpu_millis: Option<u64>,
    /// Processes and threads; at least 1.
    pub pids_max: Option<u64>,
}

/// `repos.<id>.masked_secrets.<NAME>`
#[derive(Debug, Clone)]
pub struct MaskedSecret {
    /// The real value.
    pub value: SecretString,
    /// Host patterns it may be sent to; at least one.
    pub scopes: Vec<String>,
    /// Header name patterns it may stand in; at least one.
    pub headers: Vec<String>,
    /// Whether other credentials in those headers pass; default false.
    pub allow_foreign_credentials: bool,
}

/// `repos.<id>.signing_credentials.<ID>`
#[derive(Debug, Clone)]
pub struct SigningSecret {
    /// Id of the access key.
    pub access_key_id: NamedSecret,
    /// The secret that signs.
    pub secret_access_key: NamedSecret,
    /// The session token of a temporary key.
    pub session_token: Option<NamedSecret>,
    /// Host patterns it may sign requests to; at least one.
    pub scopes: Vec<String>,
}

/// `repos.<id>.github_app_credentials.<NAME>`
#[derive(Debug, Clone)]
pub struct GithubAppSecret {
    /// Client id or number of the app.
    pub app_id: SecretString,
    /// Its RSA key, PEM.
    pub private_key: SecretString,
    /// The installation that tokens are for.
    pub installation_id: u64,
    /// Host patterns that tokens may be sent to; at least one.
    pub scopes: Vec<String>,
    /// Whether other credentials in `Authorization` pass; default false.
    pub allow_foreign_credentials: bool,
    /// GitHub's API, https; default `https://api.github.com`.
    pub base_url: String,
    /// What tokens may do; all that the app may, if empty.
    pub permissions: BTreeMap<String, String>,
    /// Names of the repositories that tokens are for; all of the installation, if empty.
    pub repositories: Vec<String>,
}

/// A value and the environment variable whose place it has.
#[derive(Debug, Clone)]
pub struct NamedSecret {
    /// Name of the variable.
    pub name: String,
    /// The real value.
    pub value: SecretString,
}

/// `repos.<id>.email`
#[derive(Debug, Clone)]
pub struct Email {
    /// User name at both servers.
    pub username: String,
    /// The `From` of replies, as configured.
    pub from: String,
    /// The password; not used where there are tokens.
    pub password: Option<SecretString>,
    /// How tokens are asked for; nothing: the account signs in with its password.
    pub microsoft_oauth2: Option<MicrosoftOauth2>,
    /// Where mail comes from.
    pub imap: Imap,
    /// Where mail goes.
    pub smtp: Smtp,
    /// Who may use it.
    pub auth: EmailAuth,
    /// A PEM file of further authorities that the servers may be certified by.
    pub tls_ca_file: Option<PathBuf>,
}

/// `repos.<id>.email.microsoft_oauth2`
#[derive(Debug, Clone)]
pub struct MicrosoftOauth2 {
    /// The directory (tenant), by id or domain.
    pub tenant_id: String,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Where tokens come from, `https://…` without a slash at its end; default
    /// `https://login.microsoftonline.com`.
    pub authority: String,
    /// What tokens are for; default `https://outlook.office365.com/.default`.
    pub scope: String,
}

/// How a connection to a mail server is secured; never not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// TLS from the first byte.
    Implicit,
    /// STARTTLS, required.
    StartTls,
}

/// `repos.<id>.email.imap`
#[derive(Debug, Clone)]
pub struct Imap {
    /// Host name.
    pub server: String,
    /// Port; default 993.
    pub port: u16,
    /// How it is secured; implicit unless the port is 143 or `tls` says otherwise.
    pub tls: MailTls,
    /// Tries before a connection counts as failed; at least 1, default 3.
    pub connect_retries: u32,
    /// Seconds between polls when IDLE is off or missing; at least 0.1, default 60.
    pub poll_interval_s: f64,
    /// Whether IDLE is used; default true.
    pub use_idle: bool,
    /// Seconds after which an IDLE connection is made anew; at least 60, default 1740.
    pub idle_reconnect_interval_s: f64,
    /// The folder that is read, as people write its name; default `INBOX`.
    pub folder: String,
}

/// `repos.<id>.email.smtp`
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Host name.
    pub server: String,
    /// Port; default 587.
    pub port: u16,
    /// How it is secured; STARTTLS unless the port is 465 or `tls` says otherwise.
    pub tls: MailTls,
    /// Whether to sign in; default true.
    pub require_auth: bool,
}

/// `repos.<id>.email.auth`
#[derive(Debug, Clone)]
pub struct EmailAuth {
    /// Exact addresses or `*@domain`; at least one.
    pub authorized_senders: Vec<String>,
    /// The authserv-id whose verdicts count; empty: any (Microsoft 365 names none).
    pub trusted_authserv_id: String,
    /// Whether Microsoft's internal mark counts where no verdict is; default false.
    pub microsoft_internal_fallback: bool,
    /// Whose verification counts; default the server's.
    pub verify: Verify,
}

/// `repos.<id>.email.auth.verify`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// `header`: that of the trusted server.
    Header,
    /// `self`: Airut's own.
    Ourselves {
        /// The name server that is asked for keys and policies (`auth.resolver`).
        resolver: SocketAddr,
    },
}

/// A Slack app of one workspace, and who may use it.
#[derive(Debug, Clone)]
pub struct Slack {
    /// The app's bot token (`xoxb-…`), for the Web API.
    pub bot_token: SecretString,
    /// The app-level token (`xapp-…`, scope `connections:write`), for Socket Mode.
    pub app_token: SecretString,
    /// Who may use it, in order: the first rule that matches permits. Never empty.
    pub authorized: Vec<SlackRule>,
    /// Ids of the channels it listens in; empty: every one it is invited to. Direct messages are
    /// not restricted by it.
    pub allowed_channels: Vec<String>,
    /// Where the Web API is, without a slash at its end; over https, or on this machine.
    pub api_url: String,
}

/// A rule that permits users of the workspace (spec row SLK-08).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlackRule {
    /// Every full member; guests are none. `false` permits nobody.
    WorkspaceMembers(bool),
    /// Members of the user group with this handle.
    UserGroup(String),
    /// The user with this id.
    UserId(String),
}
