//! What happened to the service itself and to the configuration it runs by. Stream `service`.

use crate::events::id::{AtMs, BlobRef, Sha256};
use crate::events::macros::data;

data! {
    /// The process began.
    pub struct ServiceStarted {
        /// Version of the program.
        pub version: String,
        /// Process id.
        pub pid: u32,
        /// Host name.
        pub host: String,
        /// Whether the run before this one ended with `ServiceStopped`.
        pub previous_stop_clean: bool,
    }

    /// A configuration is in force.
    pub struct ConfigLoaded {
        /// Digest of the file's bytes; nothing when there is no file and the defaults hold.
        pub sha256: Option<Sha256>,
        /// Counts accepted configurations of this process, from 1.
        pub generation: u32,
        /// Ids of the configured repositories.
        pub repos: Vec<String>,
    }

    /// The service takes in messages and works.
    pub struct BootCompleted {
        /// Repositories that work.
        pub live: Vec<String>,
        /// Repositories that do not, each with the reason.
        pub failed: Vec<FailedRepo>,
        /// From the start of the process.
        pub duration_ms: u64,
    }

    /// A repository that could not be brought up.
    pub struct FailedRepo {
        /// Its id.
        pub repo: String,
        /// Why.
        pub error: String,
    }

    /// The service stops taking in messages and lets running tasks end.
    pub struct DrainStarted {
        /// What asked for it, for example `SIGTERM`.
        pub cause: String,
        /// Tasks executing.
        pub executing: u32,
        /// Tasks waiting.
        pub waiting: u32,
    }

    /// The process is about to end in good order.
    pub struct ServiceStopped {
        /// From the start of the drain.
        pub drain_ms: u64,
        /// Tasks that were still executing and will be taken up at the next start.
        pub unfinished: u32,
    }

    /// From here on another key signs the log's checkpoints. Whoever trusts the old key has its
    /// signature that the new one follows. Stream `log`.
    pub struct LogKeyRotated {
        /// The key until now, as C2SP's `name+hash+base64`.
        pub old_key: String,
        /// The key that follows, in the same form.
        pub new_key: String,
        /// The old key's Ed25519 signature over the text that names both, in hexadecimal digits.
        pub signature: String,
    }

    /// The daemon brought its backup up to the log. Stream `log`.
    pub struct BackupTaken {
        /// Where the backup is.
        pub directory: String,
        /// Events in it.
        pub events: u64,
        /// RFC 6962 root over them.
        pub root: Sha256,
        /// Bytes of the journal and of bodies that were written this time.
        pub new_bytes: u64,
        /// Bodies that the log itself lost, so that the backup lacks them.
        pub lacking: u32,
    }

    /// The daemon could not take its backup, which is what it was before. Stream `log`.
    pub struct BackupFailed {
        /// Where the backup is, or was to be.
        pub directory: String,
        /// Why, and what to do.
        pub error: String,
    }

    /// The machine's clock went back; from here on the log's times are ahead of it until it has caught
    /// up. Stream `log`.
    pub struct ClockWentBack {
        /// By how many milliseconds the log's times are ahead.
        pub by_ms: u64,
        /// What the machine's clock shows.
        pub machine: AtMs,
    }

    /// The disk that the log and the workspaces are on is nearly full: messages are taken in and answers
    /// sent, but no further task begins. Stream `log`.
    pub struct StorageLow {
        /// Where it was measured.
        pub directory: String,
        /// Bytes that are free.
        pub free_bytes: u64,
        /// Bytes that have to be free at least.
        pub limit_bytes: u64,
    }

    /// There is room again, and tasks begin. Stream `log`.
    pub struct StorageRecovered {
        /// Where it was measured.
        pub directory: String,
        /// Bytes that are free.
        pub free_bytes: u64,
    }

    /// A backup was restored on trial, or could not be. Stream `log`.
    pub struct RestoreDrillCompleted {
        /// Events that came back; 0 when it did not come so far.
        pub events: u64,
        /// RFC 6962 root over them; nothing when it did not come so far.
        pub root: Option<Sha256>,
        /// Whether what came back is what the backup's checkpoint says.
        pub ok: bool,
        /// Which backup it was, or what failed.
        pub detail: String,
    }

    /// Every known attack on the sandbox was tried from inside one. Stream `log`.
    pub struct PentestCompleted {
        /// Vectors that came to what they had to.
        pub passed: u32,
        /// Vectors that did not.
        pub failed: u32,
        /// Vectors that were not tried.
        pub not_run: u32,
        /// Names that no rule allows and that were asked for outside all the same.
        pub denied_queries: u32,
        /// The report: every vector with what came of it, as JSON.
        pub report: BlobRef,
        /// The log's key's Ed25519 signature over the text that names the report's SHA-256, in
        /// hexadecimal digits.
        pub signature: String,
    }
}
