//! `airut sandbox run`: one command to its end (spec rows SCLI-01 to SCLI-06, SCLI-08, SCLI-09).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::Args;
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::output::Output;
use crate::cli::sandbox::mounts::{can_write, mounts};
use crate::cli::sandbox::streams::Standard;
use crate::cli::sandbox::{EXIT_INFRASTRUCTURE, EngineArguments, ImageArguments, LogArguments};
use crate::config::read::sandbox::SandboxFile;
use crate::config::sandbox_file;
use crate::service::command_run::{
    self, ALLOWLIST_PATH, Allowlist, CommandError, CommandPlan, Network, RunEnd, Surroundings,
    allowlist_file,
};

/// The command ran into its time limit, as with `timeout` (spec row SCLI-02).
const EXIT_TIMEOUT: u8 = 124;

/// What a shell adds to a signal's number.
const EXIT_SIGNAL: i32 = 128;

/// The exit code of a process that was killed.
const KILLED: i32 = 137;

/// Milliseconds in an hour.
const HOUR_MS: u64 = 3_600_000;

/// Longest time limit in seconds, ten years; a longer one is refused.
const TIMEOUT_S_MAX: u64 = 315_360_000;

/// Most hours of an image's age, ten years; more is refused.
const IMAGE_AGE_HOURS_MAX: u64 = 87_600;

/// Port of a name server that names none.
const DNS_PORT: u16 = 53;

/// Arguments of `airut sandbox run`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The sandbox's configuration; .airut/sandbox.yaml if it is there
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    #[command(flatten)]
    image: ImageArguments,
    /// What may be reached; .airut/network-allowlist.yaml, and nothing at all without it
    #[arg(long, value_name = "PATH")]
    allowlist: Option<PathBuf>,
    /// Time limit of the command, over the configuration's
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=TIMEOUT_S_MAX))]
    timeout: Option<u64>,
    #[command(flatten)]
    engine: EngineArguments,
    /// Build the image again when it is this old; 0: always
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(..=IMAGE_AGE_HOURS_MAX))]
    max_image_age: u64,
    /// Mount something else of the host; SRC:/workspace takes the working directory's place
    #[arg(long, value_name = "SRC:DST[:ro]")]
    mount: Vec<String>,
    /// Append what happens on the network to a file
    #[arg(long, value_name = "FILE")]
    network_log: Option<PathBuf>,
    /// Print what happens on the network, as it happens
    #[arg(long)]
    network_log_live: bool,
    /// The resolver that the proxy asks
    #[arg(long, value_name = "IP[:PORT]", default_value = command_run::UPSTREAM_DNS, value_parser = resolver)]
    upstream_dns: SocketAddr,
    /// Further authorities that allowed hosts may be certified by, PEM
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// An internal range that allowed hosts may resolve to
    #[arg(long, value_name = "CIDR")]
    internal_range: Vec<String>,
    #[command(flatten)]
    log: LogArguments,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn resolver(text: &str) -> Result<SocketAddr, String> {
    let address = || text.parse::<IpAddr>().ok();
    let with_port = text.parse().ok();
    let resolver = with_port.or_else(|| Some(SocketAddr::new(address()?, DNS_PORT)));
    resolver.ok_or_else(|| "it must be an IP address, with or without a port".to_owned())
}

/// Runs the command and returns the exit code.
pub(super) fn run(arguments: &Arguments, output: Output) -> anyhow::Result<u8> {
    arguments.log.begin()?;
    if arguments.command.is_empty() {
        anyhow::bail!("no command is given: airut sandbox run [OPTIONS] -- COMMAND [ARGUMENTS]");
    }
    let file = sandbox_file::load(arguments.config.as_deref())?;
    if !file.network_sandbox && file.has_surrogates() {
        output.note("network_sandbox is off: credentials stay surrogates and open nothing");
    }
    let surroundings = surroundings(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(Box::pin(serve(arguments, file, &surroundings, output)));
    // A read of standard input that still waits ends with the process.
    runtime.shutdown_background();
    code
}

fn surroundings(arguments: &Arguments) -> anyhow::Result<Surroundings> {
    let mut surroundings = arguments.engine.surroundings()?;
    surroundings.upstream_dns = arguments.upstream_dns;
    for text in &arguments.internal_range {
        let range = text.parse();
        let range = range
            .map_err(|_| anyhow::anyhow!("--internal-range {text} is no range of addresses"))?;
        surroundings.internal_ranges.push(range);
    }
    if let Some(path) = &arguments.upstream_ca {
        let read = std::fs::read_to_string(path);
        let read = read.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        surroundings.upstream_ca = Some(read);
    }
    Ok(surroundings)
}

async fn serve(
    arguments: &Arguments,
    file: SandboxFile,
    surroundings: &Surroundings,
    output: Output,
) -> anyhow::Result<u8> {
    let stop = CancellationToken::new();
    let told = OnceLock::new();
    let signals = follow_signals(&stop, &told)?;
    let timeout_s = arguments.timeout.or(file.limits.timeout_s);
    let plan = plan(arguments, file, stop.clone(), output)?;
    let ended = tokio::select! {
        ended = command_run::run(surroundings, plan, &stop) => ended,
        never = signals => match never {},
    };
    let signal = told.get().copied();
    match ended {
        Err(CommandError::Stopped) => Ok(exit_code_of(EXIT_SIGNAL + signal.unwrap_or_default())),
        Err(error) => Err(error.into()),
        Ok(end) => Ok(exit_code(&end, timeout_s, output)),
    }
}

/// Stops the command at the first signal that asks for it, and notes which.
fn follow_signals<'a>(
    stop: &'a CancellationToken,
    told: &'a OnceLock<i32>,
) -> anyhow::Result<impl Future<Output = std::convert::Infallible> + 'a> {
    let listen = |kind: SignalKind| signal(kind).map(|signal| (signal, kind.as_raw_value()));
    let mut term = listen(SignalKind::terminate())?;
    let mut int = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        let number = tokio::select! {
            _ = term.0.recv() => term.1,
            _ = int.0.recv() => int.1,
            _ = hangup.0.recv() => hangup.1,
        };
        told.get_or_init(|| number);
        tracing::info!(number, "a signal: stopping the command");
        stop.cancel();
        std::future::pending().await
    })
}

