//! Networks: making, finding and removing them.

use containers_api::conn::hyper::Method;
use serde_json::Value;

use crate::sandbox::podman::{NetworkSpec, Podman, PodmanError, found, label_filter};

impl Podman {
    /// Makes a network.
    ///
    /// # Errors
    /// [`PodmanError`], one of its own when its name or its addresses are in use.
    pub async fn create_network(&self, spec: &NetworkSpec) -> Result<(), PodmanError> {
        self.json(
            Method::POST,
            "/libpod/networks/create",
            Some(spec.to_json()),
        )
        .await
        .map(drop)
    }

    /// Returns whether a network is there.
    ///
    /// # Errors
    /// [`PodmanError`] when Podman does not answer.
    pub async fn network_exists(&self, name: &str) -> Result<bool, PodmanError> {
        found(
            self.json(
                Method::GET,
                &format!("/libpod/networks/{name}/exists"),
                None,
            )
            .await,
        )
    }

    /// Removes a network and disconnects what is connected; returns whether it was there.
    ///
    /// # Errors
    /// [`PodmanError`] when it is still there.
    pub async fn remove_network(&self, name: &str) -> Result<bool, PodmanError> {
        let path = format!("/libpod/networks/{name}?force=true");
        found(self.json(Method::DELETE, &path, None).await)
    }

    /// Returns names and labels of the networks that carry a label.
    ///
    /// # Errors
    /// [`PodmanError`].
    pub async fn networks(&self, label: &str) -> Result<Vec<(String, Value)>, PodmanError> {
        let path = format!("/libpod/networks/json?filters={}", label_filter(label));
        let answer = self.json(Method::GET, &path, None).await?;
        let named = |network: &Value| {
            Some((
                network["name"].as_str()?.to_owned(),
                network["labels"].clone(),
            ))
        };
        Ok(answer
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(named)
            .collect())
    }
}
