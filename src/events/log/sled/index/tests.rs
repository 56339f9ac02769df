use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn stream(name: &str) -> StreamId {
    StreamId::from_stored(name.to_owned())
}

/// Where an event of these tests lies; any function of its version will do.
fn position(version: u64) -> Position {
    Position(version * 3)
}

fn apply(index: &Index, name: &str, first: u64, count: u64) {
    let mut recent = Recent::default();
    let stretch = Stretch {
        first: StreamVersion(first),
        positions: (first..first + count).map(position).collect(),
    };
    recent.streams.insert(stream(name), stretch);
    index.apply(&recent).unwrap();
}

fn positions(index: &Index, after: u64, last: u64, limit: usize) -> Vec<Position> {
    let (after, last) = (StreamVersion(after), StreamVersion(last));
    index
        .stream_positions(&stream("b"), after, last, limit)
        .unwrap()
}

fn with_neighbours() -> (Index, TempDir) {
    let directory = TempDir::new().unwrap();
    let index = Index::open(&directory.path().join("index")).unwrap();
    apply(&index, "a", 1, 3);
    apply(&index, "b:", 1, 3);
    apply(&index, "c", 1, 3);
    (index, directory)
}

#[test]
fn a_long_stretch_is_cut_into_runs() {
    let (index, _directory) = with_neighbours();
    for count in [RUN_EVENTS_MAX - 1, RUN_EVENTS_MAX, RUN_EVENTS_MAX + 1] {
        let count = count as u64;
        apply(&index, "b", 1, count);
        assert_eq!(index.stream_version(&stream("b")).unwrap().0, count);
        let all: Vec<Position> = (1..=count).map(position).collect();
        assert_eq!(positions(&index, 0, u64::MAX, 10_000), all);
        assert_eq!(
            positions(&index, count - 1, u64::MAX, 10_000),
            [position(count)]
        );
        assert!(positions(&index, count, u64::MAX, 10_000).is_empty());
    }
}

#[test]
fn an_entry_of_one_event_as_older_versions_wrote_it_is_a_run() {
    let (index, _directory) = with_neighbours();
    for version in 1..=4 {
        let key = stream_key(&stream("b"), StreamVersion(version));
        index.streams.insert(key, &be(position(version))).unwrap();
    }
    assert_eq!(
        index.stream_version(&stream("b")).unwrap(),
        StreamVersion(4)
    );
    assert_eq!(positions(&index, 1, 3, 9), [position(2), position(3)]);
}

#[test]
fn a_damaged_entry_is_an_error() {
    let (index, _directory) = with_neighbours();
    let key = stream_key(&stream("b"), StreamVersion(1));
    for damaged in [&[][..], &[1, 2, 3]] {
        index.streams.insert(&key, damaged).unwrap();
        assert!(index.stream_version(&stream("b")).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn interrupted_applications_are_done_again_with_other_borders(
        // How far each application goes on, and how far back the next one begins.
        steps in prop::collection::vec((1..700_u64, 0..900_u64), 1..6),
        after in 0..3000_u64,
        reach in 0..1500_u64,
        limit in 0..700_usize,
    ) {
        let (index, _directory) = with_neighbours();
        let (mut first, mut end) = (1, 0);
        for (further, back) in steps {
            // Whatever begins anew goes at least as far as what was there.
            let count = further + end - (first - 1);
            apply(&index, "b", first, count);
            end = first + count - 1;
            first = (end + 1).saturating_sub(back).max(1);
        }
        prop_assert_eq!(index.stream_version(&stream("b")).unwrap().0, end);
        let expected: Vec<Position> = (after + 1..=end.min(after + reach)).take(limit).map(position).collect();
        prop_assert_eq!(positions(&index, after, after + reach, limit), expected);
        for other in ["a", "b:", "c"] {
            prop_assert_eq!(index.stream_version(&stream(other)).unwrap().0, 3);
        }
    }
}
