//! What holds for the log whatever is appended in whatever order: properties over random appends.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::memory::MemoryStore;
use super::*;
use crate::events::service::DrainStarted;
use crate::events::tree::leaf_hash;

/// One random append: its events' streams, its key, and the version it expects of the first.
#[derive(Debug, Clone)]
struct Planned {
    streams: Vec<u8>,
    key: Option<u8>,
    expected: Option<u64>,
}

fn planned() -> impl Strategy<Value = Planned> {
    let streams = prop::collection::vec(0..4u8, 1..4);
    let key = prop::option::of(0..6u8);
    let expected = prop::option::of(0..6u64);
    (streams, key, expected).prop_map(|(streams, key, expected)| Planned {
        streams,
        key,
        expected,
    })
}

fn stream(number: u8) -> StreamId {
    StreamId::from_stored(format!("stream:{number}"))
}

fn append_of(planned: &Planned) -> Append {
    let event = |stream_number: &u8| {
        let event = DrainStarted {
            cause: "property".to_owned(),
            executing: u32::from(*stream_number),
            waiting: 0,
        };
        (stream(*stream_number), event.into())
    };
    let expected = planned.expected.map(|version| match version {
        0 => Expected::NoStream,
        version => Expected::Version(StreamVersion(version)),
    });
    Append {
        expected: expected
            .map(|expected| (stream(planned.streams[0]), expected))
            .into_iter()
            .collect(),
        events: planned.streams.iter().map(event).collect(),
        key: planned.key.map(|key| format!("key:{key}")),
        context: Context::system(AtMs(1)),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// The log as the rules alone would have it.
#[derive(Debug, Default)]
struct Model {
    streams: Vec<u8>,
    versions: BTreeMap<u8, u64>,
    keys: BTreeMap<u8, (u64, Vec<u8>)>,
}

impl Model {
    fn append(&mut self, planned: &Planned) -> Result<Appended, AppendError> {
        let appended = |first: u64, count: usize, repeated| Appended {
            first: Position(first),
            last: Position(first + count as u64 - 1),
            repeated,
        };
        let count = planned.streams.len();
        if let Some((first, streams)) = planned.key.and_then(|key| self.keys.get(&key)) {
            let first = *first;
            return match *streams == planned.streams {
                true => Ok(appended(first, count, true)),
                false => Err(AppendError::KeyReused {
                    first: Position(first),
                }),
            };
        }
        let version = self.versions.get(&planned.streams[0]).copied();
        let actual = version.unwrap_or_default();
        if planned.expected.is_some_and(|expected| expected != actual) {
            return Err(AppendError::WrongVersion {
                stream: stream(planned.streams[0]),
                actual: StreamVersion(actual),
            });
        }
        let first = self.streams.len() as u64 + 1;
        for number in &planned.streams {
            *self.versions.entry(*number).or_default() += 1;
            self.streams.push(*number);
        }
        if let Some(key) = planned.key {
            self.keys.insert(key, (first, planned.streams.clone()));
        }
        Ok(appended(first, count, false))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// Also when many appends wait at once and share a flush.
    #[test]
    fn the_log_does_what_its_rules_say_and_has_no_gap(
        plan in prop::collection::vec(planned(), 1..60),
        subscribed_at in 0..40u64,
        together in any::<bool>(),
    ) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let log = Log::open(Arc::clone(&store)).unwrap();
        let mut model = Model::default();
        let expected: Vec<_> = plan.iter().map(|planned| model.append(planned)).collect();
        let mut subscription = log.subscribe(Position(subscribed_at));
        let (answers, heard) = runtime().block_on(async {
            let appends = plan.iter().map(|planned| log.append(append_of(planned)));
            let answers = match together {
                true => futures_util::future::join_all(appends).await,
                false => {
                    let mut answers = Vec::new();
                    for append in appends {
                        answers.push(append.await);
                    }
                    answers
                }
            };
            log.close().await;
            let mut heard = Vec::new();
            while let Some(recorded) = subscription.next().await.unwrap() {
                heard.push(recorded.position.0);
            }
            (answers, heard)
        });
        prop_assert_eq!(answers, expected);
        let recorded = log.read(Position(0), 1000).unwrap();
        let positions: Vec<u64> = recorded.iter().map(|r| r.position.0).collect();
        let size = model.streams.len() as u64;
        prop_assert_eq!(positions, (1..=size).collect::<Vec<_>>());
        prop_assert_eq!(heard, (subscribed_at + 1..=size).collect::<Vec<_>>());
        for (number, version) in model.versions {
            let of_stream = log.read_stream(&stream(number), StreamVersion(0), 1000).unwrap();
            let versions: Vec<u64> = of_stream.iter().map(|r| r.stream_version.0).collect();
            prop_assert_eq!(versions, (1..=version).collect::<Vec<_>>());
        }
        let mut range = CompactRange::default();
        for record in log.read_stored(Position(0), 1000).unwrap() {
            range.push(leaf_hash(&record.bytes));
        }
        prop_assert_eq!(log.head().root, range.root());
        // Opened again, it goes on where it ended.
        let head = log.head();
        prop_assert_eq!(Log::open(store).unwrap().head(), head);
    }

    #[test]
    fn of_any_number_of_appends_on_the_same_version_exactly_one_wins(rivals in 2..40usize) {
        let log = Log::open(Arc::new(MemoryStore::new())).unwrap();
        let rival = Planned { streams: vec![1], key: None, expected: Some(0) };
        let answers = runtime().block_on(futures_util::future::join_all(
            (0..rivals).map(|_| log.append(append_of(&rival))),
        ));
        prop_assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        prop_assert_eq!(log.head().position, Position(1));
    }
}
