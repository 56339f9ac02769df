//! Images in two layers (spec rows SBX-01 and SBX-02): the repository's own, and over it the entry
//! point. A tag is the digest of what the image is made of, so an image that is there is the right
//! one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Stopwatch;
use crate::events::id::{BlobRef, RunId, Sha256};
use crate::events::run::{ImageBuildFailed, ImageBuildStarted, ImageBuilt};
use crate::events::seal::Owner;
use crate::sandbox::cut::{ERROR_CHARS_MAX, first_chars, last_chars};
use crate::sandbox::podman::{BuildFailure, Cache, PodmanError};
use crate::sandbox::podman_sandbox::PodmanSandbox;
use crate::sandbox::port::{Entrypoint, ImageError, ImageRequest, RunFailure};
use crate::sandbox::recorder::Recorder;

/// Lines of a failed build's output that its author is shown.
const FAILURE_LINES: usize = 20;

/// Where the run's authority lies in the container (spec row NET-04).
pub(super) const CA_PATH: &str = "/usr/local/share/ca-certificates/mitmproxy-ca.crt";

/// The container's bundle of authorities, the run's own among them once the entry point ran.
pub(super) const CA_BUNDLE_PATH: &str = "/etc/ssl/certs/ca-certificates.crt";

impl PodmanSandbox {
    pub(super) async fn make_image(
        &self,
        request: ImageRequest,
        recorder: Arc<dyn Recorder>,
    ) -> Result<String, ImageError> {
        self.service.ensure().await?;
        let run = request.run;
        let Layers {
            repo,
            dockerfile,
            context,
            tag,
            overlay,
            script,
        } = Layers::of(request);
        // An image that is there waits for nobody's build.
        if self.podman().image_exists(&tag).await? {
            return Ok(tag);
        }
        let building = self.building.of(&repo);
        let _one_at_a_time = building.lock().await;
        let recorder = recorder.as_ref();
        if !self.podman().image_exists(&repo).await? {
            self.make_layer(run, &repo, &dockerfile, &context, Cache::Used, recorder)
                .await?;
        }
        if !self.podman().image_exists(&tag).await? {
            self.make_layer(
                run,
                &tag,
                overlay.as_bytes(),
                &script,
                Cache::Used,
                recorder,
            )
            .await?;
        }
        Ok(tag)
    }

    pub(super) async fn make_layer(
        &self,
        run: RunId,
        tag: &str,
        dockerfile: &[u8],
        context: &[(String, Vec<u8>)],
        cache: Cache,
        recorder: &dyn Recorder,
    ) -> Result<(), ImageError> {
        let since = Stopwatch::start();
        let started = ImageBuildStarted {
            run,
            tag: tag.to_owned(),
        };
        recorder.record(vec![started.into()]).await?;
        let archive =
            archive(dockerfile, context).map_err(|e| ImageError::Engine(e.to_string()))?;
        match self.podman().build(tag, archive, cache).await? {
            Ok(()) => {
                let (tag, duration_ms) = (tag.to_owned(), since.elapsed_ms());
                Ok(recorder
                    .record(vec![
                        ImageBuilt {
                            run,
                            tag,
                            duration_ms,
                        }
                        .into(),
                    ])
                    .await?)
            }
            Err(failure) => {
                let error = told(&failure);
                let failed = ImageBuildFailed {
                    run,
                    tag: tag.to_owned(),
                    error: error.clone(),
                    log: self.keep_log(run, failure.log).await,
                };
                recorder.record(vec![failed.into()]).await?;
                Err(ImageError::Build(error))
            }
        }
    }

    /// Keeps a builder's output. When that fails the reference still tells whether an output at hand
    /// is this one.
    async fn keep_log(&self, run: RunId, log: String) -> BlobRef {
        let blob = BlobRef {
            sha256: Sha256::of(log.as_bytes()),
            bytes: log.len() as u64,
            media_type: "text/plain".to_owned(),
        };
        let (blobs, media_type) = (Arc::clone(&self.blobs), blob.media_type.clone());
        let put = move || blobs.put(Owner::Task(run.task), log.as_bytes(), &media_type);
        match tokio::task::spawn_blocking(put).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a build's output was not kept");
                blob
            }
            Err(error) => {
                tracing::warn!(%error, "a build's output was not kept");
                blob
            }
        }
    }

    /// Returns the tag of the proxy's image, made of the static program alone. The program is read
    /// once; the image may be removed behind our back and is made again then.
    pub(super) async fn make_proxy_image(&self) -> Result<String, RunFailure> {
        if let Some(tag) = self.proxy_image.get()
            && self.podman().image_exists(tag).await?
        {
            return Ok(tag.clone());
        }
        let path = &self.settings.proxy_binary;
        let unusable = |why: String| {
            RunFailure::Setup(format!(
                "{}: {why}; build it with `make proxy`",
                path.display()
            ))
        };
        let program = tokio::fs::read(path)
            .await
            .map_err(|error| unusable(error.to_string()))?;
        if !is_static(&program) {
            return Err(unusable("it is no statically linked program".to_owned()));
        }
        let context = vec![("airut-proxy".to_owned(), program)];
        let tag = proxy_tag(&context);
        let building = self.building.of(&tag);
        let _one_at_a_time = building.lock().await;
        if !self.podman().image_exists(&tag).await? {
            let archive = archive(PROXY_DOCKERFILE.as_bytes(), &context);
            let archive = archive.map_err(|error| unusable(error.to_string()))?;
            let built = self.podman().build(&tag, archive, Cache::Used).await?;
            built
                .map_err(|failure| RunFailure::Setup(format!("proxy image: {}", failure.error)))?;
        }
        // A program that was replaced meanwhile counts from the next start on.
        Ok(self.proxy_image.get_or_init(|| tag).clone())
    }
}

