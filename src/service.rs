//! The composition root: a configuration and directories become a running service, which is started
//! and stopped as a whole. It decides nothing about messages or tasks.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Stopwatch};
use crate::config::types::Config;
use crate::events::Event;
use crate::events::id::{Sha256, StreamId};
use crate::events::log::{Append, Context, Log};
use crate::events::service::{
    BootCompleted, ConfigLoaded, DrainStarted, FailedRepo, ServiceStarted, ServiceStopped,
};
use crate::handlers::barrier;
use crate::handlers::channels::Company;
use crate::handlers::intake::Intake;
use crate::handlers::memory::Memory;
use crate::handlers::operator::{Operator, Question};
use crate::handlers::ports::{Channels, EffectError, Ports};
use crate::handlers::worker::{Signals, Worker, WorkerError};
use crate::service::backup::nightly::Nightly;
use crate::service::standby::Starter;
use crate::tasks::TaskSet;

pub mod assemble;
pub mod audit;
pub mod backup;
mod clock_watch;
pub mod command_run;
pub mod evolution;
pub mod look;
pub mod machine;
pub mod mail_explain;
pub mod on_disk;
pub mod pentest;
pub mod policy;
pub mod rendering;
pub mod rotate;
pub mod scheduling;
pub mod standby;
mod storage_watch;
pub mod surface;

pub use assemble::{SOCKET_NAME, ServicePlan, StartError};

/// How long the listeners may take to end.
const LISTENERS_PATIENCE: Duration = Duration::from_secs(5);

/// How long the worker may take to end after running tasks were cut off.
const CUT_OFF_PATIENCE: Duration = Duration::from_secs(40);

/// A running service.
pub struct Service {
    ports: Ports,
    intake: Intake,
    operator: Operator,
    signals: Signals,
    worker: JoinHandle<Result<usize, WorkerError>>,
    listeners: TaskSet,
    assembled: assemble::Closing,
    failure: CancellationToken,
    urgency: CancellationToken,
}

/// What a service is made of, before it runs.
pub struct Parts {
    /// What effects act through.
    pub ports: Ports,
    /// The door for messages.
    pub intake: Intake,
    /// A handle to the worker.
    pub operator: Operator,
    /// The worker's end of it.
    pub questions: tokio::sync::mpsc::Receiver<Question>,
    /// What the log says so far.
    pub memory: Memory,
    /// The channels to listen to.
    pub channels: Channels,
    /// Repositories that cannot be brought up, each with the reason.
    pub failed: Vec<FailedRepo>,
    /// What must be closed at the end.
    pub closing: assemble::Closing,
}

impl Service {
    /// Starts a service on disk, with Podman and the configured channels.
    ///
    /// # Errors
    /// [`StartError`], each with what to do about it.
    pub async fn start(plan: ServicePlan) -> Result<Self, StartError> {
        Self::start_in(plan, None).await
    }

    /// As [`Self::start`], but its runs are executed by what `sandbox` makes: for tests of everything
    /// around the sandbox.
    ///
    /// # Errors
    /// [`StartError`], each with what to do about it.
    pub async fn start_with(plan: ServicePlan, sandbox: Starter) -> Result<Self, StartError> {
        Self::start_in(plan, Some(sandbox)).await
    }

    async fn start_in(plan: ServicePlan, sandbox: Option<Starter>) -> Result<Self, StartError> {
        let boot = Stopwatch::start();
        barrier::arm(plan.crash_at.as_deref(), plan.crash_after.as_deref());
        let log = assemble::open_log(&plan.state_dir).await?;
        let started = Self::start_on(log.clone(), plan, sandbox, &boot).await;
        if started.is_err() {
            log.close().await;
        }
        started
    }

