//! Whether there is room on the disk for further work, as the log says. It measures nothing.

use serde::{Deserialize, Serialize};

use crate::events::event::ServiceEvent;
use crate::events::id::AtMs;
use crate::events::{Event, Recorded};
use crate::projections::Projection;

/// A disk that is nearly full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Low {
    /// Since when.
    pub since: AtMs,
    /// Where it was measured.
    pub directory: String,
    /// Bytes that were free then.
    pub free_bytes: u64,
    /// Bytes that have to be free at least.
    pub limit_bytes: u64,
}

/// The room on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    low: Option<Low>,
}

impl Storage {
    /// Returns why no further task begins; nothing while there is room.
    pub fn low(&self) -> Option<&Low> {
        self.low.as_ref()
    }
}

impl Projection for Storage {
    const NAME: &'static str = "storage";
    const CODE_VERSION: u32 = 1;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Service(ServiceEvent::StorageLow(low)) => {
                self.low = Some(Low {
                    since: recorded.at,
                    directory: low.directory.clone(),
                    free_bytes: low.free_bytes,
                    limit_bytes: low.limit_bytes,
                });
            }
            Event::Service(ServiceEvent::StorageRecovered(_)) => self.low = None,
            Event::Service(_)
            | Event::Schedule(_)
            | Event::Task(_)
            | Event::Delivery(_)
            | Event::Channel(_)
            | Event::Repository(_)
            | Event::Message(_)
            | Event::Conversation(_)
            | Event::Run(_)
            | Event::Container(_)
            | Event::Proxy(_) => {}
        }
    }
}
