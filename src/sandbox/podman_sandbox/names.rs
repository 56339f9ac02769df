//! Names and labels of everything a run has in Podman. Pure: they follow from the run, so that
//! whoever knows the run knows what to remove.

use std::collections::BTreeMap;

use crate::events::id::{RunId, Sha256};

/// Label that names the installation.
pub(super) const LABEL_INSTANCE: &str = "airut.instance";

/// Label that names the run.
pub(super) const LABEL_RUN: &str = "airut.run";

/// Name of the network through which proxies reach the world.
pub(super) const EGRESS_NETWORK: &str = "airut-egress";

/// Prefix of the bridges of sandboxes, which the host's packet filter knows.
pub(super) const BRIDGE_PREFIX: &str = "airt";

/// The names of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The run's network.
    pub network: String,
    /// Its bridge.
    pub interface: String,
    /// The proxy's container.
    pub proxy: String,
    /// The agent's container.
    pub agent: String,
    /// The directory of its sockets, within the runtime directory.
    pub directory: String,
    /// Labels of all of them.
    pub labels: BTreeMap<String, String>,
}

impl Names {
    /// Returns the names of a run of an installation.
    pub fn of(instance: &str, run: RunId) -> Self {
        let id = format!("{}-{}", run.task, run.attempt);
        let digest = Sha256::of_parts(&[instance.as_bytes(), id.as_bytes()]).to_string();
        let labels = [
            (LABEL_INSTANCE, instance.to_owned()),
            (LABEL_RUN, run.to_string()),
        ];
        Self {
            network: format!("airut-conv-{id}"),
            // An interface name has at most 15 characters.
            interface: format!("{BRIDGE_PREFIX}{}", &digest[..11]),
            proxy: format!("airut-proxy-{id}"),
            agent: format!("airut-run-{id}"),
            directory: id,
            labels: labels
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_run_and_fit_their_limits() {
        let run = "0123456789ab.2".parse().unwrap();
        let names = Names::of("i1", run);
        assert_eq!(names.proxy, "airut-proxy-0123456789ab-2");
        assert_eq!(names.interface.len(), 15);
        assert_ne!(names.interface, Names::of("i2", run).interface);
        assert_eq!(names.labels[LABEL_RUN], "0123456789ab.2");
    }
}
