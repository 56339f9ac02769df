//! Images: whether they are there, and building them.

use std::time::Duration;

use containers_api::conn::hyper::{Body, Method};
use futures_util::StreamExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::sandbox::podman::{Podman, PodmanError, found};

/// Time for a build; then it fails.
pub const BUILD_TIME_MAX: Duration = Duration::from_secs(1800);

/// Output kept of a build, in bytes; what came before is dropped.
pub const BUILD_LOG_BYTES_MAX: usize = 256 * 1024;

/// A build that ended with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFailure {
    /// The error, in a line.
    pub error: String,
    /// The builder's output.
    pub log: String,
}

/// Whether a build takes over what an earlier one made of the same steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// It does.
    Used,
    /// Every step is done again, so that what a step fetches is as new as can be.
    Passed,
}

impl Podman {
    /// Returns when an image was made, in RFC 3339's form.
    ///
    /// # Errors
    /// [`PodmanError`], not-found among them.
    pub async fn image_created(&self, tag: &str) -> Result<String, PodmanError> {
        let tag = utf8_percent_encode(tag, NON_ALPHANUMERIC);
        let path = format!("/libpod/images/{tag}/json");
        let facts = self.json(Method::GET, &path, None).await?;
        Ok(facts["Created"].as_str().unwrap_or_default().to_owned())
    }

    /// Takes a tag off its image, which stays for whoever uses it; one that is not there is no error.
    ///
    /// # Errors
    /// [`PodmanError`] when Podman does not answer.
    pub async fn untag_image(&self, tag: &str) -> Result<(), PodmanError> {
        let (repo, version) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
        let [name, repo, version] =
            [tag, repo, version].map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC));
        let path = format!("/libpod/images/{name}/untag?repo={repo}&tag={version}");
        found(self.json(Method::POST, &path, None).await).map(drop)
    }

    /// Returns whether an image is there.
    ///
    /// # Errors
    /// [`PodmanError`] when Podman does not answer.
    pub async fn image_exists(&self, tag: &str) -> Result<bool, PodmanError> {
        let tag = utf8_percent_encode(tag, NON_ALPHANUMERIC);
        found(
            self.json(Method::GET, &format!("/libpod/images/{tag}/exists"), None)
                .await,
        )
    }

    /// Builds an image out of a tar archive that holds a `Dockerfile`; returns the build's failure,
    /// if it has one.
    ///
    /// # Errors
    /// [`PodmanError`] when Podman does not answer.
    pub async fn build(
        &self,
        tag: &str,
        archive: Vec<u8>,
        cache: Cache,
    ) -> Result<Result<(), BuildFailure>, PodmanError> {
        let seconds = BUILD_TIME_MAX.as_secs();
        let building = tokio::time::timeout(BUILD_TIME_MAX, self.build_to_end(tag, archive, cache));
        let call = "the build".to_owned();
        building
            .await
            .map_err(|_| PodmanError::Timeout { call, seconds })?
    }

    async fn build_to_end(
        &self,
        tag: &str,
        archive: Vec<u8>,
        cache: Cache,
    ) -> Result<Result<(), BuildFailure>, PodmanError> {
        let tag = utf8_percent_encode(tag, NON_ALPHANUMERIC);
        // A base image of a registry is fetched when it is missing, a local one is never asked for.
        let path = format!(
            "/libpod/build?t={tag}&dockerfile=Dockerfile&pullpolicy=missing&rm=1&forcerm=1{}",
            match cache {
                Cache::Used => "",
                Cache::Passed => "&nocache=1",
            }
        );
        let body = Body::from(archive);
        let sent = self.request(Method::POST, &path, "application/x-tar", body, false);
        let (call, response) = sent.await?;
        let accepted = response.status().is_success();
        let mut progress = Progress::default();
        let mut body = response.into_body();
        while let Some(chunk) = body.next().await {
            let chunk =
                chunk.map_err(|error| PodmanError::Unreachable(format!("{call}: {error}")))?;
            progress.take(&chunk);
        }
        Ok(progress.end(accepted))
    }
}

/// The stream of JSON objects a build answers with, which chunks cut anywhere.
#[derive(Default)]
struct Progress {
    unread: Vec<u8>,
    log: String,
    error: Option<String>,
}

impl Progress {
    fn take(&mut self, chunk: &[u8]) {
        self.unread.extend(chunk);
        let unread = std::mem::take(&mut self.unread);
        let mut objects = serde_json::Deserializer::from_slice(&unread).into_iter::<Value>();
        let mut read = 0;
        while let Some(Ok(object)) = objects.next() {
            read = objects.byte_offset();
            self.log
                .push_str(object["stream"].as_str().unwrap_or_default());
            let words = object["error"]
                .as_str()
                .or_else(|| object["message"].as_str());
            if let Some(words) = words {
                self.error = Some(words.to_owned());
            }
        }
        self.unread = unread[read..].to_vec();
        if self.log.len() > BUILD_LOG_BYTES_MAX {
            let surplus = self.log.len() - BUILD_LOG_BYTES_MAX;
            let cut = (surplus..self.log.len()).find(|at| self.log.is_char_boundary(*at));
            self.log.drain(..cut.unwrap_or(surplus));
        }
    }

    fn end(self, accepted: bool) -> Result<(), BuildFailure> {
        let refused = || (!accepted).then(|| String::from_utf8_lossy(&self.unread).into_owned());
        match self.error.clone().or_else(refused) {
            Some(error) => Err(BuildFailure {
                error: error.trim().to_owned(),
                log: self.log,
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_cut_by_chunks_are_read_whole() {
        let stream = br#"{"stream":"STEP 1\n"}{"stream":"STEP 2\n"}{"error":"no such file"}"#;
        for cut in 0..stream.len() {
            let mut progress = Progress::default();
            progress.take(&stream[..cut]);
            progress.take(&stream[cut..]);
            let failure = progress.end(true).unwrap_err();
            assert_eq!(failure.error, "no such file");
            assert_eq!(failure.log, "STEP 1\nSTEP 2\n");
        }
    }
}
