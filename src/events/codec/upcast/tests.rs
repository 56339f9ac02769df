use std::sync::Arc;

use super::*;
use crate::events::codec::tests::envelope;
use crate::events::codec::{
    self, Envelope, Payload, StoredRecord, decode_payload, encode, encode_payload,
};
use crate::events::id::{AtMs, Position, StreamId, StreamVersion};
use crate::events::log::sled::SledStore;
use crate::events::log::store::{Group, Store as _, StreamEntry};
use crate::events::log::{Append, Context, Log, replay};
use crate::events::macros::data;
use crate::events::service::DrainStarted;
use crate::events::tree::{CompactRange, leaf_hash};

data! {
    /// What `DrainStarted` would have been before it counted tasks.
    pub(crate) struct DrainStartedV0 {
        /// Why the service stops.
        pub(crate) cause: String,
    }
}

/// Its bytes as a program that is gone wrote them.
const GOLDEN: &[u8] = b"SIGTERM\xff";

/// Walks the way of every upcast: the old struct is read, and a new one made of it.
pub(super) fn upcast_drain_started(frame: Frame<'_>) -> Result<Event, PayloadError> {
    let DrainStartedV0 { cause } = unarchive!(DrainStartedV0, frame.bytes)?;
    let upcast = DrainStarted {
        cause,
        executing: 0,
        waiting: 0,
    };
    Ok(upcast.into())
}

fn old() -> Payload {
    Payload {
        kind: 4,
        version: 0,
        bytes: GOLDEN.to_vec(),
    }
}

fn upcast() -> Event {
    let cause = "SIGTERM".to_owned();
    DrainStarted {
        cause,
        executing: 0,
        waiting: 0,
    }
    .into()
}

fn record(position: u64, payload: &Payload) -> StoredRecord {
    let envelope = Envelope {
        position: Position(position),
        stream: StreamId::service(),
        stream_version: StreamVersion(position),
        rest: 0,
        key: String::new(),
        ..envelope()
    };
    encode(&envelope, payload)
}

/// A log that an older program left behind, with an old record and a current one.
fn left_behind(directory: &std::path::Path) {
    let store = SledStore::open(directory).unwrap();
    let records = vec![record(1, &old()), record(2, &encode_payload(&upcast()))];
    let mut range = CompactRange::default();
    records
        .iter()
        .for_each(|record| range.push(leaf_hash(&record.bytes)));
    let entry = |position| StreamEntry {
        stream: StreamId::service(),
        version: StreamVersion(position),
        position: Position(position),
    };
    let group = Group {
        records,
        streams: vec![entry(1), entry(2)],
        keys: Vec::new(),
        range,
    };
    store.commit(&group).unwrap();
    store.close().unwrap();
}

#[test]
fn the_bytes_of_an_older_version_become_the_current_event() {
    assert_eq!(decode_payload(&old()), Ok(upcast()));
    let written = encode_payload(&decode_payload(&old()).unwrap());
    assert_eq!(written.version, 1, "what is written is always current");
}

#[test]
fn an_older_version_that_was_never_released_or_does_not_validate_is_refused() {
    let never = Payload { kind: 5, ..old() };
    let unknown = PayloadError::Unknown {
        kind: 5,
        version: 0,
    };
    assert_eq!(decode_payload(&never), Err(unknown));
    let cut = Payload {
        bytes: GOLDEN[..5].to_vec(),
        ..old()
    };
    assert!(matches!(
        decode_payload(&cut),
        Err(PayloadError::Invalid(_))
    ));
}

#[tokio::test]
async fn an_old_log_is_read_gone_on_with_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    left_behind(directory.path());
    let log = Log::open(Arc::new(SledStore::open(directory.path()).unwrap())).unwrap();
    let append = Append::to(
        &StreamId::service(),
        vec![upcast()],
        Context::system(AtMs(1)),
    );
    log.append(append).await.unwrap();
    let read = log.read(Position(0), 10).unwrap();
    let events: Vec<Event> = read.into_iter().map(|recorded| recorded.event).collect();
    assert_eq!(events, [upcast(), upcast(), upcast()]);
    // The record itself is what is promised: it stays as it was written.
    let stored = log.read_stored(Position(0), 1).unwrap();
    assert_eq!(stored, [record(1, &old())]);
    assert_eq!(codec::split(&stored[0]).unwrap().1, old());
    log.close().await;
    let mut replayed = Vec::new();
    let end = replay::replay(directory.path(), None, Position(2), |record| {
        replayed.push((record.leaf, record.recorded.event));
    });
    assert_eq!(end, Ok(Position(2)));
    assert_eq!(replayed[0], (leaf_hash(&stored[0].bytes), upcast()));
    assert_eq!(replayed.len(), 2);
    let census = replay::census(directory.path()).unwrap();
    assert_eq!(census.kinds[&(4, 0)], (1, Position(1)));
    assert_eq!(census.kinds[&(4, 1)], (2, Position(2)));
}
