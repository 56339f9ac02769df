//! A command's images by themselves: built, named, and carried from one machine to another (spec row
//! SCLI-07). It knows no run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::sandbox::podman_sandbox::{proxy_tag_of, repo_tag};
use crate::sandbox::port::Sandbox as _;
use crate::sandbox::process::Call;
use crate::service::command_run::context::Context;
use crate::service::command_run::journal::Unwatched;
use crate::service::command_run::{CommandError, Own, Surroundings, image_request, new_run};

/// Time for an image to be written to a file or read from one; then it fails.
const TRANSFER_TIME_MAX: Duration = Duration::from_secs(1800);

/// Files of images within their directory.
pub const ARCHIVES: [&str; 2] = ["repo.tar", "proxy.tar"];

/// The images of a command by the tags that follow from what they are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// The repository's layer.
    pub repo: String,
    /// The proxy.
    pub proxy: String,
}

impl Tags {
    /// Returns the digests that the tags end with: repository, proxy.
    pub fn digests(&self) -> [&str; 2] {
        [&self.repo, &self.proxy].map(|tag| tag.rsplit(':').next().unwrap_or_default())
    }
}

/// Returns the tags without building anything.
///
/// # Errors
/// [`CommandError::Disk`] when the proxy's program cannot be read.
pub fn tags(proxy_binary: &Path, image: Context) -> Result<Tags, CommandError> {
    let program = std::fs::read(proxy_binary).map_err(|error| CommandError::Disk {
        path: proxy_binary.to_owned(),
        error,
    })?;
    let run = new_run()?;
    Ok(Tags {
        repo: repo_tag(image_request(run, image)),
        proxy: proxy_tag_of(program),
    })
}

/// Builds what is not there yet, the entry point's layer among it.
///
/// # Errors
/// [`CommandError`].
pub async fn build(surroundings: &Surroundings, image: Context) -> Result<Tags, CommandError> {
    let tags = tags(&surroundings.proxy_binary, image.clone())?;
    let request = image_request(new_run()?, image);
    let own = Own::start(surroundings).await?;
    let built = async {
        own.sandbox
            .ensure_image(request, Arc::new(Unwatched))
            .await?;
        own.sandbox.ensure_proxy_image().await?;
        Ok(tags)
    };
    let built = built.await;
    own.end().await;
    built
}

/// Writes images to `repo.tar` and `proxy.tar` in a directory; each gets its name when it is whole.
///
/// # Errors
/// [`CommandError`].
pub async fn save(
    container_command: &str,
    tags: &Tags,
    directory: &Path,
) -> Result<(), CommandError> {
    let disk = |path: &Path, error| CommandError::Disk {
        path: path.to_owned(),
        error,
    };
    std::fs::create_dir_all(directory).map_err(|error| disk(directory, error))?;
    for (name, tag) in ARCHIVES.iter().zip([&tags.repo, &tags.proxy]) {
        let path = directory.join(name);
        let new = directory.join(format!("{name}.new"));
        // The engine writes over no file.
        let _not_there = std::fs::remove_file(&new);
        let arguments = ["save", "--quiet", "--output"].map(std::ffi::OsStr::new);
        let call = Call::new(container_command, TRANSFER_TIME_MAX)
            .args(arguments)
            .args([new.as_os_str(), std::ffi::OsStr::new(tag)]);
        let saved = call.output().await;
        saved.map_err(|error| disk(&path, std::io::Error::other(error.to_string())))?;
        std::fs::rename(&new, &path).map_err(|error| disk(&path, error))?;
    }
    Ok(())
}

/// What became of one archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loading {
    /// The engine has its image.
    Loaded,
    /// It is not there.
    Missing,
    /// The engine refused it; the next run builds the image instead.
    Refused(String),
}

/// Reads images from a directory, as far as they are there.
pub async fn load(container_command: &str, directory: &Path) -> Vec<(&'static str, Loading)> {
    let mut loaded = Vec::new();
    for name in ARCHIVES {
        let path = directory.join(name);
        if !path.exists() {
            loaded.push((name, Loading::Missing));
            continue;
        }
        let arguments = ["load", "--quiet", "--input"].map(std::ffi::OsStr::new);
        let call = Call::new(container_command, TRANSFER_TIME_MAX)
            .args(arguments)
            .args([path.as_os_str()]);
        let state = match call.output().await {
            Ok(_) => Loading::Loaded,
            Err(error) => Loading::Refused(error.to_string()),
        };
        loaded.push((name, state));
    }
    loaded
}
