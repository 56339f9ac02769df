//! What happened to a repository's mirror. Stream `repository:<id>`.

use crate::events::id::RepoId;
use crate::events::macros::data;

data! {
    /// The mirror was made or brought up to date.
    pub struct MirrorFetched {
        /// Repository.
        pub repo: RepoId,
        /// Default branch.
        pub branch: String,
        /// Its commit, as hexadecimal digits.
        pub commit: String,
        /// Whether the mirror was made just now.
        pub created: bool,
        /// How long it took.
        pub duration_ms: u64,
    }

    /// The mirror could not be brought up to date.
    pub struct MirrorFetchFailed {
        /// Repository.
        pub repo: RepoId,
        /// Why, as git said it, credentials removed.
        pub error: String,
    }
}
