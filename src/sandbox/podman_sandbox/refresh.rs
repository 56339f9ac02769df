//! Images that are older than they may be (spec row SBX-03), and images by the names of their content.
//! It knows neither runs nor what an image is for.

use std::sync::Arc;

use jiff::Timestamp;

use crate::events::id::AtMs;
use crate::sandbox::podman::{Cache, PodmanError};
use crate::sandbox::podman_sandbox::PodmanSandbox;
use crate::sandbox::podman_sandbox::image::Layers;
use crate::sandbox::port::{ImageError, ImageRequest, RunFailure};
use crate::sandbox::recorder::Recorder;

/// Returns the tag that the repository's own layer has, whether it is there or not.
pub fn repo_tag(request: ImageRequest) -> String {
    Layers::of(request).repo
}

impl PodmanSandbox {
    /// As `ensure_image`, but a repository's layer that is older than `age_ms_max` at `now` is built
    /// again, every step of it; with 0 it always is.
    ///
    /// # Errors
    /// [`ImageError`].
    pub async fn ensure_recent_image(
        &self,
        request: ImageRequest,
        now: AtMs,
        age_ms_max: u64,
        recorder: Arc<dyn Recorder>,
    ) -> Result<String, ImageError> {
        self.service.ensure().await?;
        let layers = Layers::of(request.clone());
        if self.is_stale(&layers.repo, now, age_ms_max).await? {
            let (repo, dockerfile) = (&layers.repo, &layers.dockerfile);
            let context = &layers.context;
            let (run, passed) = (request.run, Cache::Passed);
            self.make_layer(run, repo, dockerfile, context, passed, recorder.as_ref())
                .await?;
            // What stands on the old layer keeps running on it, and is made anew for the next.
            self.podman().untag_image(&layers.tag).await?;
        }
        self.make_image(request, recorder).await
    }

    /// Returns the tag of the proxy's image, which is made if it is not there.
    ///
    /// # Errors
    /// [`RunFailure`] saying what is missing.
    pub async fn ensure_proxy_image(&self) -> Result<String, RunFailure> {
        self.make_proxy_image().await
    }

    async fn is_stale(&self, tag: &str, now: AtMs, age_ms_max: u64) -> Result<bool, PodmanError> {
        match self.podman().image_created(tag).await {
            Ok(created) => Ok(age_ms(&created, now) >= age_ms_max),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Returns the age of what was made at a moment; what has no readable moment is as old as can be.
fn age_ms(created: &str, now: AtMs) -> u64 {
    let made: Option<Timestamp> = created.parse().ok();
    let made = made.and_then(|made| u64::try_from(made.as_millisecond()).ok());
    made.map_or(u64::MAX, |made| now.0.saturating_sub(made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::podman_sandbox::testing::{Answer, FakePodman, Kept};
    use crate::sandbox::port::Entrypoint;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    async fn built(created: Answer, now_ms: u64) -> Vec<&'static str> {
        let podman = FakePodman::start();
        let sandbox = podman.sandbox();
        podman.answers("/exists", Answer::Status(204));
        podman.answers("/json", created);
        let request = ImageRequest {
            run: "00000000000a.1".parse().unwrap(),
            dockerfile: b"FROM a".to_vec(),
            context: vec![],
            entrypoint: Entrypoint::Passthrough,
        };
        let kept = Arc::new(Kept::default());
        let recorder = Arc::<Kept>::clone(&kept) as _;
        let image = sandbox.ensure_recent_image(request, AtMs(now_ms), DAY_MS, recorder);
        image.await.unwrap();
        kept.names()
    }

    #[tokio::test]
    async fn an_image_is_built_again_when_it_reaches_its_age() {
        let at =
            |second: u64| Answer::Body(format!(r#"{{"Created":"1970-01-01T00:00:0{second}Z"}}"#));
        assert_eq!(built(at(1), DAY_MS + 999).await, [""; 0]);
        let again = ["ImageBuildStarted", "ImageBuilt"];
        assert_eq!(built(at(1), DAY_MS + 1000).await, again);
        let unreadable = Answer::Body(r#"{"Created":"yesterday"}"#.to_owned());
        assert_eq!(built(unreadable, 0).await, again);
        assert_eq!(built(Answer::Status(404), DAY_MS).await, [""; 0]);
    }
}
