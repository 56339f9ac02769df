//! Where content is sealed on its way into the log, and opened on its way out. The store, the journal
//! and the Merkle tree know the sealed bytes only.

use crate::events::codec::{self, StoredRecord};
use crate::events::content;
use crate::events::event::{Event, Recorded};
use crate::events::keys::{KeyError, KeyRing};
use crate::events::log::ReadError;
use crate::events::seal::{ERASED, Owner, is_sealed_text, open_text, seal_text};

/// Seals the content of an event. Of an owner whose key was destroyed nothing is kept any more.
///
/// # Errors
/// [`KeyError`] when the key could not be made or read.
pub(super) fn seal(keys: &KeyRing, event: &mut Event) -> Result<(), KeyError> {
    let Some(owner) = content::owner(event) else {
        return Ok(());
    };
    let mut texts = content::texts(event);
    texts.retain(|text| !text.is_empty());
    if texts.is_empty() {
        return Ok(());
    }
    match keys.get_or_make(owner) {
        Ok(key) => {
            for text in texts {
                *text = seal_text(&key, owner, text);
            }
            Ok(())
        }
        Err(KeyError::Destroyed(_)) => {
            texts.into_iter().for_each(|text| ERASED.clone_into(text));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Opens the content of an event; what cannot be opened reads [`ERASED`].
pub fn open(keys: &KeyRing, event: &mut Event) {
    let Some(owner) = content::owner(event) else {
        return;
    };
    let mut texts = content::texts(event);
    texts.retain(|text| is_sealed_text(text));
    if texts.is_empty() {
        return;
    }
    let key = keys.get(owner).unwrap_or_else(|error| {
        tracing::error!(%owner, %error, "a key cannot be read");
        None
    });
    for text in texts {
        let opened = key.as_ref().and_then(|key| open_text(key, owner, text));
        *text = opened.unwrap_or_else(|| ERASED.to_owned());
    }
}

/// Returns the recorded event of a record, its content opened as far as the key ring allows.
///
/// # Errors
/// [`ReadError::Damaged`] or, for a record of a newer program, [`ReadError::Newer`].
pub fn decode(keys: Option<&KeyRing>, record: &StoredRecord) -> Result<Recorded, ReadError> {
    let mut recorded = codec::decode(record)?;
    if let Some(keys) = keys {
        open(keys, &mut recorded.event);
    }
    Ok(recorded)
}

/// Returns whether the content of an owner was erased, as far as the key ring knows.
pub fn is_erased(keys: &KeyRing, owner: Owner) -> bool {
    keys.is_destroyed(owner).unwrap_or(false)
}
