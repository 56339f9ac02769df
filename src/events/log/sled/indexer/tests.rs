use tempfile::TempDir;

use super::*;
use crate::events::codec::StoredRecord;
use crate::events::id::Sha256;
use crate::events::log::store::StreamEntry;

/// An indexer whose thread was never started, so that it works when it is told to.
fn idle() -> (Indexer, AnchorFile, TempDir) {
    let directory = TempDir::new().unwrap();
    let shared = Shared {
        index: Index::open(&directory.path().join("index")).unwrap(),
        state: Mutex::new(State {
            waiting: Recent::default(),
            in_work: None,
            reached: Anchor::empty(),
            ending: None,
            failed: None,
        }),
        changed: Condvar::new(),
    };
    let indexer = Indexer {
        shared: Arc::new(shared),
        thread: Mutex::new(None),
    };
    let anchor = AnchorFile::open(directory.path()).unwrap();
    (indexer, anchor, directory)
}

fn stream() -> StreamId {
    StreamId::from_stored("a".to_owned())
}

/// Pushes a group of `count` events of one stream, from a position on.
fn push(indexer: &Indexer, first: u64, count: u64) {
    let positions = first..first + count;
    let entry = |position| StreamEntry {
        stream: stream(),
        version: StreamVersion(position),
        position: Position(position),
    };
    let record = |position| StoredRecord {
        position: Position(position),
        bytes: vec![],
    };
    let group = Group {
        records: positions.clone().map(record).collect(),
        streams: positions.map(entry).collect(),
        keys: vec![(format!("key {first}"), key_entry(first))],
        ..Group::default()
    };
    let at = GroupEntry::of(&group.records, first * 10).unwrap();
    indexer.push(&group, at, Anchor::empty());
}

fn key_entry(first: u64) -> KeyEntry {
    KeyEntry {
        first: Position(first),
        count: 1,
        digest: Sha256([7; 32]),
    }
}

/// Takes what waits into work, as the thread does.
fn begin(indexer: &Indexer) -> Work {
    indexer.shared.state().ending = Some(Ending::Dropped);
    let work = indexer.shared.next();
    indexer.shared.state().ending = None;
    work
}

fn finish(indexer: &Indexer, anchor: &AnchorFile, work: &Work) {
    let mut anchored = 0;
    indexer.shared.perform(work, anchor, &mut anchored).unwrap();
    indexer.shared.state().in_work = None;
}

#[track_caller]
fn check_all_found(indexer: &Indexer, last: u64) {
    assert_eq!(
        indexer.stream_version(&stream()).unwrap(),
        StreamVersion(last)
    );
    for after in 0..=last {
        let found = indexer.stream_positions(&stream(), StreamVersion(after), 1000);
        let expected: Vec<Position> = (after + 1..=last).map(Position).collect();
        assert_eq!(found.unwrap(), expected, "after {after}");
    }
    let some = indexer.stream_positions(&stream(), StreamVersion(1), 3);
    assert_eq!(some.unwrap(), [Position(2), Position(3), Position(4)]);
    for first in (1..last).step_by(5) {
        let group = indexer.group_of(Position(first + 4)).unwrap().unwrap();
        assert_eq!((group.first, group.offset), (Position(first), first * 10));
        let key = indexer.find_key(&format!("key {first}")).unwrap();
        assert_eq!(key, Some(key_entry(first)));
    }
    assert_eq!(indexer.group_of(Position(last + 1)).unwrap(), None);
    assert_eq!(indexer.find_key("no such key").unwrap(), None);
}

#[test]
fn an_entry_is_found_wherever_it_is_on_its_way_into_the_index() {
    let (indexer, anchor, _directory) = idle();
    push(&indexer, 1, 5);
    let indexed = begin(&indexer);
    finish(&indexer, &anchor, &indexed);
    push(&indexer, 6, 5);
    let in_work = begin(&indexer);
    push(&indexer, 11, 5);
    check_all_found(&indexer, 15);
    // Half done: in the index, and still in memory.
    indexer.shared.index.apply(&in_work.recent).unwrap();
    check_all_found(&indexer, 15);
    finish(&indexer, &anchor, &in_work);
    let rest = begin(&indexer);
    finish(&indexer, &anchor, &rest);
    check_all_found(&indexer, 15);
}

#[test]
fn a_writer_that_is_too_far_ahead_waits_for_the_index() {
    let (indexer, anchor, _directory) = idle();
    push(&indexer, 1, AHEAD_EVENTS_MAX - 1);
    indexer.wait_for_room().unwrap();
    push(&indexer, AHEAD_EVENTS_MAX, 1);
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| indexer.wait_for_room());
        let work = begin(&indexer);
        finish(&indexer, &anchor, &work);
        while !waiting.is_finished() {
            indexer.shared.changed.notify_all();
            std::thread::yield_now();
        }
        waiting.join().unwrap().unwrap();
    });
    push(&indexer, AHEAD_EVENTS_MAX + 1, AHEAD_EVENTS_MAX + 1);
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| indexer.wait_for_room());
        indexer.shared.state().failed = Some(StoreError("the disk is full".to_owned()));
        while !waiting.is_finished() {
            indexer.shared.changed.notify_all();
            std::thread::yield_now();
        }
        let refused = waiting.join().unwrap().unwrap_err();
        assert_eq!(refused.to_string(), "the disk is full");
    });
}

#[test]
fn what_was_pushed_is_in_the_index_when_the_indexer_is_gone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("index");
    for (closes, last) in [(false, 5), (true, 10)] {
        let index = Index::open(&path).unwrap();
        let anchor = AnchorFile::open(directory.path()).unwrap();
        let indexer = Indexer::start(index, anchor, Anchor::empty()).unwrap();
        push(&indexer, last - 4, 5);
        if closes {
            indexer.close().unwrap();
            let late = indexer.wait_for_room().unwrap_err();
            assert_eq!(late.to_string(), "it is closed");
        }
        drop(indexer);
        let index = Index::open(&path).unwrap();
        assert_eq!(index.last().unwrap().position, Position(last));
        assert_eq!(directory.path().join("anchor").exists(), closes);
    }
}
