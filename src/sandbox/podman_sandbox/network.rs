//! Networks of runs: an internal one for each, the shared way out for proxies, and the packet
//! filter that keeps sandboxes from the host itself.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::sandbox::podman::{NetworkSpec, PodmanError};
use crate::sandbox::podman_sandbox::PodmanSandbox;
use crate::sandbox::podman_sandbox::names::{BRIDGE_PREFIX, EGRESS_NETWORK, Names};
use crate::sandbox::port::RunFailure;
use crate::sandbox::process::Call;

/// Sandboxes at once on this machine: one /24 of 10.199.0.0/16 each (spec row NET-02).
pub(super) const SUBNETS_MAX: u8 = 254;

/// The proxy's place in its subnet.
const PROXY_HOST: u8 = 100;

/// Time for the packet filter to take its rules.
const FILTER_TIME_MAX: Duration = Duration::from_secs(20);

/// Time for the bridge of the way out to take its address.
const ADDRESS_TIME_MAX: Duration = Duration::from_secs(20);

/// The link-layer address of the way out's bridge: locally administered, the rest spells `airut`.
const EGRESS_ADDRESS: &str = "02:61:69:72:75:74";

/// A run's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunNetwork {
    /// Its addresses, in CIDR form.
    pub(super) subnet: String,
    /// The proxy's address in it.
    pub(super) proxy: Ipv4Addr,
}

/// Drops everything that comes from a sandbox's bridge to the host itself: an internal network
/// still has the bridge's gateway address, behind which every listener of the host stands.
///
/// Whoever rewrites the host's packet filter takes the rule away, so it is made again before every
/// run; making it twice changes nothing.
///
/// Without root the bridges live in a network namespace of the user's own, in which nothing of the
/// host listens; nothing is to be closed there.
pub(super) async fn close_host_doors() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let rules = format!(
        "add table inet airut\n\
         add chain inet airut input {{ type filter hook input priority -10; policy accept; }}\n\
         flush chain inet airut input\n\
         add rule inet airut input iifname \"{BRIDGE_PREFIX}*\" drop\n"
    );
    let call = Call::new("nft", FILTER_TIME_MAX)
        .args(["-f", "-"])
        .stdin(rules.into_bytes());
    let closed = call.output().await.map(drop);
    closed.map_err(|error| {
        format!("sandboxes could reach this host, so none is started: {error} (package nftables)")
    })
}

impl PodmanSandbox {
    /// Makes the shared way out unless it is there.
    pub(super) async fn ensure_egress(&self) -> Result<(), PodmanError> {
        if self.podman().network_exists(EGRESS_NETWORK).await? {
            return Ok(());
        }
        let spec = NetworkSpec {
            name: EGRESS_NETWORK.to_owned(),
            interface: EGRESS_NETWORK.to_owned(),
            subnet: None,
            internal: false,
            labels: std::collections::BTreeMap::new(),
        };
        match self.podman().create_network(&spec).await {
            // Another installation on this machine made it meanwhile.
            Err(error) if error.is_name_in_use() => Ok(()),
            other => other,
        }
    }

    /// Gives the bridge of the way out an address that stays, once a container has brought it up.
    ///
    /// Left to itself a bridge takes the lowest address of its ports, another one whenever a
    /// container comes or goes; whoever knows its old one then speaks to nobody for up to a minute.
    pub(super) async fn fix_egress_address(&self) {
        let set = [
            "link",
            "set",
            "dev",
            EGRESS_NETWORK,
            "address",
            EGRESS_ADDRESS,
        ];
        let call = if rustix::process::geteuid().is_root() {
            Call::new("ip", ADDRESS_TIME_MAX)
        } else {
            // Without root the bridge lives in a network namespace of the user's own.
            let within = ["unshare", "--rootless-netns", "ip"];
            Call::new(&self.settings.container_command, ADDRESS_TIME_MAX).args(within)
        };
        let fixed = call.args(set).output().await;
        if let Err(error) = fixed {
            tracing::warn!(
                %error,
                "the address of {EGRESS_NETWORK} is not fixed (package iproute2): connections of a \
                 run may stall when another one begins or ends"
            );
        }
    }

    /// Makes a run's network in the next free subnet.
    pub(super) async fn make_network(&self, names: &Names) -> Result<RunNetwork, RunFailure> {
        let mut last = self.allocating.lock().await;
        for _subnet in 0..SUBNETS_MAX {
            *last = if *last >= SUBNETS_MAX { 1 } else { *last + 1 };
            let subnet = format!("10.199.{}.0/24", *last);
            let spec = NetworkSpec {
                name: names.network.clone(),
                interface: names.interface.clone(),
                subnet: Some(subnet.clone()),
                internal: true,
                labels: names.labels.clone(),
            };
            match self.podman().create_network(&spec).await {
                Ok(()) => {
                    return Ok(RunNetwork {
                        subnet,
                        proxy: Ipv4Addr::new(10, 199, *last, PROXY_HOST),
                    });
                }
                // The subnet is another installation's.
                Err(error) if error.is_subnet_in_use() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RunFailure::Setup(format!(
            "all {SUBNETS_MAX} subnets for sandboxes are in use"
        )))
    }
}
