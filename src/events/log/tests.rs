use super::memory::MemoryStore;
use super::*;
use crate::events::codec::RECORD_BYTES_MAX;
use crate::events::event::Event;
use crate::events::service::DrainStarted;

fn event(number: u32) -> Event {
    DrainStarted {
        cause: "test".to_owned(),
        executing: number,
        waiting: 0,
    }
    .into()
}

fn stream(name: &str) -> StreamId {
    StreamId::from_stored(name.to_owned())
}

fn append(name: &str, numbers: &[u32]) -> Append {
    let events = numbers.iter().copied().map(event).collect();
    Append::to(&stream(name), events, Context::system(AtMs(1)))
}

fn open(store: &Arc<MemoryStore>) -> Log {
    let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(store);
    Log::open(store).unwrap()
}

fn new_log() -> Log {
    open(&Arc::new(MemoryStore::new()))
}

#[tokio::test]
async fn positions_have_no_gap_and_streams_count_for_themselves() {
    let log = new_log();
    assert_eq!(
        log.append(append("a", &[1, 2])).await.unwrap().last,
        Position(2)
    );
    assert_eq!(
        log.append(append("b", &[3])).await.unwrap().first,
        Position(3)
    );
    let recorded = log.read(Position(0), 10).unwrap();
    let places: Vec<_> = recorded
        .iter()
        .map(|r| (r.position.0, r.stream_version.0))
        .collect();
    assert_eq!(places, [(1, 1), (2, 2), (3, 1)]);
    let of_a = log.read_stream(&stream("a"), StreamVersion(1), 10).unwrap();
    assert_eq!(of_a.iter().map(|r| r.position.0).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn of_two_appends_on_the_same_version_one_wins() {
    let log = new_log();
    let first = append("a", &[1]).expecting(stream("a"), Expected::NoStream);
    let second = append("a", &[2]).expecting(stream("a"), Expected::NoStream);
    let (first, second) = tokio::join!(log.append(first), log.append(second));
    assert!(first.is_ok());
    let actual = StreamVersion(1);
    assert_eq!(
        second,
        Err(AppendError::WrongVersion {
            stream: stream("a"),
            actual
        })
    );
    assert_eq!(log.head().position, Position(1));
}

#[tokio::test]
async fn a_repeated_append_returns_the_first_positions() {
    let log = new_log();
    let first = log.append(append("a", &[1, 2]).once("k")).await.unwrap();
    let again = log.append(append("a", &[1, 2]).once("k")).await.unwrap();
    assert_eq!(
        again,
        Appended {
            repeated: true,
            ..first
        }
    );
    let other = log.append(append("a", &[9]).once("k")).await;
    assert_eq!(other, Err(AppendError::KeyReused { first: Position(1) }));
    assert_eq!(log.head().position, Position(2));
}

#[tokio::test]
async fn an_append_beyond_a_limit_is_refused_and_one_at_it_is_not() {
    let log = new_log();
    let cause = |bytes: usize| {
        let event = DrainStarted {
            cause: "x".repeat(bytes),
            executing: 0,
            waiting: 0,
        };
        Append::to(&stream("a"), vec![event.into()], Context::system(AtMs(1)))
    };
    let overhead = {
        log.append(cause(0)).await.unwrap();
        log.read_stored(Position(0), 1).unwrap()[0].bytes.len()
    };
    let fitting = RECORD_BYTES_MAX - overhead - 8;
    log.append(cause(fitting)).await.unwrap();
    let refused = log.append(cause(RECORD_BYTES_MAX)).await;
    assert!(matches!(
        refused,
        Err(AppendError::TooLarge {
            name: "DrainStarted",
            ..
        })
    ));
    let many = |count: usize| append("b", &vec![0; count]);
    log.append(many(APPEND_EVENTS_MAX)).await.unwrap();
    let refused = log.append(many(APPEND_EVENTS_MAX + 1)).await;
    assert!(matches!(
        refused,
        Err(AppendError::TooLarge { name: "append", .. })
    ));
    log.append(append("c", &[1]).once("k".repeat(KEY_BYTES_MAX)))
        .await
        .unwrap();
    let refused = log
        .append(append("c", &[1]).once("k".repeat(KEY_BYTES_MAX + 1)))
        .await;
    assert!(matches!(
        refused,
        Err(AppendError::TooLarge {
            name: "idempotency key",
            ..
        })
    ));
    assert_eq!(log.append(append("c", &[])).await, Err(AppendError::Empty));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_promises_nothing() {
    let store = Arc::new(MemoryStore::new());
    let log = open(&store);
    log.append(append("a", &[1])).await.unwrap();
    store.fail_commits("no space left on device");
    let failed = log.append(append("a", &[2])).await;
    assert!(matches!(failed, Err(AppendError::Unwritable(_))));
    assert_eq!(log.head().position, Position(1));
    store.mend();
    let next = log.append(append("a", &[3])).await.unwrap();
    assert_eq!(next.first, Position(2));
    let recorded = log.read(Position(1), 1).unwrap();
    assert_eq!(recorded[0].stream_version, StreamVersion(2));
}

#[tokio::test]
async fn a_subscription_catches_up_and_then_follows_without_gap_or_duplicate() {
    let log = new_log();
    for number in 0..300 {
        log.append(append("a", &[number])).await.unwrap();
    }
    let mut subscription = log.subscribe(Position(10));
    let writer = log.clone();
    let writing = async move {
        for number in 300..900 {
            writer.append(append("a", &[number])).await.unwrap();
        }
    };
    let reading = async {
        for position in 11..=900 {
            let recorded = subscription.next().await.unwrap().unwrap();
            assert_eq!(recorded.position, Position(position));
        }
    };
    tokio::join!(writing, reading);
    assert_eq!(subscription.try_next(), Ok(None));
    log.close().await;
    assert_eq!(subscription.next().await, Ok(None));
    assert_eq!(
        log.append(append("a", &[1])).await,
        Err(AppendError::Closed)
    );
}

#[tokio::test]
async fn the_head_carries_the_root_of_all_records() {
    let log = new_log();
    log.append(append("a", &[1, 2, 3])).await.unwrap();
    let mut range = CompactRange::default();
    for record in log.read_stored(Position(0), 10).unwrap() {
        range.push(crate::events::tree::leaf_hash(&record.bytes));
    }
    assert_eq!(
        log.head(),
        Head {
            position: Position(3),
            root: range.root()
        }
    );
}

/// A store whose records do not read as long as it is damaged, and that remembers how long its groups
/// were.
#[derive(Debug, Default)]
struct Damaged {
    inner: MemoryStore,
    at: std::sync::Mutex<Option<Position>>,
    groups: std::sync::Mutex<Vec<usize>>,
}

impl Store for Damaged {
    fn commit(&self, group: &store::Group) -> Result<(), StoreError> {
        let bytes = group.records.iter().map(|record| record.bytes.len()).sum();
        self.groups.lock().unwrap().push(bytes);
        self.inner.commit(group)
    }

    fn read(&self, after: Position, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        let mut records = self.inner.read(after, limit)?;
        let damaged = *self.at.lock().unwrap();
        for record in &mut records {
            if Some(record.position) == damaged {
                record.bytes.truncate(10);
            }
        }
        Ok(records)
    }

    fn stream_version(&self, stream: &StreamId) -> Result<StreamVersion, StoreError> {
        self.inner.stream_version(stream)
    }

    fn stream_positions(
        &self,
        stream: &StreamId,
        after: StreamVersion,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        self.inner.stream_positions(stream, after, limit)
    }

    fn find_key(&self, key: &str) -> Result<Option<store::KeyEntry>, StoreError> {
        self.inner.find_key(key)
    }

    fn range(&self) -> Result<CompactRange, StoreError> {
        self.inner.range()
    }
}

#[tokio::test]
async fn a_group_ends_with_the_append_that_fills_it() {
    let store = Arc::new(Damaged::default());
    let log = Log::open(Arc::clone(&store) as Arc<dyn Store>).unwrap();
    let long = |number| {
        let cause = "x".repeat(RECORD_BYTES_MAX / 2);
        let event = DrainStarted {
            cause,
            executing: number,
            waiting: 0,
        };
        Append::to(&stream("a"), vec![event.into()], Context::system(AtMs(1)))
    };
    let appends = (0..100).map(|number| log.append(long(number)));
    let appended = futures_util::future::join_all(appends).await;
    assert!(appended.iter().all(Result::is_ok));
    assert_eq!(log.head().position, Position(100));
    let groups = store.groups.lock().unwrap().clone();
    assert!(groups.len() > 1, "{groups:?}");
    let most = GROUP_BYTES_MAX + RECORD_BYTES_MAX;
    assert!(groups.iter().all(|bytes| *bytes < most), "{groups:?}");
}

#[tokio::test]
async fn a_record_that_does_not_read_is_not_passed_over() {
    let store = Arc::new(Damaged::default());
    let log = Log::open(Arc::clone(&store) as Arc<dyn Store>).unwrap();
    log.append(append("a", &[1, 2, 3])).await.unwrap();
    *store.at.lock().unwrap() = Some(Position(2));
    let mut subscription = log.subscribe(Position(0));
    assert_eq!(
        subscription.next().await.unwrap().unwrap().position,
        Position(1)
    );
    for _ in 0..2 {
        let error = subscription.next().await.unwrap_err();
        assert!(error.to_string().contains("position 2 "), "{error}");
        assert_eq!(subscription.try_next().unwrap_err(), error);
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_says_so_to_whoever_works_on_it() {
    let store = Arc::new(MemoryStore::new());
    let log = open(&store);
    log.append(append("a", &[1])).await.unwrap();
    assert!(!log.failure().is_cancelled());
    store.fail_commits("disk full");
    log.append(append("a", &[2])).await.unwrap_err();
    assert!(log.failure().is_cancelled());
    let closed = open(&Arc::new(store.after_crash()));
    closed.close().await;
    assert!(!closed.failure().is_cancelled(), "a close is no failure");
}

#[tokio::test]
async fn times_never_go_back_though_the_clock_does_also_over_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let at = |ms| Append {
        context: Context::system(AtMs(ms)),
        ..append("a", &[1])
    };
    let log = open(&store);
    for ms in [1000, 2000, 1500, 2001] {
        log.append(at(ms)).await.unwrap();
    }
    log.close().await;
    let log = open(&store);
    assert_eq!(log.newest_time().unwrap(), Some(AtMs(2001)));
    log.append(at(5)).await.unwrap();
    let events = log.read(Position(0), 100).unwrap();
    let times: Vec<u64> = events.iter().map(|recorded| recorded.at.0).collect();
    assert_eq!(times, [1000, 2000, 2000, 2001, 2001]);
    assert_eq!(new_log().newest_time().unwrap(), None);
}

#[tokio::test]
async fn the_first_failure_is_the_cause() {
    let store = Arc::new(MemoryStore::new());
    let log = open(&store);
    assert_eq!(log.why_failed(), None);
    for reason in ["no room", "still no room"] {
        store.fail_commits(reason);
        log.append(append("a", &[1])).await.unwrap_err();
    }
    assert_eq!(log.why_failed().as_deref(), Some("no room"));
}
