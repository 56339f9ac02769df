//! What an append must fulfil, and what it becomes: the rules of the writer that need no store. Pure.

use crate::events::codec::{Envelope, Payload, StoredRecord};
use crate::events::event::Event;
use crate::events::id::{AtMs, Position, Sha256, StreamId, StreamVersion};
use crate::events::log::store::{Group, KeyEntry, StreamEntry, digest_of};
use crate::events::log::{APPEND_EVENTS_MAX, KEY_BYTES_MAX};
use crate::events::log::{Append, AppendError, Appended, Expected};
use crate::events::tree::leaf_hash;

pub(super) fn check_size(append: &Append) -> Result<(), AppendError> {
    let (name, bytes, max) = match (
        append.events.len(),
        append.key.as_ref().map_or(0, String::len),
    ) {
        (0, _) => return Err(AppendError::Empty),
        (events, _) if events > APPEND_EVENTS_MAX => ("append", events, APPEND_EVENTS_MAX),
        (_, key) if key > KEY_BYTES_MAX => ("idempotency key", key, KEY_BYTES_MAX),
        _ => return Ok(()),
    };
    Err(AppendError::TooLarge { name, bytes, max })
}

pub(super) fn holds(expected: Expected, actual: StreamVersion) -> bool {
    match expected {
        Expected::Any => true,
        Expected::NoStream => actual == StreamVersion(0),
        Expected::Version(version) => actual == version,
    }
}

pub(super) fn repeated(known: KeyEntry, digest: Sha256) -> Result<Appended, AppendError> {
    if known.digest != digest {
        return Err(AppendError::KeyReused { first: known.first });
    }
    let last = Position(known.first.0 + u64::from(known.count) - 1);
    Ok(Appended {
        first: known.first,
        last,
        repeated: true,
    })
}

pub(super) fn envelope(
    append: &Append,
    index: usize,
    stream: &StreamId,
    stream_version: StreamVersion,
    (position, at): (Position, AtMs),
) -> Envelope {
    let key = append.key.as_ref().filter(|_| index == 0);
    Envelope {
        position,
        stream: stream.clone(),
        stream_version,
        at,
        actor: append.context.actor.clone(),
        causation: append.context.causation,
        correlation: append.context.correlation.clone(),
        rest: u16::try_from(append.events.len() - 1 - index)
            .expect("an append has at most APPEND_EVENTS_MAX events"),
        key: key.cloned().unwrap_or_default(),
    }
}

/// Adds the records of one append to a group.
pub(super) fn add(
    group: &mut Group,
    records: Vec<(StreamEntry, StoredRecord)>,
    key: Option<(&String, Sha256)>,
) -> Appended {
    let first = Position(group.range.size() + 1);
    let count = u32::try_from(records.len()).expect("an append has few events");
    for (entry, record) in records {
        group.range.push(leaf_hash(&record.bytes));
        group.streams.push(entry);
        group.records.push(record);
    }
    if let Some((key, digest)) = key {
        group.keys.push((
            key.clone(),
            KeyEntry {
                first,
                count,
                digest,
            },
        ));
    }
    Appended {
        first,
        last: Position(group.range.size()),
        repeated: false,
    }
}

/// Returns the digest that tells whether two appends say the same.
pub(super) fn digest(events: &[(StreamId, Event)], payloads: &[Payload]) -> Sha256 {
    let parts = events
        .iter()
        .zip(payloads)
        .map(|((stream, _), payload)| (stream, payload));
    digest_of(parts)
}
