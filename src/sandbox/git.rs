//! Mirrors and workspaces through git's command (spec rows GIT-01 to GIT-05). Whatever git does here
//! it does in a mirror or in a fresh clone, never in a workspace an agent has written to: its
//! hooks and configuration would be executed on the host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::RwLock;

use crate::events::id::RepoId;
use crate::sandbox::mirrors::{GitError, MirrorHead, Mirrors, NamedFile};
use crate::sandbox::process::{Call, ProcessError};
use crate::sandbox::recorder::PortFuture;

/// Time for a fetch or a first clone; then it is ended and fails.
pub const FETCH_TIME_MAX: Duration = Duration::from_secs(600);

/// Time for everything that needs no network.
pub const LOCAL_TIME_MAX: Duration = Duration::from_secs(120);

/// Mirrors below a directory: `<root>/<repo>/git-mirror`.
#[derive(Debug)]
pub struct GitMirrors {
    root: PathBuf,
    /// One lock for each mirror: a fetch is alone, readers share.
    locks: Mutex<BTreeMap<RepoId, Arc<RwLock<()>>>>,
}

impl GitMirrors {
    /// Returns the mirrors below a directory.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            locks: Mutex::default(),
        }
    }

    fn mirror(&self, repo: &RepoId) -> PathBuf {
        self.root.join(&repo.0).join("git-mirror")
    }

    fn lock(&self, repo: &RepoId) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(repo.clone()).or_default())
    }

    async fn fetch_mirror(&self, repo: &RepoId, url: &str) -> Result<MirrorHead, GitError> {
        let lock = self.lock(repo);
        let _alone = lock.write().await;
        let mirror = self.mirror(repo);
        let created = !mirror.join("HEAD").exists();
        if created {
            clone_mirror(url, &mirror).await?;
        } else {
            // The configured address may have changed since the mirror was made (gap 24).
            in_mirror(&mirror, &["remote", "set-url", "origin", url]).await?;
            let update = git(FETCH_TIME_MAX).args(["-C"]).args([&mirror]);
            let update = update.args(["remote", "update", "--prune"]);
            update.output().await.map_err(|error| remote(&error))?;
            follow_default_branch(&mirror).await;
        }
        let (branch, commit) = head(&mirror).await?;
        Ok(MirrorHead {
            branch,
            commit,
            created,
        })
    }

    async fn show(&self, repo: &RepoId, commit: &str, path: &str) -> Result<Vec<u8>, GitError> {
        let lock = self.lock(repo);
        let _shared = lock.read().await;
        let object = format!("{commit}:{path}");
        let missing = |_| GitError::NoSuchPath(path.to_owned());
        let mirror = self.mirror(repo);
        in_mirror(&mirror, &["cat-file", "-e", &object])
            .await
            .map_err(missing)?;
        in_mirror(&mirror, &["cat-file", "blob", &object]).await
    }

    async fn list(&self, repo: &RepoId, commit: &str, path: &str) -> Result<Vec<String>, GitError> {
        let lock = self.lock(repo);
        let _shared = lock.read().await;
        let directory = format!("{}/", path.trim_end_matches('/'));
        let arguments = ["ls-tree", "-z", commit, "--", &directory];
        let listing = in_mirror(&self.mirror(repo), &arguments).await?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        // Each entry: mode, type, object, a tab, the path. Links and directories are left out.
        let plain = |entry: &str| {
            let (facts, path) = entry.split_once('\t')?;
            facts.starts_with("100").then(|| path.to_owned())
        };
        Ok(listing.split('\0').filter_map(plain).collect())
    }

    async fn make_workspace(
        &self,
        repo: &RepoId,
        url: &str,
        destination: &Path,
    ) -> Result<(), GitError> {
        if destination.join(".git").exists() {
            return Ok(());
        }
        let lock = self.lock(repo);
        let _shared = lock.read().await;
        let mirror = self.mirror(repo);
        let (branch, _) = head(&mirror).await?;
        let unfinished = beside(destination, "unfinished");
        prepare(&unfinished).await?;
        let clone = git(LOCAL_TIME_MAX).args(["clone", "--quiet", "--no-hardlinks", "--branch"]);
        let clone = clone.args([&branch]).args([&mirror, &unfinished]);
        clone.output().await.map_err(|error| local(&error))?;
        // Still our own fresh clone: no agent has touched it.
        in_mirror(&unfinished, &["remote", "set-url", "origin", url]).await?;
        // An empty directory that a mount made is no workspace yet and gives way.
        let _not_there = tokio::fs::remove_dir(destination).await;
        let renamed = tokio::fs::rename(&unfinished, destination).await;
        renamed.map_err(|error| GitError::Local(format!("{}: {error}", destination.display())))
    }
}

