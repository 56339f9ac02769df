//! What stands between a run and the world: its network and its proxy, up before the agent is.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Stopwatch;
use crate::events::container::{
    ContainerCreated, ContainerRole, ContainerStarted, NetworkCreated, ProxyFailed, ProxyReady,
};
use crate::events::id::RunId;
use crate::events::run::RunLimits;
use crate::sandbox::cut::{ERROR_CHARS_MAX, last_chars};
use crate::sandbox::github::RunApps;
use crate::sandbox::link_server::{LinkServer, LinkState};
use crate::sandbox::podman::{BindMount, ContainerSpec};
use crate::sandbox::podman_sandbox::PodmanSandbox;
use crate::sandbox::podman_sandbox::names::{EGRESS_NETWORK, Names};
use crate::sandbox::podman_sandbox::run::still_wanted;
use crate::sandbox::port::{ProxyPolicy, RunFailure};
use crate::sandbox::proxy::wire::{Ports, Setup};
use crate::sandbox::proxy::{ENVIRONMENT, ca};
use crate::sandbox::recorder::Recorder;

/// Time for a proxy to open its listeners (spec row NET-07); then there is no run.
const PROXY_READY_TIME_MAX: Duration = Duration::from_secs(5);

/// Memory of a proxy, which anybody in the sandbox can make work; beyond it is ended, and its run.
pub const PROXY_MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Processes and threads of a proxy; it cannot start more.
pub const PROXY_PIDS_MAX: u64 = 64;

/// What a sandboxed run's agent needs of its network.
pub(super) struct Guard {
    pub(super) network: String,
    pub(super) proxy: Ipv4Addr,
    pub(super) ca_file: String,
    pub(super) link: watch::Receiver<LinkState>,
}

impl PodmanSandbox {
    /// Makes network and proxy, and returns once the proxy answers.
    pub(super) async fn start_proxy(
        &self,
        run: RunId,
        names: &Names,
        policy: &ProxyPolicy,
        recorder: &Arc<dyn Recorder>,
        stop: &CancellationToken,
        over: &CancellationToken,
    ) -> Result<Guard, RunFailure> {
        let image = self.make_proxy_image().await?;
        still_wanted(stop)?;
        self.ensure_egress().await?;
        still_wanted(stop)?;
        let network = self.make_network(names).await?;
        let (name, subnet) = (names.network.clone(), network.subnet.clone());
        recorder
            .record(vec![NetworkCreated { run, name, subnet }.into()])
            .await?;
        still_wanted(stop)?;
        let authority = ca::make_authority(&names.directory);
        let authority = authority.map_err(|error| RunFailure::Setup(error.to_string()))?;
        let directory = self.run_directory(names);
        let failed =
            |error: std::io::Error| RunFailure::Setup(format!("{}: {error}", directory.display()));
        let server = LinkServer::bind(&directory.join("link")).map_err(failed)?;
        let ca_file = directory.join("ca.crt");
        tokio::fs::write(&ca_file, &authority.certificate)
            .await
            .map_err(failed)?;
        let setup = Setup {
            allowlist: policy.allowlist.clone(),
            credentials: policy.credentials.clone(),
            signing: policy.signing.clone(),
            apps: policy.apps.clone(),
            honey: policy.honey.clone(),
            ca_name: names.directory.clone(),
            ca_key: authority.key,
            address: network.proxy,
            upstream_dns: self.settings.upstream_dns,
            internal_ranges: self.settings.internal_ranges.clone(),
            upstream_ca: self.settings.upstream_ca.clone(),
            ports: Ports::default(),
        };
        let apps = RunApps::new(Arc::clone(&self.github), policy.app_keys.0.clone());
        let server = server.with_apps(apps);
        let link = server.state();
        let link_directory = server.directory().display().to_string();
        self.tasks.spawn(server.serve(
            run,
            setup,
            self.settings.audit,
            Arc::clone(recorder),
            over.clone(),
        ));
        self.run_proxy(
            run,
            names,
            network.proxy,
            image,
            link_directory,
            recorder.as_ref(),
        )
        .await?;
        // Before anything goes out through it.
        self.fix_egress_address().await;
        let guard = Guard {
            network: names.network.clone(),
            proxy: network.proxy,
            ca_file: ca_file.display().to_string(),
            link,
        };
        still_wanted(stop)?;
        self.await_proxy(run, names, guard, recorder.as_ref()).await
    }

    async fn run_proxy(
        &self,
        run: RunId,
        names: &Names,
        address: Ipv4Addr,
        image: String,
        link_directory: String,
        recorder: &dyn Recorder,
    ) -> Result<(), RunFailure> {
        let role = ContainerRole::Proxy;
        let spec = ContainerSpec {
            name: names.proxy.clone(),
            image,
            command: vec!["--link".to_owned(), "/run/airut/link.sock".to_owned()],
            mounts: vec![BindMount {
                source: link_directory,
                target: "/run/airut".to_owned(),
                read_only: false,
            }],
            networks: vec![
                (EGRESS_NETWORK.to_owned(), None),
                (names.network.clone(), Some(address)),
            ],
            labels: names.labels.clone(),
            limits: RunLimits {
                memory_bytes: Some(PROXY_MEMORY_BYTES_MAX),
                pids_max: Some(PROXY_PIDS_MAX),
                ..RunLimits::default()
            },
            env: ENVIRONMENT
                .map(|(name, value)| (name.to_owned(), value.into()))
                .into(),
            proxy: true,
            ..ContainerSpec::default()
        };
        let container_id = self.podman().create_container(&spec).await?;
        let name = names.proxy.clone();
        let created = ContainerCreated {
            run,
            role,
            name,
            container_id,
        };
        recorder.record(vec![created.into()]).await?;
        self.podman().start(&names.proxy).await?;
        recorder
            .record(vec![ContainerStarted { run, role }.into()])
            .await?;
        Ok(())
    }

    async fn await_proxy(
        &self,
        run: RunId,
        names: &Names,
        mut guard: Guard,
        recorder: &dyn Recorder,
    ) -> Result<Guard, RunFailure> {
        let since = Stopwatch::start();
        let link = &mut guard.link;
        let waiting = async {
            let state = link.wait_for(|state| *state != LinkState::Waiting).await;
            state.is_ok_and(|state| *state == LinkState::Ready)
        };
        if tokio::time::timeout(PROXY_READY_TIME_MAX, waiting).await == Ok(true) {
            let after_ms = since.elapsed_ms();
            recorder
                .record(vec![ProxyReady { run, after_ms }.into()])
                .await?;
            return Ok(guard);
        }
        let words = self.podman().logs(&names.proxy).await.unwrap_or_default();
        let seconds = PROXY_READY_TIME_MAX.as_secs();
        let error = format!(
            "the network proxy did not answer within {seconds} s: {}",
            last_chars(words.trim(), ERROR_CHARS_MAX)
        );
        recorder
            .record(vec![
                ProxyFailed {
                    run,
                    error: error.clone(),
                }
                .into(),
            ])
            .await?;
        Err(RunFailure::Setup(error))
    }
}
