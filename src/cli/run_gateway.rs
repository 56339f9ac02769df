//! `airut run-gateway`: the daemon. Its log goes to standard error.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::output::Output;
use crate::cli::paths;
use crate::config::env;
use crate::service::{Service, ServicePlan};

/// The configuration is wrong (spec row CLI-15).
const EXIT_CONFIG: u8 = 1;
/// The service could not be started.
const EXIT_START: u8 = 2;
/// The service could not go on.
const EXIT_RUN: u8 = 3;

/// Arguments of `airut run-gateway`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Stay up even when no repository works
    #[arg(long)]
    resilient: bool,
    /// Log more
    #[arg(long)]
    debug: bool,
}

/// Runs the daemon until it is told to stop.
pub(super) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    log_to_stderr(arguments.debug);
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        anyhow::bail!("a TLS provider is installed already");
    }
    let directories = paths::directories();
    let loaded = match paths::load_config(arguments.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            output.error(&error.to_string());
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    for key in &loaded.idle_keys {
        tracing::warn!(
            key,
            "this version reads the key, but does not act on it yet"
        );
    }
    let plan = ServicePlan {
        config: loaded.config,
        config_sha256: loaded.sha256,
        state_dir: directories.state,
        runtime_dir: directories.runtime,
        proxy_binary: paths::proxy_binary(),
        resilient: arguments.resilient,
        crash_at: env::get("AIRUT_CRASH_AT"),
        crash_after: env::get("AIRUT_CRASH_AFTER"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(serve(plan, *output))?;
    // A backup that is being taken is given up; it stays what it was.
    runtime.shutdown_background();
    Ok(ExitCode::from(code))
}

/// Slack's client and the sockets under it print the addresses that they connect to, which are
/// tickets: they stay silent, whatever the environment asks for.
const TELL_SECRETS: [&str; 2] = ["slack_morphism=off", "tungstenite=off"];

fn log_to_stderr(debug: bool) {
    let level = if debug {
        "airut=debug,info"
    } else {
        "airut=info,warn"
    };
    let filter = EnvFilter::try_new(env::get("AIRUT_LOG").as_deref().unwrap_or(level));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(level));
    let filter = TELL_SECRETS.iter().fold(filter, |filter, silenced| {
        filter.add_directive(silenced.parse().expect("it is a directive"))
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

async fn serve(plan: ServicePlan, output: Output) -> anyhow::Result<u8> {
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let service = match Service::start(plan).await {
        Ok(service) => service,
        Err(error) => {
            output.error(&error.to_string());
            return Ok(EXIT_START);
        }
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "airut takes messages in"
    );
    let failure = service.failure();
    let cause = tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
        () = failure.cancelled() => "the service cannot go on",
    };
    if let Some(why) = service.why_failed() {
        output.error(&format!(
            "the log cannot be written any more: {why}; nothing that was acknowledged is lost, and \
             what was not stays where it is: start Airut again once it can be written"
        ));
    }
    tracing::info!(cause, "stopping; a second signal stops at once");
    let urgency = service.urgency();
    let hurry = async {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        urgency.cancel();
        std::future::pending::<()>().await;
    };
    let clean = tokio::select! {
        clean = service.stop(cause) => clean,
        () = hurry => false,
    };
    Ok(if failure.is_cancelled() || !clean {
        EXIT_RUN
    } else {
        0
    })
}
