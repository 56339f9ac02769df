//! Mirrors and workspaces through git's command (spec rows GIT-01 to GIT-05). Whatever git does here
//! it does in a mirror or in a fresh clone, never in a workspace an agent has written to: its
//! hooks and configuration would be executed on the host.

mod remote;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::RwLock;

use crate::events::id::RepoId;
use crate::sandbox::cut::{ERROR_CHARS_MAX, last_chars};
use crate::sandbox::git::remote::Remote;
use crate::sandbox::mirrors::{GitError, LastChange, MirrorHead, Mirrors, NamedFile};
use crate::sandbox::process::{Call, ProcessError};
use crate::sandbox::recorder::PortFuture;

/// Time for a fetch or a first clone; then it is ended and fails.
pub const FETCH_TIME_MAX: Duration = Duration::from_secs(600);

/// Time for everything that needs no network.
pub const LOCAL_TIME_MAX: Duration = Duration::from_secs(120);

/// Files of a directory that are read together, an image's context; more are refused.
pub const CONTEXT_FILES_MAX: usize = 1000;

/// Bytes of such a directory; more are refused.
pub const CONTEXT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Characters of an author's name and address that are kept; the rest is cut.
pub const AUTHOR_CHARS_MAX: usize = 200;

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
        let origin = Remote::of(url);
        if created {
            clone_mirror(&origin, &mirror).await?;
        } else {
            // The configured address may have changed since the mirror was made (gap 24).
            in_mirror(&mirror, &["remote", "set-url", "origin", &origin.url]).await?;
            let update = from_remote(&origin).args(["-C"]).args([&mirror]);
            let update = update.args(["remote", "update", "--prune"]);
            update.output().await.map_err(|error| remote(&error))?;
            follow_default_branch(&origin, &mirror).await;
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

    async fn log_of(
        &self,
        repo: &RepoId,
        commit: &str,
        path: &str,
    ) -> Result<LastChange, GitError> {
        let lock = self.lock(repo);
        let _shared = lock.read().await;
        let format = "--format=%H%x00%an <%ae>%x00%cI";
        let arguments = ["log", "-1", format, commit, "--", path];
        let logged = in_mirror(&self.mirror(repo), &arguments).await?;
        let logged = String::from_utf8_lossy(&logged).into_owned();
        let mut parts = logged.trim_end().split('\0').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (commit, author, committed_at) = (part(), part(), part());
        if committed_at.is_empty() {
            return Err(GitError::NoSuchPath(path.to_owned()));
        }
        Ok(LastChange {
            commit,
            author: author.chars().take(AUTHOR_CHARS_MAX).collect(),
            committed_at,
        })
    }

    /// Returns the plain files below a directory, their paths from it; links are left out.
    async fn list(&self, repo: &RepoId, commit: &str, path: &str) -> Result<Vec<String>, GitError> {
        let lock = self.lock(repo);
        let _shared = lock.read().await;
        let directory = format!("{}/", path.trim_end_matches('/'));
        let arguments = ["ls-tree", "-r", "-l", "-z", commit, "--", &directory];
        let listing = in_mirror(&self.mirror(repo), &arguments).await?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        // Each entry: mode, type, object, size, a tab, the path.
        let plain = |entry: &str| {
            let (facts, path) = entry.split_once('\t')?;
            let size: u64 = facts.split_whitespace().nth(3)?.parse().ok()?;
            let path = path.strip_prefix(&directory)?;
            facts.starts_with("100").then(|| (path.to_owned(), size))
        };
        let (files, sizes): (Vec<String>, Vec<u64>) = listing.split('\0').filter_map(plain).unzip();
        let too_large = |what: String| GitError::TooLarge(path.to_owned(), what);
        if files.len() > CONTEXT_FILES_MAX {
            return Err(too_large(format!("{CONTEXT_FILES_MAX} files")));
        }
        if sizes.iter().sum::<u64>() > CONTEXT_BYTES_MAX {
            return Err(too_large(format!("{CONTEXT_BYTES_MAX} bytes")));
        }
        Ok(files)
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
        let origin = Remote::of(url).url;
        in_mirror(&unfinished, &["remote", "set-url", "origin", &origin]).await?;
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

    fn last_change<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<LastChange, GitError>> {
        Box::pin(self.log_of(repo, commit, path))
    }

    fn read_directory<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<Vec<NamedFile>, GitError>> {
        Box::pin(async move {
            let mut files = Vec::new();
            let directory = path.trim_end_matches('/');
            for name in self.list(repo, commit, path).await? {
                let file = format!("{directory}/{name}");
                let bytes = self.show(repo, commit, &file).await?;
                files.push((name, bytes));
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

/// Returns a call of git that talks to a remote.
fn from_remote(origin: &Remote) -> Call<'static> {
    let call = git(FETCH_TIME_MAX);
    let env = origin.env();
    env.fold(call, |call, (name, value)| call.env(name, value))
}

async fn in_mirror(directory: &Path, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
    let call = git(LOCAL_TIME_MAX)
        .args(["-C"])
        .args([directory])
        .args(arguments);
    call.output().await.map_err(|error| local(&error))
}

/// Clones beside its place and renames, so that a killed clone leaves no half mirror.
async fn clone_mirror(origin: &Remote, mirror: &Path) -> Result<(), GitError> {
    let unfinished = beside(mirror, "unfinished");
    prepare(&unfinished).await?;
    let clone = from_remote(origin).args(["clone", "--quiet", "--mirror", &origin.url]);
    clone
        .args([&unfinished])
        .output()
        .await
        .map_err(|error| remote(&error))?;
    let renamed = tokio::fs::rename(&unfinished, mirror).await;
    renamed.map_err(|error| GitError::Local(format!("{}: {error}", mirror.display())))
}

/// Follows the remote when it has another default branch now; on failure the old one stays.
async fn follow_default_branch(origin: &Remote, mirror: &Path) {
    let ask = from_remote(origin).args(["-C"]).args([mirror]);
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
    GitError::Remote(told(error))
}

fn local(error: &ProcessError) -> GitError {
    GitError::Local(told(error))
}

fn told(error: &ProcessError) -> String {
    let text = without_credentials(&error.to_string());
    last_chars(&text, ERROR_CHARS_MAX).to_owned()
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
