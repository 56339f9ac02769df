//! An append as it comes to the writer: laid out by whoever appends. It knows no store.

use crate::events::codec::{self, Payload};
use crate::events::id::Sha256;
use crate::events::log::writer::rules::{check_size, digest};
use crate::events::log::{Append, AppendError};

/// An append, laid out as far as its caller can do that, so that the one writer need not.
#[derive(Debug)]
pub(in crate::events::log) struct Prepared {
    pub(super) append: Append,
    pub(super) payloads: Vec<Payload>,
    /// What tells whether two appends with the same key say the same.
    pub(super) digest: Option<Sha256>,
}

impl Prepared {
    /// Lays an append out.
    ///
    /// # Errors
    /// [`AppendError::Empty`] or [`AppendError::TooLarge`].
    pub(in crate::events::log) fn new(append: Append) -> Result<Self, AppendError> {
        check_size(&append)?;
        let payloads: Vec<Payload> = append
            .events
            .iter()
            .map(|(_, event)| codec::encode_payload(event))
            .collect();
        let keyed = append.key.is_some();
        let digest = keyed.then(|| digest(&append.events, &payloads));
        Ok(Self {
            append,
            payloads,
            digest,
        })
    }
}
