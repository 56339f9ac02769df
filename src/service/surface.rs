//! What the command line may use of the rooms behind the service: the daemon's socket, the log's
//! records, and the views folded from them.

pub use crate::events::checkpoint::{SignedCheckpoint, Verifier};
pub use crate::events::codec::{self, StoredRecord};
pub use crate::events::id::{BlobRef, ConversationId, Position, RepoId, TaskId};
pub use crate::events::log::audit::Bodies;
pub use crate::events::log::sled::SledStore;
pub use crate::events::log::{DISK_FORMAT, Log, ReadError};
pub use crate::events::{Event, Recorded};
pub use crate::handlers::channels::local::client::{Client, ClientError};
pub use crate::handlers::channels::local::protocol::{Drill, FILES_BYTES_MAX, File, Reply, Send};
pub use crate::handlers::channels::slack::check as slack_check;
pub use crate::projections::audit::Subject;