    async fn start_on(
        log: Log,
        plan: ServicePlan,
        sandbox: Option<Starter>,
        boot: &Stopwatch,
    ) -> Result<Self, StartError> {
        let config_sha256 = plan.config_sha256;
        let resilient = plan.resilient;
        // Only a log that was read to its end is written to.
        let memory = assemble::recall(&log, &plan.state_dir).await?;
        if let Some(newest) = log.newest_time()? {
            clock::not_before(newest.0);
        }
        let swept = backup::sweep(&plan.state_dir);
        if swept > 0 {
            tracing::info!(swept, "removed what killed restores and drills had left");
        }
        let started = announce(&log, config_sha256, &plan.config).await;
        started.map_err(StartError::Announce)?;
        let parts = assemble::assemble(plan, log, memory, sandbox).await?;
        Self::run(parts, boot, resilient).await
    }

    /// Runs a service of given parts: listens, works.
    ///
    /// # Errors
    /// [`StartError`] when the start cannot be recorded, or no repository works.
    pub async fn run(parts: Parts, boot: &Stopwatch, resilient: bool) -> Result<Self, StartError> {
        let Parts { ports, intake, .. } = parts;
        let queue = &parts.memory.state().queue;
        let company = Company {
            log: ports.log.clone(),
            after: parts.memory.position(),
            queued: queue.tasks.values().cloned().collect(),
        };
        let signals = Signals::default();
        let (works, drain) = (ports.clone(), signals.clone());
        let was_low = parts.memory.state().storage.low().is_some();
        let mut worker = Worker::new(works, drain, parts.questions, parts.memory);
        let failure = CancellationToken::new();
        let workers = TaskSet::new();
        // However the worker ends before it was asked to, by a panic too, the service has failed.
        let alarm = failure.clone().drop_guard();
        let worker = workers.spawn(async move {
            let ended = worker.run().await;
            match &ended {
                Ok(_unfinished) => drop(alarm.disarm()),
                Err(error) => tracing::error!(%error, "the worker cannot go on"),
            }
            ended
        });
        let listeners = TaskSet::new();
        for channel in parts.channels.all() {
            let accompanies = Arc::clone(&channel);
            listeners.spawn(accompanies.accompany(company.clone(), listeners.stop_token()));
            listeners.spawn(channel.listen(intake.clone(), listeners.stop_token()));
        }
        watch_over(&ports, &listeners, was_low);
        let service = Self {
            ports,
            intake,
            operator: parts.operator,
            signals,
            worker,
            listeners,
            assembled: parts.closing,
            failure,
            urgency: CancellationToken::new(),
        };
        service.complete_boot(parts.failed, boot, resilient).await
    }

    async fn complete_boot(
        self,
        failed: Vec<FailedRepo>,
        boot: &Stopwatch,
        resilient: bool,
    ) -> Result<Self, StartError> {
        let repos = self.ports.config.repos.keys().map(ToString::to_string);
        let works = |repo: &String| !failed.iter().any(|failed| failed.repo == *repo);
        let live: Vec<String> = repos.filter(works).collect();
        let none_works = live.is_empty() && !failed.is_empty();
        let reasons: Vec<String> = failed
            .iter()
            .map(|failed| format!("{}: {}", failed.repo, failed.error))
            .collect();
        let completed = BootCompleted {
            live,
            failed,
            duration_ms: boot.elapsed_ms(),
        };
        let recorded = record(&self.ports, completed.into()).await;
        recorded.map_err(StartError::Announce)?;
        if none_works && !resilient {
            self.stop("no repository works").await;
            return Err(StartError::NoRepository(reasons.join("; ")));
        }
        // Without a service manager there is nobody to notify.
        sd_notify::notify(&[sd_notify::NotifyState::Ready]).ok();
        Ok(self)
    }

    /// Returns the door for messages.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Returns a handle to the worker.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Returns the log.
    pub fn log(&self) -> &Log {
        &self.ports.log
    }

    /// Returns what is cancelled when the service cannot go on by itself: stop it then.
    pub fn failure(&self) -> CancellationToken {
        self.failure.clone()
    }

    /// Returns why the service cannot go on, as far as the log is the cause.
    pub fn why_failed(&self) -> Option<String> {
        self.ports.log.why_failed()
    }

    /// Returns what ends the patience of [`Self::stop`] when it is cancelled: running tasks are cut
    /// off at once and taken up at the next start.
    pub fn urgency(&self) -> CancellationToken {
        self.urgency.clone()
    }