fn plan(
    arguments: &Arguments,
    file: SandboxFile,
    stop: CancellationToken,
    output: Output,
) -> anyhow::Result<CommandPlan> {
    let mounts = mounts(&std::env::current_dir()?, &arguments.mount)?;
    if let Some(log) = arguments
        .network_log
        .as_ref()
        .filter(|log| can_write(&mounts, log))
    {
        let log = log.display();
        output.note(&format!(
            "{log}: the command can rewrite its own network log there; name a file outside of what \
             it can write to"
        ));
    }
    let network = file.network_sandbox.then(|| network(arguments, output));
    let mut limits = file.limits;
    limits.timeout_s = arguments.timeout.or(limits.timeout_s);
    Ok(CommandPlan {
        image: arguments.image.read()?,
        image_age_ms_max: arguments.max_image_age * HOUR_MS,
        argv: arguments.command.clone(),
        env: environment(file.env, &file.pass_env, arguments.log.is_verbose()),
        masked_secrets: file.masked_secrets,
        signing_credentials: file.signing_credentials,
        github_app_credentials: file.github_app_credentials,
        mounts,
        limits: command_run::limits(&limits),
        network: network.transpose()?,
        streams: Arc::new(Standard::new(stop)),
    })
}

/// What passes from outside stands over what the file says (spec row SCLI-04).
fn environment(
    mut env: BTreeMap<String, SecretString>,
    pass_env: &[String],
    verbose: bool,
) -> BTreeMap<String, SecretString> {
    let outside = sandbox_file::environment();
    for name in pass_env {
        if let Some(value) = outside.get(name) {
            env.insert(name.clone(), SecretString::from(value.clone()));
        }
    }
    if verbose {
        env.insert("AIRUT_VERBOSE".to_owned(), SecretString::from("1"));
    }
    env
}

fn network(arguments: &Arguments, output: Output) -> anyhow::Result<Network> {
    let live = arguments.network_log_live;
    let print = move |line: &str| output.network(line);
    Ok(Network {
        allowlist: allowlist(arguments.allowlist.as_deref())?,
        log: arguments.network_log.clone(),
        listener: live.then(|| Box::new(print) as command_run::Listener),
    })
}

/// Reads what may be reached: nothing without the usual file (spec row SCLI-06).
fn allowlist(named: Option<&Path>) -> anyhow::Result<Allowlist> {
    let path = named.unwrap_or_else(|| Path::new(ALLOWLIST_PATH));
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => vec![],
        Err(error) => anyhow::bail!("{}: {error}", path.display()),
    };
    let read = allowlist_file::parse(&bytes);
    read.map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.reason()))
}

/// Spec row SCLI-02: the command's own exit code, unless the sandbox has something to say.
fn exit_code(end: &RunEnd, timeout_s: Option<u64>, output: Output) -> u8 {
    if end.timed_out {
        let seconds = timeout_s.unwrap_or_default();
        output.note(&format!(
            "the command ran into its time limit of {seconds} s"
        ));
        return EXIT_TIMEOUT;
    }
    if end.proxy_lost {
        output.note("the network proxy was lost, so the command was ended");
        return EXIT_INFRASTRUCTURE;
    }
    if end.out_of_memory {
        output.note(
            "the command was killed for want of memory: raise resource_limits.memory in \
             .airut/sandbox.yaml",
        );
    } else if end.exit_code == KILLED && !end.stopped {
        output.note("the command was killed (exit code 137); the machine may be out of memory");
    }
    exit_code_of(end.exit_code)
}

/// An exit code has eight bits; what is none is a failure of the sandbox.
fn exit_code_of(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(EXIT_INFRASTRUCTURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_is_an_address_with_or_without_a_port() {
        assert_eq!(resolver("9.9.9.9"), Ok("9.9.9.9:53".parse().unwrap()));
        assert_eq!(resolver("[::1]:5353"), Ok("[::1]:5353".parse().unwrap()));
        assert!(resolver("dns.test").is_err());
    }

    #[test]
    fn the_exit_code_is_the_commands_unless_the_sandbox_ended_it() {
        let end = RunEnd {
            exit_code: 7,
            timed_out: false,
            stopped: false,
            out_of_memory: false,
            proxy_lost: false,
            too_much_output: false,
            duration_ms: 1,
            stderr_tail: String::new(),
        };
        let code = |end: RunEnd| exit_code(&end, Some(1), Output::of_terminal());
        assert_eq!(code(end.clone()), 7);
        assert_eq!(
            code(RunEnd {
                timed_out: true,
                ..end.clone()
            }),
            124
        );
        assert_eq!(
            code(RunEnd {
                proxy_lost: true,
                ..end.clone()
            }),
            125
        );
        assert_eq!(
            code(RunEnd {
                exit_code: -1,
                ..end.clone()
            }),
            125
        );
        let out_of_memory = RunEnd {
            exit_code: 137,
            out_of_memory: true,
            ..end
        };
        assert_eq!(code(out_of_memory), 137);
    }
}
