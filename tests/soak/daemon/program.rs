//! The daemon as it is, but for its sandbox: an agent that answers at once stands behind that port.
//! The soak is about everything around it; the real sandbox is killed in `tests/e2e/kill.rs`.
//!
//! `soak-daemon CONFIG` runs until it is told to stop, or killed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a daemon for tests may stop at the first surprise"
)]

#[path = "../../story/parts.rs"]
#[expect(
    dead_code,
    reason = "the agent's lines are needed here, and no messages"
)]
mod parts;
#[path = "../../story/passing.rs"]
mod passing;

mod agent;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use airut::config::env;
use airut::config::load::{self, WithoutFile};
use airut::sandbox::port::Sandbox;
use airut::service::standby::Starter;
use airut::service::{Service, ServicePlan};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::agent::Instant;
use crate::passing::Passing;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("airut=info,warn,slack_morphism=off"))
        .with_writer(std::io::stderr)
        .init();
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let clean = runtime.block_on(serve(plan()));
    ExitCode::from(u8::from(!clean))
}

fn plan() -> ServicePlan {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let path = path.expect("the configuration is named");
    let loaded = load::load(&path, WithoutFile::Refused).unwrap();
    let directories = env::directories();
    ServicePlan {
        config: loaded.config,
        config_sha256: loaded.sha256,
        state_dir: directories.state,
        runtime_dir: directories.runtime,
        proxy_binary: PathBuf::new(),
        resilient: false,
        crash_at: None,
        crash_after: env::get("AIRUT_CRASH_AFTER"),
    }
}

/// Serves until a signal comes, or the service cannot go on; says whether it ended in good order.
async fn serve(plan: ServicePlan) -> bool {
    let mut term = signal(SignalKind::terminate()).unwrap();
    let starter: Starter = Box::new(|| {
        let sandbox: Arc<dyn Sandbox> = Arc::new(Passing(Instant));
        Box::pin(std::future::ready(Ok(sandbox)))
    });
    let service = Service::start_with(plan, starter).await.unwrap();
    let failure = service.failure();
    let failed = tokio::select! {
        _ = term.recv() => false,
        () = failure.cancelled() => true,
    };
    service.stop("the soak ends").await && !failed
}