/// What the proxy's image is made by.
const PROXY_DOCKERFILE: &str =
    "FROM scratch\nCOPY airut-proxy /airut-proxy\nENTRYPOINT [\"/airut-proxy\"]\n";

/// Returns the tag that the image of a proxy's program has, whether it is there or not.
pub fn proxy_tag_of(program: Vec<u8>) -> String {
    proxy_tag(&[("airut-proxy".to_owned(), program)])
}

fn proxy_tag(context: &[(String, Vec<u8>)]) -> String {
    let digest = digest(PROXY_DOCKERFILE.as_bytes(), context);
    format!("localhost/airut-proxy:{digest}")
}

/// What an image is made of, and the tags that follow from it.
pub(super) struct Layers {
    pub(super) repo: String,
    pub(super) dockerfile: Vec<u8>,
    pub(super) context: Vec<(String, Vec<u8>)>,
    pub(super) tag: String,
    overlay: String,
    script: Vec<(String, Vec<u8>)>,
}

impl Layers {
    pub(super) fn of(request: ImageRequest) -> Self {
        let ImageRequest {
            dockerfile,
            mut context,
            entrypoint,
            ..
        } = request;
        context.retain(|(name, _)| name != "Dockerfile");
        context.sort();
        let repo = format!("localhost/airut-repo:{}", digest(&dockerfile, &context));
        let overlay = format!(
            "FROM {repo}\nCOPY entrypoint.sh /entrypoint.sh\nRUN chmod 755 /entrypoint.sh\nENTRYPOINT [\"/entrypoint.sh\"]\n"
        );
        let script = entrypoint_script(entrypoint).into_bytes();
        let script = vec![("entrypoint.sh".to_owned(), script)];
        let tag = format!(
            "localhost/airut-overlay:{}",
            digest(overlay.as_bytes(), &script)
        );
        Self {
            repo,
            dockerfile,
            context,
            tag,
            overlay,
            script,
        }
    }
}

/// Builds of one tag are one at a time: two would do everything twice. Others do not wait.
#[derive(Debug, Default)]
pub(super) struct BuildLocks(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl BuildLocks {
    fn of(&self, tag: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds or waits for are forgotten.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(tag.to_owned()).or_default())
    }
}

/// Returns what the author of a Dockerfile is told.
fn told(failure: &BuildFailure) -> String {
    let lines: Vec<&str> = failure.log.trim().lines().collect();
    let shown = lines[lines.len().saturating_sub(FAILURE_LINES)..].join("\n");
    let error = first_chars(&failure.error, ERROR_CHARS_MAX);
    format!("{error}\n{}", last_chars(&shown, ERROR_CHARS_MAX))
}

impl From<PodmanError> for ImageError {
    fn from(error: PodmanError) -> Self {
        Self::Engine(error.to_string())
    }
}

impl From<PodmanError> for RunFailure {
    fn from(error: PodmanError) -> Self {
        match error {
            PodmanError::Refused { .. } => Self::Setup(error.to_string()),
            PodmanError::Unreachable(_) | PodmanError::Timeout { .. } => {
                Self::Engine(error.to_string())
            }
        }
    }
}

fn digest(dockerfile: &[u8], context: &[(String, Vec<u8>)]) -> Sha256 {
    let mut parts: Vec<&[u8]> = vec![dockerfile];
    for (name, bytes) in context {
        parts.extend([name.as_bytes(), bytes]);
    }
    Sha256::of_parts(&parts)
}

