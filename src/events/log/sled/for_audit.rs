//! What an audit reads beside the journal: the anchor and the index, as they are. It mends and signs
//! nothing.

use std::path::Path;

use crate::events::checkpoint::Verifier;
use crate::events::codec::StoredRecord;
use crate::events::id::{Position, Sha256};
use crate::events::log::journal::Journal;
use crate::events::log::sled::anchor::{self, Anchor};
use crate::events::log::sled::index::Index;
use crate::events::log::sled::lock::lock;
use crate::events::log::sled::{SledStore, behind, read_from};
use crate::events::log::store::StoreError;

/// Reads up to so many records after a position.
type ReadRecords<'a> = &'a dyn Fn(Position, usize) -> Result<Vec<StoredRecord>, StoreError>;

/// Returns the text of the anchor of the log in a directory.
pub(in crate::events::log) fn anchor_text(directory: &Path) -> Result<Option<String>, StoreError> {
    anchor::read_text(&anchor::path_in(directory))
}

/// Returns the anchor in a text, if one of the keys signed it.
pub(in crate::events::log) fn verified_anchor(text: &str, keys: &[Verifier]) -> Option<Anchor> {
    anchor::verify(text, keys)
}

impl SledStore {
    /// Lets `visit` read a log that no daemon has open, as its index leads to the records.
    pub(in crate::events::log) fn read_index(
        path: &Path,
        visit: impl FnOnce(ReadRecords<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let lock = lock(path).map_err(|error| StoreError(error.to_string()))?;
        let index = Index::open(&path.join("index"))?;
        let journal = Journal::open(&path.join("journal"))?;
        let (reader, shown) = (journal.reader()?, journal.end());
        visit(&|after, limit| {
            let group = index.group_of(behind(after))?;
            read_from(group, &reader, shown, after, limit)
        })?;
        drop(lock);
        Ok(())
    }

    /// Returns what the index of a log that no daemon has open says of each group's last record: its
    /// position and leaf hash.
    pub(in crate::events::log) fn index_ends(
        path: &Path,
    ) -> Result<Vec<(Position, Sha256)>, StoreError> {
        let lock = lock(path).map_err(|error| StoreError(error.to_string()))?;
        let index = Index::open(&path.join("index"))?;
        let ends = index.ends();
        drop(lock);
        ends
    }
}
