//! The port through which repositories are mirrored and workspaces made. It says nothing of git's
//! command line, so that a test may put a fake behind it.

use std::path::Path;

use crate::events::id::RepoId;
use crate::sandbox::recorder::PortFuture;

/// Where a mirror stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorHead {
    /// Default branch.
    pub branch: String,
    /// Its commit, as hexadecimal digits.
    pub commit: String,
    /// Whether the mirror was made just now.
    pub created: bool,
}

/// Why git could not do what was asked; texts carry no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// The remote could not be reached or refused.
    #[error("{0}")]
    Remote(String),
    /// The path is not in the commit.
    #[error("{0} is not in the repository's default branch")]
    NoSuchPath(String),
    /// There is more in a directory than is read: make it smaller.
    #[error("{0} holds more than {1}")]
    TooLarge(String, String),
    /// Git failed here.
    #[error("{0}")]
    Local(String),
}

/// The commit that gave a file the form it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastChange {
    /// The commit, as hexadecimal digits.
    pub commit: String,
    /// Its author; nobody has verified it.
    pub author: String,
    /// When it was committed, as git writes it.
    pub committed_at: String,
}

/// A file's path within a directory, and its bytes.
pub type NamedFile = (String, Vec<u8>);

/// Keeps mirrors of repositories and makes workspaces of them.
pub trait Mirrors: Send + Sync {
    /// Brings the mirror of a repository up to date, or makes it.
    fn fetch<'a>(
        &'a self,
        repo: &'a RepoId,
        url: &'a str,
    ) -> PortFuture<'a, Result<MirrorHead, GitError>>;

    /// Returns a file of a commit.
    fn read_file<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<Vec<u8>, GitError>>;

    /// Returns which commit, up to this one, changed a file last.
    fn last_change<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<LastChange, GitError>>;

    /// Returns the plain files of a directory of a commit and of those in it, with their contents.
    fn read_directory<'a>(
        &'a self,
        repo: &'a RepoId,
        commit: &'a str,
        path: &'a str,
    ) -> PortFuture<'a, Result<Vec<NamedFile>, GitError>>;

    /// Makes a full clone at `destination`, on the default branch, its origin being `url`; a clone
    /// that is there already is left as it is.
    fn clone_workspace<'a>(
        &'a self,
        repo: &'a RepoId,
        url: &'a str,
        destination: &'a Path,
    ) -> PortFuture<'a, Result<(), GitError>>;
}