fn archive(dockerfile: &[u8], context: &[(String, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let dockerfile = ("Dockerfile", dockerfile);
    let files = context
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    for (name, bytes) in std::iter::once(dockerfile).chain(files) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(0);
        builder.append_data(&mut header, Path::new(name), bytes)?;
    }
    builder.into_inner()
}

/// Spec rows SBX-05 and SBX-06: trust the run's authority, then become the command.
fn entrypoint_script(entrypoint: Entrypoint) -> String {
    let command = match entrypoint {
        Entrypoint::Agent => "/opt/claude/claude \"$@\"",
        Entrypoint::Passthrough => "\"$@\"",
    };
    format!(
        "#!/bin/sh\n\
         set -eu\n\
         export IS_SANDBOX=1\n\
         ca={CA_PATH}\n\
         bundle={CA_BUNDLE_PATH}\n\
         if [ -f \"$ca\" ]; then\n\
         \x20   if command -v update-ca-certificates >/dev/null 2>&1; then\n\
         \x20       if [ \"${{AIRUT_VERBOSE:-}}\" = 1 ]; then\n\
         \x20           update-ca-certificates >&2 || true\n\
         \x20       else\n\
         \x20           update-ca-certificates >/dev/null 2>&1 || true\n\
         \x20       fi\n\
         \x20   fi\n\
         \x20   # Images without that tool get the authority appended.\n\
         \x20   line=$(sed -n 2p \"$ca\")\n\
         \x20   if ! grep -qF \"$line\" \"$bundle\" 2>/dev/null; then\n\
         \x20       mkdir -p \"${{bundle%/*}}\"\n\
         \x20       cat \"$ca\" >>\"$bundle\"\n\
         \x20   fi\n\
         \x20   # Java has a store of its own, which its distributions keep in different places.\n\
         \x20   if command -v keytool >/dev/null 2>&1; then\n\
         \x20       keytool -importcert -noprompt -cacerts -storepass changeit -alias airut-run \\\n\
         \x20           -file \"$ca\" >/dev/null 2>&1 || true\n\
         \x20   fi\n\
         fi\n\
         exec {command}\n"
    )
}

/// Returns whether a program needs no loader: an ELF file without a `PT_INTERP` segment.
fn is_static(program: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let u16_at = |at: usize| {
        program
            .get(at..at + 2)
            .map(|bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    };
    let table = program
        .get(32..40)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_le_bytes);
    let is_elf64 = program.starts_with(b"\x7fELF\x02\x01");
    let (Some(table), Some(size), Some(count), true) = (table, u16_at(54), u16_at(56), is_elf64)
    else {
        return false;
    };
    let kind_at = |index: usize| {
        let at = usize::try_from(table).ok()?.checked_add(index * size)?;
        let bytes = program.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    (0..count).all(|index| kind_at(index).is_some_and(|kind| kind != PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::podman_sandbox::testing::{Answer, FakePodman, Kept};

    #[test]
    fn a_program_with_a_loader_is_told_from_a_static_one() {
        assert!(!is_static(b"#!/bin/sh\n"));
        assert!(!is_static(b""));
        let dynamic = std::fs::read("/bin/sh").unwrap();
        assert!(!is_static(&dynamic));
    }

    fn request(dockerfile: &str) -> ImageRequest {
        ImageRequest {
            run: "00000000000a.1".parse().unwrap(),
            dockerfile: dockerfile.as_bytes().to_vec(),
            context: vec![],
            entrypoint: Entrypoint::Agent,
        }
    }

    #[tokio::test]
    async fn an_image_that_is_there_waits_for_nobodys_build() {
        let podman = FakePodman::start();
        let sandbox = podman.sandbox();
        podman.answers("/exists", Answer::Status(404));
        podman.answers("/build", Answer::Never);
        let kept = Arc::new(Kept::default());
        let building = sandbox.make_image(request("FROM a"), Arc::<Kept>::clone(&kept) as _);
        let other = async {
            podman.was_asked("/build").await;
            podman.answers("/exists", Answer::Status(204));
            sandbox
                .make_image(request("FROM b"), Arc::<Kept>::clone(&kept) as _)
                .await
        };
        tokio::select! {
            built = building => panic!("{built:?}"),
            there = other => assert!(there.unwrap().starts_with("localhost/airut-overlay:")),
        }
    }

    #[tokio::test]
    async fn the_output_of_a_failed_build_is_kept_and_what_is_told_of_it_is_short() {
        let podman = FakePodman::start();
        let sandbox = podman.sandbox();
        podman.answers("/exists", Answer::Status(404));
        let stream = format!(r#"{{"stream":"{0}"}}{{"error":"{0}"}}"#, "x".repeat(9000));
        podman.answers("/build", Answer::Body(stream));
        let kept = Arc::new(Kept::default());
        let built = sandbox.make_image(request("FROM a"), Arc::<Kept>::clone(&kept) as _);
        let told = built.await.unwrap_err().to_string();
        assert_eq!(told.len(), 2 * ERROR_CHARS_MAX + 1);
        let events = kept.events();
        let Some(crate::events::Event::Run(crate::events::event::RunEvent::ImageBuildFailed(
            failed,
        ))) = events.last()
        else {
            panic!("{events:?}");
        };
        assert_eq!(
            sandbox.blobs.get(&failed.log).unwrap(),
            "x".repeat(9000).as_bytes()
        );
    }

    #[test]
    fn a_tag_follows_from_every_byte_of_the_image() {
        let file = |name: &str, bytes: &str| (name.to_owned(), bytes.as_bytes().to_vec());
        let one = digest(b"FROM x", &[file("a", "b")]);
        assert_ne!(one, digest(b"FROM x", &[file("ab", "")]));
        assert_ne!(one, digest(b"FROM y", &[file("a", "b")]));
        assert_eq!(one, digest(b"FROM x", &[file("a", "b")]));
    }
}