    /// Stops: takes nothing in any more, lets running tasks end as long as patience allows, then
    /// tears down. Returns whether everything ended in good order.
    pub async fn stop(mut self, cause: &str) -> bool {
        let drain = Stopwatch::start();
        sd_notify::notify(&[sd_notify::NotifyState::Stopping]).ok();
        self.intake.close();
        self.announce_drain(cause).await;
        self.signals.drain.cancel();
        let (unfinished, clean) = self.drain_worker().await;
        let closed = self.listeners.stop(LISTENERS_PATIENCE).await;
        self.assembled.close().await;
        let stopped = ServiceStopped {
            drain_ms: drain.elapsed_ms(),
            unfinished: u32::try_from(unfinished).unwrap_or(u32::MAX),
        };
        let recorded = if clean {
            record(&self.ports, stopped.into()).await
        } else {
            Ok(())
        };
        if let Err(error) = &recorded {
            tracing::error!(%error, "the end of the service could not be recorded");
        }
        self.ports.log.close().await;
        clean && closed && recorded.is_ok()
    }

    async fn announce_drain(&self, cause: &str) {
        let standing = self.operator.standing().await;
        let (executing, waiting) = standing.map_or((0, 0), |standing| {
            (standing.executing.len(), standing.waiting)
        });
        let started = DrainStarted {
            cause: cause.to_owned(),
            executing: u32::try_from(executing).unwrap_or(u32::MAX),
            waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
        };
        if let Err(error) = record(&self.ports, started.into()).await {
            tracing::error!(%error, "the drain could not be recorded");
        }
    }

    /// Waits for the worker; returns how many tasks are left, and whether it ended in good order.
    async fn drain_worker(&mut self) -> (usize, bool) {
        let patience = Duration::from_secs(self.ports.config.execution.shutdown_timeout_s);
        let (urgency, cut_off) = (self.urgency.clone(), self.ports.cut_off.clone());
        let hurry = async {
            tokio::select! {
                () = tokio::time::sleep(patience) => {}
                () = urgency.cancelled() => {}
            }
            cut_off.cancel();
            tokio::time::sleep(CUT_OFF_PATIENCE).await;
        };
        tokio::select! {
            ended = &mut self.worker => match ended {
                Ok(Ok(unfinished)) => (unfinished, true),
                Ok(Err(_)) | Err(_) => (0, false),
            },
            () = hurry => {
                tracing::error!("the worker did not end");
                (0, false)
            }
        }
    }
}

/// Starts what watches the clock and the disk, and what takes backups if that is configured.
fn watch_over(ports: &Ports, listeners: &TaskSet, was_low: bool) {
    let log = ports.log.clone();
    let directory = ports.state_dir.clone();
    let stop = listeners.stop_token();
    listeners.spawn(storage_watch::watch(log.clone(), directory, was_low, stop));
    listeners.spawn(clock_watch::watch(log.clone(), listeners.stop_token()));
    if let Some(settings) = &ports.config.backup {
        let nightly = Nightly::new(settings.clone(), ports.state_dir.clone(), log);
        listeners.spawn(nightly.run(listeners.stop_token()));
    }
}

async fn announce(
    log: &Log,
    config_sha256: Option<Sha256>,
    config: &Config,
) -> Result<(), EffectError> {
    let started = ServiceStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        host: host_name(),
        previous_stop_clean: look::stopped_cleanly(log)?,
    };
    let loaded = ConfigLoaded {
        sha256: config_sha256,
        generation: 1,
        repos: config.repos.keys().map(ToString::to_string).collect(),
    };
    append(log, vec![started.into(), loaded.into()]).await
}

async fn record(ports: &Ports, event: Event) -> Result<(), EffectError> {
    append(&ports.log, vec![event]).await
}

async fn append(log: &Log, events: Vec<Event>) -> Result<(), EffectError> {
    let names: Vec<&'static str> = events.iter().map(Event::name).collect();
    let context = Context::system(clock::now());
    let append = Append::to(&StreamId::service(), events, context);
    log.append(append).await?;
    names.into_iter().for_each(barrier::appended);
    Ok(())
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