impl Mirrors for GitMirrors {
    fn fetch<'a>(
        &'a self,
        repo: &'a RepoId,
        url: &'a str,
    ) -> PortFuture<'a, Result<MirrorHead, GitError>> {
        Box::pin(self.fetch_mirror(repo, url))
    }

    fn read_file<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<Vec<u8>, GitError>> {
        Box::pin(self.show(repo, commit, path))
    }

    fn read_directory<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<Vec<NamedFile>, GitError>> {
        Box::pin(async move {
            let mut files = Vec::new();
            for file in self.list(repo, commit, path).await? {
                let name = file.rsplit('/').next().unwrap_or(&file).to_owned();
                files.push((name, self.show(repo, commit, &file).await?));
            }
            if files.is_empty() {
                return Err(GitError::NoSuchPath(path.to_owned()));
            }
            Ok(files)
        })
    }

    fn clone_workspace<'a>(
        &'a self,
        repo: &'a RepoId,
        url: &'a str,
        destination: &'a Path,
    ) -> PortFuture<'a, Result<(), GitError>> {
        Box::pin(self.make_workspace(repo, url, destination))
    }
}

/// Returns a call of git that never asks anybody anything and is not led astray by a `GIT_*`
/// variable of whoever started us.
fn git(timeout: Duration) -> Call<'static> {
    let call = Call::new("git", timeout)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    let call = call.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
    [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
    ]
    .into_iter()
    .fold(call, Call::without_env)
}

async fn in_mirror(directory: &Path, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
    let call = git(LOCAL_TIME_MAX)
        .args(["-C"])
        .args([directory])
        .args(arguments);
    call.output().await.map_err(|error| local(&error))
}

/// Clones beside its place and renames, so that a killed clone leaves no half mirror.
async fn clone_mirror(url: &str, mirror: &Path) -> Result<(), GitError> {
    let unfinished = beside(mirror, "unfinished");
    prepare(&unfinished).await?;
    let clone = git(FETCH_TIME_MAX).args(["clone", "--quiet", "--mirror", url]);
    clone
        .args([&unfinished])
        .output()
        .await
        .map_err(|error| remote(&error))?;
    let renamed = tokio::fs::rename(&unfinished, mirror).await;
    renamed.map_err(|error| GitError::Local(format!("{}: {error}", mirror.display())))
}

/// Follows the remote when it has another default branch now; on failure the old one stays.
async fn follow_default_branch(mirror: &Path) {
    let ask = git(FETCH_TIME_MAX).args(["-C"]).args([mirror]);
    let ask = ask
        .args(["ls-remote", "--symref", "origin", "HEAD"])
        .output()
        .await;
    let answer = String::from_utf8_lossy(&ask.unwrap_or_default()).into_owned();
    let head = answer
        .lines()
        .find_map(|line| line.strip_prefix("ref: ")?.split('\t').next());
    if let Some(head) = head.filter(|head| head.starts_with("refs/heads/")) {
        // A branch that is not there yet leaves the old one in force.
        let _old_one_stays = in_mirror(mirror, &["symbolic-ref", "HEAD", head]).await;
    }
}

async fn head(mirror: &Path) -> Result<(String, String), GitError> {
    let branch = in_mirror(mirror, &["symbolic-ref", "--short", "HEAD"]).await?;
    let branch = String::from_utf8_lossy(&branch).trim().to_owned();
    let reference = format!("refs/heads/{branch}^{{commit}}");
    let commit = in_mirror(mirror, &["rev-parse", "--verify", "--quiet", &reference]).await;
    let empty = |_| GitError::Remote(format!("the branch {branch} has no commit"));
    let commit = commit.map_err(empty)?;
    Ok((
        branch.clone(),
        String::from_utf8_lossy(&commit).trim().to_owned(),
    ))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

/// Makes the parent directory and removes what an interrupted clone left.
async fn prepare(unfinished: &Path) -> Result<(), GitError> {
    let failed =
        |error: std::io::Error| GitError::Local(format!("{}: {error}", unfinished.display()));
    match tokio::fs::remove_dir_all(unfinished).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let parent = unfinished.parent().unwrap_or_else(|| Path::new("."));
    tokio::fs::create_dir_all(parent).await.map_err(failed)
}

fn remote(error: &ProcessError) -> GitError {
    GitError::Remote(without_credentials(&error.to_string()))
}

fn local(error: &ProcessError) -> GitError {
    GitError::Local(without_credentials(&error.to_string()))
}

/// Removes `user:password@` from the URLs in a text.
fn without_credentials(text: &str) -> String {
    let clean = |(index, part): (usize, &str)| {
        let end = part.find(|c: char| c.is_whitespace() || "/'\"".contains(c));
        let (authority, rest) = part.split_at(end.unwrap_or(part.len()));
        match authority.rsplit_once('@') {
            Some((_, host)) if index > 0 => format!("{host}{rest}"),
            _ => part.to_owned(),
        }
    };
    text.split("://")
        .enumerate()
        .map(clean)
        .collect::<Vec<_>>()
        .join("://")
}

#[cfg(test)]
mod tests;
