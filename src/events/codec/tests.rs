use super::*;
use crate::events::id::{ChannelKind, RepoId};
use crate::events::service::DrainStarted;

pub(super) fn envelope() -> Envelope {
    Envelope {
        position: Position(7),
        stream: StreamId::service(),
        stream_version: StreamVersion(3),
        at: AtMs(1_700_000_000_000),
        actor: Actor::System,
        causation: Some(Position(6)),
        correlation: "0badcafe".to_owned(),
        rest: 2,
        key: "k".to_owned(),
    }
}

fn event() -> Event {
    DrainStarted {
        cause: "SIGTERM".to_owned(),
        executing: 1,
        waiting: 2,
    }
    .into()
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    let record = encode(&envelope(), &encode_payload(&event()));
    assert_eq!(split(&record).unwrap().0, envelope());
    assert_eq!(decode(&record).unwrap().event, event());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let record = encode(&envelope(), &encode_payload(&event()));
    for bit in 0..record.bytes.len() * 8 {
        let mut damaged = record.clone();
        damaged.bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(decode(&damaged), Err(ReadError::Damaged { .. })),
            "bit {bit}"
        );
    }
}

#[test]
fn every_cut_is_noticed() {
    let record = encode(&envelope(), &encode_payload(&event()));
    for length in 0..record.bytes.len() {
        let cut = StoredRecord {
            bytes: record.bytes[..length].to_vec(),
            ..record.clone()
        };
        assert!(
            matches!(decode(&cut), Err(ReadError::Damaged { .. })),
            "length {length}"
        );
    }
}

#[test]
fn a_record_of_a_newer_program_is_refused_by_name() {
    let unknown_kind = Payload {
        kind: 9999,
        version: 1,
        bytes: vec![],
    };
    let record = encode(&envelope(), &unknown_kind);
    let newer = ReadError::Newer {
        position: Position(7),
        kind: 9999,
        version: 1,
    };
    assert_eq!(decode(&record).unwrap_err(), newer);
    let newer_version = Payload {
        version: 2,
        ..encode_payload(&event())
    };
    let record = encode(&envelope(), &newer_version);
    assert!(matches!(
        decode(&record),
        Err(ReadError::Newer { version: 2, .. })
    ));
}

#[test]
fn every_actor_reads_back() {
    let run = "00000000002a.3".parse().unwrap();
    let repo = RepoId("a/b".to_owned());
    let actors = [
        Actor::System,
        Actor::Scheduler,
        Actor::Channel(repo, ChannelKind::Email),
        Actor::Sender("a:b@example.test".to_owned()),
        Actor::Operator("root".to_owned()),
        Actor::Proxy(run),
    ];
    for actor in actors {
        assert_eq!(actor.to_string().parse(), Ok(actor));
    }
}
